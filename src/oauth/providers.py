"""Who may vouch for people: each provider as data, made of what is known of it and of what the operator set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from ..config import Settings
from ..origins import origin_of
from ..sign_in_settings import KNOWN, ProviderSettings

Dialect = Literal["oidc", "google", "kakao", "naver"]
"""How a provider says who somebody is, and how it is told to forget them: the rows of profiles.py, revocation.py."""

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. Addresses that are None are asked of its discovery document (discovery.py).

    `issuers`: what it may call itself in `iss`; `issuer`: what its identities are kept under.
    `scope`: as it is sent. `auth_method`: RFC 7591's word for how the client says who it is; None: as discovery says.
    `origins`: where its addresses may be; nothing else is ever asked on its behalf.
    """

    name: str
    display_name: str
    dialect: Dialect
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None
    algorithms: tuple[str, ...]
    origins: frozenset[str]
    issuers: frozenset[str]
    auth_method: str | None = None
    discovery_url: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    userinfo_url: str | None = None
    jwks_url: str | None = None
    revoke_url: str | None = None
    authorize_params: tuple[tuple[str, str], ...] = ()
    admin_key: str = field(default="", repr=False)

    @property
    def is_oidc(self) -> bool:
        """Whether it signs ID tokens."""
        return self.dialect != "naver"


_PRESETS: Final[dict[str, dict[str, Any]]] = {
    # https://developers.google.com/identity/openid-connect/openid-connect
    "google": {
        "display_name": "Google",
        "issuer": "https://accounts.google.com",
        "scope": "openid email profile",
        "hosts": "oauth2.googleapis.com www.googleapis.com openidconnect.googleapis.com",
    },
    # https://developers.naver.com/docs/login/api/api.md: what it tells of a person is set in the console, not by scope
    "naver": {
        "display_name": "Naver",
        "issuer": "https://nid.naver.com",
        "authorize_url": "https://nid.naver.com/oauth2.0/authorize",
        "token_url": "https://nid.naver.com/oauth2.0/token",
        "userinfo_url": "https://openapi.naver.com/v1/nid/me",
        "revoke_url": "https://nid.naver.com/oauth2.0/token",
    },
    # https://developers.kakao.com/docs/latest/ko/kakaologin/rest-api
    "kakao": {
        "display_name": "Kakao",
        "issuer": "https://kauth.kakao.com",
        "scope": "openid account_email profile_nickname profile_image",
        "authorize_url": "https://kauth.kakao.com/oauth/authorize",
        "token_url": "https://kauth.kakao.com/oauth/token",
        "jwks_url": "https://kauth.kakao.com/.well-known/jwks.json",
        "userinfo_url": "https://kapi.kakao.com/v2/user/me",
        "revoke_url": "https://kapi.kakao.com/v1/user/unlink",
    },
}
_GENERIC: Final[dict[str, Any]] = {"scope": "openid email profile", "algorithms": "RS256"}
_QUIRKS: Final[dict[str, dict[str, Any]]] = {
    # Only then is there a refresh token, and only revoking that one removes the grant from the person's account.
    "google": {"authorize_params": (("access_type", "offline"),)},
    "naver": {"auth_method": "client_secret_post"},
    "kakao": {"auth_method": "client_secret_post"},
}


def providers_from(settings: Settings) -> dict[str, Provider]:
    """The providers that are configured, by name: Google, Naver and Kakao first, then the others by name."""
    named = settings.providers
    order = [*(name for name in KNOWN if name in named), *sorted(set(named) - set(KNOWN))]
    return {name: _provider(name, named[name]) for name in order}


def _provider(name: str, given: ProviderSettings) -> Provider:
    known = {**_GENERIC, **_PRESETS.get(name, {}), **{key: value for key, value in given if value}}
    issuer, scope = known["issuer"], known["scope"] if name != "naver" else given.scope
    urls: dict[str, Any] = {
        key: known.get(key) for key in ("authorize_url", "token_url", "userinfo_url", "jwks_url", "revoke_url")
    }
    quirks = _QUIRKS.get(name, {}) | ({} if given.client_secret else {"auth_method": "none"})
    return Provider(
        name=name,
        display_name=known.get("display_name") or name.replace("_", " ").replace("-", " ").title(),
        dialect=name if name in KNOWN else "oidc",  # type: ignore[arg-type]
        issuer=issuer,
        issuers=_issuers(issuer),
        client_id=given.client_id,
        client_secret=given.client_secret,
        scope=",".join(scope.split()) if name == "kakao" else " ".join(scope.split()) or None,
        algorithms=tuple(known["algorithms"].split()),
        origins=_origins(issuer, known),
        discovery_url=_discovery_url(name, given, issuer, urls),
        admin_key=given.admin_key,
        **urls,
        **quirks,
    )


def _discovery_url(name: str, given: ProviderSettings, issuer: str, urls: Mapping[str, str | None]) -> str | None:
    """Where the rest is written, or None if nothing that is needed is missing (OpenID Connect Discovery §4.1)."""
    needed = ("authorize_url", "token_url") if name == "naver" else ("authorize_url", "token_url", "jwks_url")
    if not given.discovery_url and all(urls[key] for key in needed):
        return None
    return given.discovery_url or issuer.rstrip("/") + DISCOVERY_PATH


def _issuers(issuer: str) -> frozenset[str]:
    """Google calls itself by either name (https://developers.google.com/identity/openid-connect/openid-connect)."""
    return frozenset({issuer, "accounts.google.com"} if issuer == "https://accounts.google.com" else {issuer})


def _origins(issuer: str, known: Mapping[str, Any]) -> frozenset[str]:
    """Where its addresses may be: where the issuer is, where those that are set are, and https on further hosts."""
    addresses = [issuer, *(value for key, value in known.items() if key.endswith("_url") and value)]
    # In development a provider on http:// may have its endpoints on another port of http://.
    schemes = {"https", urlsplit(issuer).scheme}
    further = [f"{scheme}://{host}" for host in known.get("hosts", "").split() for scheme in schemes]
    return frozenset(origin_of(address) for address in [*addresses, *further])
