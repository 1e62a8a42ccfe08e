"""Where a provider's endpoints are: as set, else as its discovery document says (OpenID Connect Discovery §4)."""

from functools import partial
from typing import Any, NamedTuple

from ..origins import origin_of
from .cached import Cached
from .failures import Unanswered
from .outbound import Outbound
from .providers import Provider

_BASIC, _POST = "client_secret_basic", "client_secret_post"


class Endpoints(NamedTuple):
    """A provider's addresses, all at its origins.

    `auth_method`: how the client says who it is at `token` and `revoke`.
    `names_itself`: it sends `iss` to the callback (RFC 9207 §3), so that one without it is not its own.
    """

    authorize: str
    token: str
    userinfo: str | None
    jwks: str | None
    revoke: str | None
    auth_method: str
    names_itself: bool


class Discovery:
    """Discovery documents, asked over `outbound` and kept for a while."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._documents: dict[str, Cached[dict[str, Any]]] = {}

    async def endpoints(self, provider: Provider) -> Endpoints:
        """Where to ask. Raises Unanswered if the document cannot be had, or is not of this provider."""
        document = await self._document(provider) if provider.discovery_url else {}
        urls: dict[str, Any] = {
            "authorize": provider.authorize_url or document.get("authorization_endpoint"),
            "token": provider.token_url or document.get("token_endpoint"),
            "userinfo": provider.userinfo_url or document.get("userinfo_endpoint"),
            "jwks": provider.jwks_url or document.get("jwks_uri"),
            "revoke": provider.revoke_url or document.get("revocation_endpoint"),
        }
        _refuse_unusable(urls, provider)
        return Endpoints(
            **urls,
            auth_method=provider.auth_method or _auth_method(document),
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _document(self, provider: Provider) -> dict[str, Any]:
        if provider.name not in self._documents:
            self._documents[provider.name] = Cached(partial(self._fetch, provider))
        return await self._documents[provider.name].get()

    async def _fetch(self, provider: Provider) -> dict[str, Any]:
        answer = await self._outbound.ask(provider.discovery_url or "", provider.origins)
        if not answer.is_success:
            raise Unanswered("no_discovery")
        document = answer.json()
        if document.get("issuer") != provider.issuer:
            raise Unanswered("discovery_of_another")
        return document


def _refuse_unusable(urls: dict[str, Any], provider: Provider) -> None:
    needed = {"authorize", "token"} | ({"jwks"} if provider.is_oidc else set())
    for name, url in urls.items():
        if url is None and name not in needed:
            continue
        try:
            known = origin_of(url) in provider.origins
        except (TypeError, ValueError):
            known = False
        if not known:
            raise Unanswered("discovery_points_elsewhere")


def _auth_method(document: dict[str, Any]) -> str:
    """`client_secret_basic` is what a document means that says nothing (OpenID Connect Discovery §3)."""
    methods = document.get("token_endpoint_auth_methods_supported")
    return _POST if isinstance(methods, list) and _POST in methods and _BASIC not in methods else _BASIC
