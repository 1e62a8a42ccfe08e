"""The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636): authlib's core over our own HTTP client.

Imported only where there is a provider: authlib takes its time.
"""

import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc7009 import prepare_revoke_token_request

from ..clock import now
from .answers import token as clean_token
from .discovery import Endpoints
from .failures import Refused, Unanswered
from .grants import expiry
from .identity import Attempt, Grant
from .outbound import Answer, Outbound
from .providers import Provider

_LATER = frozenset({"server_error", "temporarily_unavailable"})
_TELLING = frozenset({"invalid_client", "unauthorized_client", "invalid_grant", "redirect_uri_mismatch"})


class CodeFlow(OAuth2Client):  # type: ignore[misc]
    """One provider as an OAuth client sees it. Raises Refused and Unanswered."""

    def __init__(self, outbound: Outbound, provider: Provider, endpoints: Endpoints, redirect_uri: str = "") -> None:
        super().__init__(
            session=outbound,
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            token_endpoint_auth_method=endpoints.auth_method,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )
        self.register_client_auth_method(("client_secret_basic", _basic))
        self._provider = provider
        self._endpoints = endpoints

    def address(self, attempt: Attempt) -> str:
        """Where the browser is sent: RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1."""
        more = dict(self._provider.authorize_params)
        if self._provider.is_oidc:
            more["nonce"] = attempt.nonce
        address, _ = self.create_authorization_url(
            self._endpoints.authorize,
            state=attempt.state,
            code_verifier=attempt.verifier,
            scope=self._provider.scope,
            **more,
        )
        return str(address)

    async def redeem(self, code: str, attempt: Attempt) -> dict[str, Any]:
        """The token endpoint's answer to a code (RFC 6749 §4.1.3), with a sound `access_token`."""
        # Naver wants the state here too.
        body = urlencode({"state": attempt.state}) if self._provider.dialect == "naver" else ""
        answer: dict[str, Any] = await self.fetch_token(
            self._endpoints.token, body=body, code=code, code_verifier=attempt.verifier, grant_type="authorization_code"
        )
        return answer

    async def refreshed(self, grant: Grant) -> Grant:
        """A grant whose access token is good for a while, `grant` itself if it is (RFC 6749 §6)."""
        if grant.refresh_token is None or (grant.expires_at and grant.expires_at > now()):
            return grant
        answer = await self.refresh_token(self._endpoints.token, refresh_token=grant.refresh_token)
        refresh = clean_token(answer.get("refresh_token")) or grant.refresh_token
        return Grant(answer["access_token"], refresh, expiry(answer.get("expires_in")))

    async def revoke(self, grant: Grant) -> Answer:
        """RFC 7009 §2.1, the refresh token if there is one: its end is that of the access tokens made with it."""
        kind = "refresh_token" if grant.refresh_token else "access_token"
        body, headers = prepare_revoke_token_request(grant.refresh_token or grant.access_token, kind)
        auth = self.client_auth(self.token_endpoint_auth_method)
        return await self._post(self._endpoints.revoke, body, headers, auth)

    async def _fetch_token(self, url: str, body: str = "", headers: Any = None, auth: Any = None, **_: Any) -> Any:
        return _token_in(await self._post(url, body, headers, auth))

    async def _refresh_token(self, url: str, body: str = "", headers: Any = None, auth: Any = None, **_: Any) -> Any:
        return _token_in(await self._post(url, body, headers, auth))

    async def _post(self, url: str | None, body: str, headers: Any, auth: Any) -> Answer:
        # A copy: authlib hands out one dictionary for all, and would leave one client's secret in it for the next.
        url, headers, body = auth.prepare("POST", url, dict(headers or {}), body)
        outbound: Outbound = self.session
        return await outbound.ask(str(url), self._provider.origins, form=body, headers=headers)


def _token_in(answer: Answer) -> dict[str, Any]:
    """RFC 6749 §5.1 and §5.2; Naver tells its errors with status 200."""
    token = answer.json()
    if "error" in token or not answer.is_success:
        error = str(token.get("error"))
        if error in _LATER:
            raise Unanswered("token_later")
        raise Refused(f"token_{error}" if error in _TELLING else "token_refused")
    if not clean_token(token.get("access_token")):
        raise Refused("no_access_token")
    if str(token.get("token_type", "Bearer")).lower() != "bearer":
        raise Refused("wrong_token_type")
    return token


def _basic(client: Any, _: str, url: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """RFC 6749 §2.3.1: both are form-encoded first, which authlib leaves out."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return url, headers, body
