"""A provider that may misbehave, and the client that asks it."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from src.config import Settings
from src.errors import AccessDenied
from src.oauth.client import OAuthClient
from src.oauth.identity import Attempt, Callback, VerifiedIdentity
from src.oauth.providers import providers_from

from ..providers.hostile import HostileProvider

PUBLIC_URL = "http://localhost:8000"


def client_of(**providers: dict[str, str]) -> OAuthClient:
    """A client of these providers, by their settings."""
    return OAuthClient(providers_from(Settings(_env_file=None, providers=providers)), PUBLIC_URL)


def new_attempt() -> Attempt:
    return Attempt(secrets.token_urlsafe(16), secrets.token_urlsafe(16), secrets.token_urlsafe(48))


class Stage:
    """`evil` and the `client` that has it as its one provider. Whatever `client` logged is in `logged`."""

    def __init__(self, evil: HostileProvider, client: OAuthClient, logged: list[Any]) -> None:
        self.evil, self.client, self.logged = evil, client, logged

    async def visit(self, attempt: Attempt) -> Callback:
        """Go to the provider and come back."""
        query = await self.evil.visit(await self.client.authorization_url("evil", attempt))
        return Callback(query.get("code"), query.get("error"), query.get("iss"))

    async def sign_in(self) -> VerifiedIdentity:
        attempt = new_attempt()
        return await self.client.identify("evil", await self.visit(attempt), attempt)

    async def fails(self, error: type[Exception], reason: str) -> None:
        """Signing in ends with `error`, and one line says why without a word of the provider's or the person's."""
        before = len(self.logged)
        with pytest.raises(Exception) as caught:
            await self.sign_in()
        assert type(caught.value) is error
        (line,) = self.logged[before:]
        assert {**line, "exc_info": None} == {
            "event": "asking a provider failed", "provider": "evil", "reason": reason, "exc_info": None,
            "log_level": "info" if error is AccessDenied else "warning",
        }  # fmt: skip

    def with_settings(self, **more: str) -> "Stage":
        """The same provider for a client with other settings; the client is to be closed."""
        return Stage(self.evil, client_of(evil=self.evil.settings(**more)), self.logged)


@pytest.fixture
async def evil() -> AsyncIterator[HostileProvider]:
    async with HostileProvider() as provider:
        yield provider


@pytest.fixture
async def stage(evil: HostileProvider) -> AsyncIterator[Stage]:
    client = client_of(evil=evil.settings())
    with capture_logs() as logged:
        yield Stage(evil, client, logged)
    await client.close()
