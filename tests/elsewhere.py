"""People who sign in elsewhere, without the elsewhere: what a provider would have said, handed to the services."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import update

from src.clock import now
from src.db.models import Session
from src.oauth.identity import Grant, VerifiedIdentity
from src.viewer import ClientInfo

from .accounts import alter
from .cast import Cast, Person, Service

NOWHERE: Final = "http://127.0.0.1:9"
"""Nobody answers there (RFC 863's port), so that no test ever asks a real provider."""
ISSUERS: Final = {name: f"{NOWHERE}/{name}" for name in ("google", "naver", "kakao", "acme")}
ADMIN_KEY: Final = "the admin key of the Kakao app"
PROVIDERS: Final[Mapping[str, Any]] = {
    name: {
        "client_id": f"{name}-client",
        "client_secret": f"{name}-secret",
        "issuer": issuer,
        "admin_key": ADMIN_KEY if name == "kakao" else "",
        **{f"{end}_url": f"{issuer}/{end}" for end in ("authorize", "token", "userinfo", "jwks", "revoke")},
    }
    for name, issuer in ISSUERS.items()
}


def identity(provider: str = "kakao", subject: str = "1001", **said: Any) -> VerifiedIdentity:
    """Somebody at a provider. `said` replaces fields: without any, no e-mail, no name and no grant."""
    fields = {"email": None, "email_verified": False, "nickname": None, "picture": None, "grant": None} | said
    return VerifiedIdentity(provider, ISSUERS[provider], subject, **fields)


def grant(name: str = "one") -> Grant:
    return Grant(f"access token {name}", f"refresh token {name}", None)


async def sign_in(cast: Cast, who: VerifiedIdentity, language: str = "ko") -> Person:
    """Sign in with an identity as the callback does, once the provider's answers are verified."""
    client = ClientInfo("127.0.0.1", "tests", language)
    started = await cast.service.parts.social._entry.sign_in(who, client)
    session = started.session.model_dump(mode="json") | {"refresh_token": started.refresh_token}
    return Person(cast, session)


async def link(person: Person, who: VerifiedIdentity) -> None:
    """Link an identity to somebody as the callback does."""
    parts = person._cast.service.parts
    viewer = await parts.sessions.authenticate(person.token or "")
    await parts.identities.link(viewer.session_id, who)


async def some_time_passes(service: Service, minutes: float = 6) -> None:
    """Every session began that much earlier."""
    await alter(service, update(Session).values(created_at=now() - timedelta(minutes=minutes)))


class Revoked(list[tuple[str, str, Grant | None]]):
    """What providers were told to forget: provider, subject, grant."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        service.parts.oauth.revoke = self._note  # type: ignore[method-assign]

    async def _note(self, provider: str, subject: str, grant: Grant | None) -> None:
        self.append((provider, subject, grant))
