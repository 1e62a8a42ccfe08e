"""A service with providers around it, and people at browsers who go through their pages."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import orjson
from sqlalchemy import func, select
from yarl import URL

from src.db.models import Identity, Session, User

from ..browser import Page, Tab
from ..cast import Cast, Person, Service
from .kakao import Kakao
from .naver import Naver
from .oidc import Oidc
from .stand_in import Somebody

_subjects = itertools.count(4_000_001)


def somebody(nickname: str | None = "안나", email: str | None = "anna@example.com", **more: Any) -> Somebody:
    """A person whom no provider has seen yet."""
    return Somebody(str(next(_subjects)), nickname, email, **more)


class Stage:
    """`service` takes google and acme (both `oidc`), `kakao` and `naver`."""

    def __init__(self, service: Service, oidc: Oidc, kakao: Kakao, naver: Naver) -> None:
        self.service, self.oidc, self.kakao, self.naver = service, oidc, kakao, naver
        self._cast = Cast(service)
        for stand_in in (kakao, naver):
            stand_in.redirect_uri = str(self.callback(stand_in.name))

    @property
    def site(self) -> str:
        """The host and port of the service."""
        return URL(self.service.url).authority

    def at(self, path: str) -> URL:
        """An address of the service."""
        return URL(self.service.url + path, encoded=True)

    def start(self, provider: str, redirect_to: str | None = None, **query: str) -> URL:
        """Where signing in begins."""
        query |= {"redirect_to": redirect_to} if redirect_to is not None else {}
        return self.at(f"/api/v1/auth/oauth/{provider}").with_query(query)

    def callback(self, provider: str, **query: str) -> URL:
        """Where a provider sends the browser."""
        return self.at(f"/api/v1/auth/oauth/{provider}/callback").with_query(query)

    def linking(self, provider: str, redirect_to: str = "/settings") -> URL:
        """Where linking begins."""
        return self.start(provider, redirect_to, link="1")

    async def go(self, tab: Tab, start: URL, person: Somebody | None, *, hold: str | None = None) -> Page:
        """Follow a link of the service's own page, and pass through the provider's; without a person, turn back."""
        self.kakao.visitor = self.naver.visitor = person
        if person and not any(name in start.path for name in ("kakao", "naver")):
            await self.oidc.know(person)
        await tab.click(start, hold=hold, on=self.site)
        await self.oidc.pass_through(tab, person, hold)
        return self.landed(tab)

    def landed(self, tab: Tab) -> Page:
        """Where the service led the browser, whatever is served there; the page it stands on, if not by the service."""
        flow = "/api/v1/auth/oauth/"
        past = [number for number, url in enumerate(tab.trail) if flow in url.path and url.authority == self.site]
        led = tab.trail[past[-1] + 1 :] if past and not (tab.page.status == 0 and flow in tab.page.url.path) else []
        return tab.page._replace(url=led[0]) if led else tab.page

    async def asked(self, provider: str) -> URL:
        """Where the service sends a browser that wants to sign in."""
        async with self.service.http.get(self.start(provider).path_qs, allow_redirects=False) as answer:
            assert answer.status == 302
            return URL(answer.headers["Location"], encoded=True)

    async def sign_in(
        self, tab: Tab, provider: str, person: Somebody | None, redirect_to: str | None = None, hold: str | None = None
    ) -> Page:
        """Sign in at a provider; where it ends."""
        return await self.go(tab, self.start(provider, redirect_to), person, hold=hold)

    async def link(self, tab: Tab, provider: str, person: Somebody | None, hold: str | None = None) -> Page:
        """Link a provider from the settings; where it ends."""
        return await self.go(tab, self.linking(provider), person, hold=hold)

    async def register(self, tab: Tab, email: str = "anna@example.com", nickname: str = "Anna") -> Person:
        """Make an account with a password, in this browser."""
        body = {"email": email, "password": "a cold morning in Gangneung", "nickname": nickname}
        page = await tab.fetch("POST", self.at("/api/v1/auth/register"), json=body)
        assert page.status == 201, page.text
        found = await self.who(tab)
        assert found
        return found

    async def who(self, tab: Tab) -> Person | None:
        """Who is signed in in this browser: what its pages find out by their refresh cookie."""
        page = await tab.fetch("POST", self.at("/api/v1/auth/refresh"))
        if page.status != 200:
            assert page.status == 401, page.text
            return None
        return Person(self._cast, orjson.loads(page.text) | {"refresh_token": ""})

    async def me(self, tab: Tab) -> dict[str, Any]:
        """`Me` of whoever is signed in in this browser."""
        person = await self.who(tab)
        assert person, "nobody is signed in"
        return dict(await person.get("/users/me"))

    async def made(self) -> tuple[int, int, int]:
        """How many accounts, identities and sessions there are."""
        counts = [select(func.count()).select_from(table) for table in (User, Identity, Session)]
        async with self.service.parts.database.transaction() as tx:
            one, two, three = [int(await tx._connection.scalar(count)) for count in counts]
        return one, two, three

    @contextlib.asynccontextmanager
    async def nothing_made(self) -> AsyncIterator[None]:
        """Whatever happens in here makes no account, identity or session, and the service lives on."""
        before = await self.made()
        yield
        assert await self.made() == before
        async with self.service.http.get("/readyz") as answer:
            assert answer.status == 200


def error_of(page: Page) -> str | None:
    """What the service told the page at which it ended."""
    return page.url.query.get("error")
