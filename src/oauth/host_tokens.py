"""Tokens of the host application (contract §2 `/auth/exchange`): read and verified (RFC 7519, RFC 8725)."""

from ..sign_in_settings import ExchangeSettings
from .identity import HostToken
from .outbound import Outbound


class HostTokens:
    """Reads tokens as `settings` say: signed by a key at its `jwks_url`, fetched over `outbound`, or by its secret."""

    def __init__(self, settings: ExchangeSettings, outbound: Outbound) -> None:
        self._settings = settings
        self._outbound = outbound

    async def read(self, token: str) -> HostToken:
        """Whom a token speaks of, under the provider's name `host`.

        Raises TokenExpired, Unauthorized for whatever else is wrong with it, Unavailable if the keys cannot be had.
        """
        raise NotImplementedError
