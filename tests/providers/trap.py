"""A service that trusts a provider which turns out to be hostile, and another one; and what may never come of it."""

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import func, select
from yarl import URL

from src.db.models import Identity, Session, User

from ..browser import Tab
from ..cast import Service
from .hostile import HostileProvider


class Trap:
    """`service` takes `evil` and `good`; both are HostileProviders, and `good` stays honest unless told otherwise."""

    def __init__(self, service: Service, evil: HostileProvider, good: HostileProvider) -> None:
        self.service, self.evil, self.good = service, evil, good

    def start(self, provider: str = "evil", redirect_to: str = "/there") -> str:
        """Where signing in begins."""
        return f"{self.service.url}/api/v1/auth/oauth/{provider}?redirect_to={redirect_to}"

    def callback(self, provider: str = "evil", **query: str) -> URL:
        """Where a provider sends the browser."""
        return URL(f"{self.service.url}/api/v1/auth/oauth/{provider}/callback").with_query(query)

    async def come(self, tab: Tab, provider: str = "evil") -> str | None:
        """Sign in; the error with which it ends, None if it does not."""
        await tab.visit(self.start(provider))
        return self.ended(tab)

    async def held(self, tab: Tab, provider: str = "evil") -> URL:
        """Begin to sign in, and stop with the callback in hand."""
        return (await tab.visit(self.start(provider), hold="/callback")).url

    def ended(self, tab: Tab) -> str | None:
        """The error with which a tab was led to a page of the service."""
        assert tab.page.url.path == "/there", tab.trail
        return tab.page.url.query.get("error")

    async def signed_in(self, tab: Tab) -> bool:
        """Whether anybody is, in this browser."""
        return (await tab.fetch("POST", f"{self.service.url}/api/v1/auth/refresh")).status == 200

    async def made(self) -> list[int]:
        """How many accounts, identities and sessions there are."""
        counts = [select(func.count()).select_from(table) for table in (User, Identity, Session)]
        async with self.service.parts.database.transaction() as tx:
            return [int(await tx._connection.scalar(count)) for count in counts]

    @contextlib.asynccontextmanager
    async def nothing_made(self) -> AsyncIterator[None]:
        """Whatever happens in here makes no account, identity or session, and the service lives on."""
        before = await self.made()
        yield
        assert await self.made() == before
        async with self.service.http.get("/readyz") as answer:
            assert answer.status == 200
