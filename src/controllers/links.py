"""Where things are found: links as absolute addresses, for whoever is told of them."""

import re
import secrets
from collections.abc import Callable
from uuid import UUID

from ..clock import now
from ..schemas.links import Link, Reader
from ..services.file_signatures import FileSignatures
from .api import PREFIX


class Links:
    """Writes addresses below `public_url`, those of files signed for the person who hears them."""

    def __init__(self, public_url: str, signatures: FileSignatures) -> None:
        self._base = public_url + PREFIX
        self._signatures = signatures
        self._gap = secrets.token_hex(16)  # it is never sent: nobody can put it into a text

    def to(self, user_id: UUID | None) -> Reader:
        """One person; None is somebody unknown, whose addresses of files carry no right."""
        return _Person(self._base, self._signatures, user_id)

    def to_each(self) -> "Template":
        """Many people, of whom each is to have an address of their own."""
        return Template(self._base, self._signatures, self._gap)


class _Person:
    __slots__ = ("_base", "_queries", "_signatures", "_user_id")

    def __init__(self, base: str, signatures: FileSignatures, user_id: UUID | None) -> None:
        self._base = base
        self._signatures = signatures
        self._user_id = user_id
        self._queries: dict[UUID, str] = {}

    def address(self, link: Link) -> str:
        if self._user_id is None or not link.personal:
            return self._base + link
        file_id = link.file_id
        query = self._queries.get(file_id)
        if query is None:
            query = self._queries[file_id] = self._signatures.sign(self._user_id, file_id, now())
        return f"{self._base}{link}?{query}"


class Template:
    """A Reader that leaves gaps where each person gets something else.

    `personal`: whether it had to. So what many hear is encoded once, and for each of them only signed.
    """

    __slots__ = ("_base", "_gap", "_signatures", "personal")

    def __init__(self, base: str, signatures: FileSignatures, gap: str) -> None:
        self._base = base
        self._signatures = signatures
        self._gap = gap
        self.personal = False

    def address(self, link: Link) -> str:
        if not link.personal:
            return self._base + link
        self.personal = True
        return f"{self._base}{link}?{self._gap}{link.file_id.hex}"

    def filled(self, json: bytes) -> Callable[[UUID], bytes]:
        """What makes of `json`, which was written for this reader, the JSON for each person."""
        parts = re.split(b"%b([0-9a-f]{32})" % self._gap.encode(), json)
        gaps, moment = parts[1::2], now()
        files = {gap: UUID(hex=gap.decode()) for gap in gaps}

        def fill(user_id: UUID) -> bytes:
            sign = self._signatures.signer(user_id, moment)
            queries = {gap: sign(file_id).encode() for gap, file_id in files.items()}
            filled = parts.copy()
            filled[1::2] = [queries[gap] for gap in gaps]
            return b"".join(filled)

        return fill
