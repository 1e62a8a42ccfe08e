"""Addresses of files that carry a right of their own, for one person and some minutes.

A browser's `<img>` sends no token. What an address says is only who asks; whether they may is asked at every request.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from struct import Struct
from typing import Final
from uuid import UUID

from ..clock import now
from ..errors import Unauthorized
from .tokens import derived

_SIGNED: Final = Struct("!16s16sQ").pack  # of fixed width: no two claims are written alike
_DIGEST_BYTES: Final = 24  # 192 bits, and no padding in base64
_SECONDS: Final = re.compile(r"[1-9]\d{0,11}", re.ASCII)
_REFUSAL: Final = "This address is not valid, or no longer: read the message again for a fresh one."


class FileSignatures:
    """Signs under a key derived from `key`, the service's signing key.

    A signature works for at most `seconds` (two or more), and is the same for half of that: so a browser finds again
    what it keeps.
    """

    def __init__(self, key: str, seconds: int) -> None:
        self._keyed = blake2b(key=derived(key, "file address"), digest_size=_DIGEST_BYTES, person=b"chatty file")
        self._step = seconds // 2

    def sign(self, user_id: UUID, file_id: UUID, moment: datetime) -> str:
        """The query that lets this person have a file and its thumbnail from `moment` on."""
        return self.signer(user_id, moment)(file_id)

    def signer(self, user_id: UUID, moment: datetime) -> Callable[[UUID], str]:
        """`sign` for one person at one moment, for however many files."""
        expires = (int(moment.timestamp()) // self._step + 2) * self._step
        claims = f"user={user_id}&expires={expires}&signature="
        return lambda file_id: claims + self._mac(user_id, file_id, expires)

    def check(self, file_id: UUID, user: str, expires: str, signature: str) -> UUID:
        """Whom the parameters of an address speak for. Raises Unauthorized unless they are ours, of this file."""
        try:
            user_id = UUID(user)
        except ValueError:
            raise Unauthorized(_REFUSAL) from None
        if str(user_id) != user or not _SECONDS.fullmatch(expires):
            raise Unauthorized(_REFUSAL)
        genuine = self._mac(user_id, file_id, int(expires))
        if not hmac.compare_digest(genuine.encode(), signature.encode(errors="replace")):
            raise Unauthorized(_REFUSAL)
        if int(expires) <= now().timestamp():
            raise Unauthorized(_REFUSAL)
        return user_id

    def _mac(self, user_id: UUID, file_id: UUID, expires: int) -> str:
        mac = self._keyed.copy()
        mac.update(_SIGNED(user_id.bytes, file_id.bytes, expires))
        return urlsafe_b64encode(mac.digest()).decode()
