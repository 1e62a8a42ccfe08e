"""What unlinking needs of a provider's tokens, kept so that the database alone gives nobody access to anything."""

import base64
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import orjson
import structlog

from ..oauth.identity import Grant
from .tokens import derived

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

log = structlog.get_logger("chatty.grants")


class Grants:
    """Seals and opens grants with a key derived from `signing_key`."""

    def __init__(self, signing_key: str) -> None:
        self._signing_key = signing_key

    def seal(self, grant: Grant | None, earlier: str | None = None) -> str | None:
        """The text to keep of `grant`; `earlier` is what was kept until now.

        A provider may give its refresh token the first time only (Google does): it outlives a grant without one.
        """
        if grant is None:
            return earlier
        if grant.refresh_token is None and (before := self.open(earlier)):
            grant = grant._replace(refresh_token=before.refresh_token)
        return self._fernet.encrypt(orjson.dumps(tuple(grant))).decode()

    def open(self, sealed: str | None) -> Grant | None:
        """The grant again; None for none, and for one that was sealed under another signing key."""
        from cryptography.fernet import InvalidToken

        if sealed is None:
            return None
        try:
            access_token, refresh_token, expires_at = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            log.warning("A provider's tokens cannot be read: the secret key has changed since they were kept.")
            return None
        return Grant(access_token, refresh_token, datetime.fromisoformat(expires_at) if expires_at else None)

    @cached_property
    def _fernet(self) -> "Fernet":
        from cryptography.fernet import Fernet  # not at start

        return Fernet(base64.urlsafe_b64encode(derived(self._signing_key, "provider grants")))
