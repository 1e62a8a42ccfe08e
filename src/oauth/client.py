"""Signing in at a provider: where to send the browser, and who has come back (RFC 6749 §4.1, OIDC Core §3.1)."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ..errors import ProviderUnavailable
from . import profiles, revocation
from .discovery import Discovery, Endpoints
from .failures import Cancelled, Refused, Unanswered, told_of
from .grants import grant_in
from .id_tokens import claims_of
from .identity import Attempt, Callback, Grant, VerifiedIdentity
from .keys import PublishedKeys
from .outbound import Outbound
from .providers import Provider
from .signatures import load

if TYPE_CHECKING:
    from .code_flow import CodeFlow

# RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6: the person did not go on, or would have had to.
_CANCELLED: Final = frozenset(
    {"access_denied", "consent_required", "interaction_required", "login_required", "account_selection_required"}
)
SECONDS: float = 20
"""For all that a provider is asked while a person waits."""
_LATER: Final = frozenset({"server_error", "temporarily_unavailable"})
_CODE: Final = re.compile(r"[\x20-\x7e]{1,4096}")  # RFC 6749 appendix A.11


class OAuthClient:
    """Asks `providers` about people, over `outbound`, which it closes.

    `public_url`: of this service; a provider sends the browser back to
    `{public_url}/api/v1/auth/oauth/{provider}/callback`, a path of its own (RFC 9700 §4.4.2.2).
    """

    def __init__(self, providers: Mapping[str, Provider], public_url: str, outbound: Outbound | None = None) -> None:
        self._providers = providers
        self._public_url = public_url
        self._outbound = outbound or Outbound()
        self._discovery = Discovery(self._outbound)
        self._keys: dict[str, PublishedKeys] = {}
        if providers:
            from . import code_flow  # noqa: F401 - as in load

            load()

    async def authorization_url(self, provider: str, attempt: Attempt) -> str:
        """Where to send the browser. Raises ProviderUnavailable if discovery fails; `provider` must be configured."""
        known = self._providers[provider]
        with told_of(provider, otherwise=ProviderUnavailable):
            return self._flow(known, await self._discovery.endpoints(known)).address(attempt)

    async def identify(self, provider: str, callback: Callback, attempt: Attempt) -> VerifiedIdentity:
        """Who has come back; `provider` must be configured, and the state of `callback` be that of `attempt`.

        Raises AccessDenied if they cancelled, ProviderUnavailable if the provider does not answer or not as it should,
        SignInFailed if anything it says does not verify; nothing else.
        """
        known = self._providers[provider]
        with told_of(provider):
            try:
                async with asyncio.timeout(SECONDS):
                    return await self._identified(known, callback, attempt)
            except TimeoutError:
                raise Unanswered("timeout") from None

    async def revoke(self, provider: str, subject: str, grant: Grant | None) -> None:
        """Tell a provider to forget that `subject` uses this service.

        Returns if it has, or if there is nothing to do, as when it is no longer configured. Raises
        ProviderUnavailable, to be tried again; nothing else.
        """
        known = self._providers.get(provider)
        if known is None or (grant is None and not known.admin_key):
            return
        with told_of(provider, otherwise=ProviderUnavailable):
            endpoints = await self._discovery.endpoints(known)
            await revocation.revoke(revocation.Revoking(self._outbound, known, endpoints, subject, grant))

    async def close(self) -> None:
        """End what is under way."""
        await self._outbound.close()

    async def _identified(self, provider: Provider, callback: Callback, attempt: Attempt) -> VerifiedIdentity:
        endpoints = await self._discovery.endpoints(provider)
        code = _code_in(callback, provider, endpoints)
        token = await self._flow(provider, endpoints).redeem(code, attempt)
        claims = await self._claims(provider, endpoints, token, attempt.nonce)
        asking = profiles.Asking(self._outbound, provider, endpoints, token["access_token"], claims)
        return replace(await profiles.identity_of(asking), grant=grant_in(token))

    def _flow(self, provider: Provider, endpoints: Endpoints) -> "CodeFlow":
        from .code_flow import CodeFlow

        redirect_uri = f"{self._public_url}/api/v1/auth/oauth/{provider.name}/callback"
        return CodeFlow(self._outbound, provider, endpoints, redirect_uri)

    async def _claims(
        self, provider: Provider, endpoints: Endpoints, token: Mapping[str, Any], nonce: str
    ) -> dict[str, Any]:
        """Those of the ID token; none where the provider signs none."""
        if endpoints.jwks is None or not provider.is_oidc:
            return {}
        if endpoints.jwks not in self._keys:
            self._keys[endpoints.jwks] = PublishedKeys(self._outbound, endpoints.jwks, provider.origins)
        return await claims_of(token.get("id_token"), provider, self._keys[endpoints.jwks], nonce)


def _code_in(callback: Callback, provider: Provider, endpoints: Endpoints) -> str:
    """The code that the browser brought back. Raises Refused, Cancelled, Unanswered."""
    # RFC 9207 §2.4: a code of another provider must never be sent to this one.
    if callback.issuer is not None and callback.issuer not in provider.issuers:
        raise Refused("mix_up")
    if callback.error is not None:
        raise _failure(callback.error)
    if endpoints.names_itself and callback.issuer is None:
        raise Refused("no_issuer")
    if callback.code is None or not _CODE.fullmatch(callback.code):
        raise Refused("no_code")
    return callback.code


def _failure(error: str) -> Exception:
    if error in _CANCELLED:
        return Cancelled("cancelled")
    return Unanswered("callback_later") if error in _LATER else Refused("callback_error")
