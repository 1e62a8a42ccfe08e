"""Getting no more mails by one click in one of them, signed in or not (RFC 8058)."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..errors import Unauthorized
from .letters import host_of
from .tokens import derived

TurnOff = Callable[[Transaction, UUID, datetime], Awaitable[None]]
"""Have a person get no mails of notifications any more; nothing for who is gone."""

PAGE: Final = "/unsubscribe"
ONE_CLICK: Final = "/api/v1/notifications/unsubscribe"
_ID_BYTES: Final = 16
_MAC_BYTES: Final = 24
_LENGTH: Final = (_ID_BYTES + _MAC_BYTES) // 3 * 4 + 2  # base64 of 40 bytes, without its padding
_REFUSAL: Final = "This link is not one of ours, or was cut off: use it as it is in the mail."


class UnsubscribeLinks(NamedTuple):
    """Where one mail's reader gets no more of them: `page` asks and has a button, `one_click` is told by a POST."""

    page: str
    one_click: str


class UnsubscribeTokens:
    """A token names one person, and says that it comes from a mail to them. It works for ever, as the mails lie there.

    Made under a key derived from `signing_key`.
    """

    def __init__(self, signing_key: str, public_url: str) -> None:
        self._key = derived(signing_key, "unsubscribe")
        self._base = _in_ascii(public_url)

    def links(self, user_id: UUID) -> UnsubscribeLinks:
        """The addresses in a mail to this person."""
        query = f"?token={self.token(user_id)}"
        return UnsubscribeLinks(f"{self._base}{PAGE}{query}", f"{self._base}{ONE_CLICK}{query}")

    def token(self, user_id: UUID) -> str:
        return urlsafe_b64encode(user_id.bytes + self._mac(user_id.bytes)).decode().rstrip("=")

    def read(self, token: str) -> UUID:
        """Whom a token names. Raises Unauthorized unless it is ours, letter by letter."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"==")
        except (UnicodeEncodeError, Error):
            raise Unauthorized(_REFUSAL) from None
        named, mac = raw[:_ID_BYTES], raw[_ID_BYTES:]
        if len(token) != _LENGTH or not hmac.compare_digest(mac, self._mac(named)):
            raise Unauthorized(_REFUSAL)
        user_id = UUID(bytes=named)
        if token != self.token(user_id):  # base64 has some letters to spare
            raise Unauthorized(_REFUSAL)
        return user_id

    def _mac(self, named: bytes) -> bytes:
        return hmac.digest(self._key, named, "sha256")[:_MAC_BYTES]


class Unsubscribing:
    def __init__(self, database: Database, tokens: UnsubscribeTokens, turn_off: TurnOff) -> None:
        self._database = database
        self._tokens = tokens
        self._turn_off = turn_off

    async def unsubscribe(self, token: str) -> None:
        """Send no more mails of notifications to whom this token names; again is the same. Raises Unauthorized."""
        user_id = self._tokens.read(token)
        async with self._database.transaction() as tx:
            await self._turn_off(tx, user_id, now())


def _in_ascii(public_url: str) -> str:
    """The same address, fit for a header."""
    parts = urlsplit(public_url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host_of(public_url)}{port}{quote(parts.path, safe='/%:@!$&()*+,;=~-._')}"
