"""Signing in at a provider: where to send the browser, and who has come back (RFC 6749 §4.1, OIDC Core §3.1)."""

from collections.abc import Mapping

from .identity import Attempt, Callback, Grant, VerifiedIdentity
from .outbound import Outbound
from .providers import Provider


class OAuthClient:
    """Asks `providers` about people, over `outbound`, which it closes.

    `public_url`: of this service; a provider sends the browser back to
    `{public_url}/api/v1/auth/oauth/{provider}/callback`, a path of its own (RFC 9700 §4.4.2.2).
    """

    def __init__(self, providers: Mapping[str, Provider], public_url: str, outbound: Outbound | None = None) -> None:
        self._providers = providers
        self._public_url = public_url
        self._outbound = outbound or Outbound()

    async def authorization_url(self, provider: str, attempt: Attempt) -> str:
        """Where to send the browser. Raises ProviderUnavailable if discovery fails; `provider` must be configured."""
        raise NotImplementedError

    async def identify(self, provider: str, callback: Callback, attempt: Attempt) -> VerifiedIdentity:
        """Who has come back; `provider` must be configured, and the state of `callback` be that of `attempt`.

        Raises AccessDenied if they cancelled, ProviderUnavailable if the provider does not answer or not as it should,
        SignInFailed if anything it says does not verify; nothing else.
        """
        raise NotImplementedError

    async def revoke(self, provider: str, subject: str, grant: Grant | None) -> None:
        """Tell a provider to forget that `subject` uses this service. Returns if it has, or if there is nothing to do.

        Raises ProviderUnavailable, to be tried again; nothing else.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End what is under way."""
        await self._outbound.close()
