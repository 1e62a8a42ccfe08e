"""Linking sign-in methods to an account, and unlinking them (contract §3)."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from src.clock import now
from src.db.models import Session

from .accounts import alter
from .browser import Browser, Tab
from .cast import Person
from .conftest import Mailbox
from .providers.stage import Stage, error_of, somebody

EVERYBODY = ("google", "naver", "kakao", "acme")


@pytest.fixture(params=EVERYBODY)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def anna(stage: Stage, tab: Tab) -> Person:
    """Anna, with a password, signed in in `tab`."""
    return await stage.register(tab)


async def grow_old(stage: Stage) -> None:
    """Every session was begun six minutes ago."""
    await alter(stage.service, update(Session).values(created_at=now() - timedelta(minutes=6)))


async def linked_to(person: Person) -> list[str]:
    return [identity["provider"] for identity in (await person.get("/users/me"))["identities"]]


class TestLinking:
    async def test_adds_a_way_to_sign_in(
        self, stage: Stage, tab: Tab, elsewhere: Tab, anna: Person, provider: str
    ) -> None:
        known_there = somebody("Another name", "anna.elsewhere@example.com")
        page = await stage.link(tab, provider, known_there)
        assert str(page.url) == f"{stage.service.url}/settings"
        me = await anna.get("/users/me")
        assert (me["nickname"], me["email"]) == ("Anna", "anna@example.com")
        assert [(each["provider"], each["email"]) for each in me["identities"]] == [(provider, known_there.email)]
        await stage.sign_in(elsewhere, provider, known_there)
        assert (await stage.me(elsewhere))["id"] == anna.id
        assert (await stage.made())[:2] == (1, 1)

    async def test_leaves_the_session_as_it_is(self, stage: Stage, tab: Tab, anna: Person) -> None:
        before = (await stage.made())[2]
        await stage.link(tab, "kakao", somebody())
        assert (await stage.made())[2] == before
        assert (await stage.me(tab))["id"] == anna.id
        assert (await anna.raw("GET", "/users/me")).status == 200

    async def test_of_an_address_of_mine_or_of_anybody_is_allowed(
        self, stage: Stage, tab: Tab, elsewhere: Tab, anna: Person
    ) -> None:
        boris = await stage.register(elsewhere, "boris@example.com", "Boris")
        assert error_of(await stage.link(tab, "kakao", somebody(email=anna.email))) is None
        assert error_of(await stage.link(tab, "google", somebody(email=boris.email))) is None
        assert (await anna.get("/users/me"))["email"] == anna.email
        assert await linked_to(anna) == ["kakao", "google"]

    async def test_works_again_and_changes_nothing(self, stage: Stage, tab: Tab, anna: Person, provider: str) -> None:
        known_there = somebody()
        for _ in range(2):
            assert error_of(await stage.link(tab, provider, known_there)) is None
        assert await linked_to(anna) == [provider]

    async def test_can_be_begun_by_a_token(self, stage: Stage, anna: Person) -> None:
        path = stage.linking("naver").path_qs
        headers = {"Authorization": f"Bearer {anna.token}"}
        async with stage.service.http.get(path, headers=headers, allow_redirects=False) as answer:
            assert answer.headers["Location"].startswith(stage.naver.url)

    async def test_is_told_by_mail_to_a_confirmed_address(self, stage: Stage, tab: Tab, mailbox: Mailbox) -> None:
        await stage.sign_in(tab, "google", somebody())
        await stage.link(tab, "kakao", somebody(email=None))
        await mailbox.next_to("anna@example.com")
        person = await stage.who(tab)
        assert person
        await person.delete("/users/me/identities/kakao", expect=204)
        await mailbox.next_to("anna@example.com", count=2)


class TestLinkingIsRefused:
    async def test_if_it_is_somebody_elses(
        self, stage: Stage, tab: Tab, elsewhere: Tab, anna: Person, provider: str
    ) -> None:
        boris = somebody("Boris", "boris@example.com")
        await stage.sign_in(elsewhere, provider, boris)
        async with stage.nothing_made():
            page = await stage.link(tab, provider, boris)
        assert (page.url.path, error_of(page)) == ("/settings", "identity_taken")
        assert await linked_to(anna) == []

    async def test_if_i_have_another_of_its_kind(self, stage: Stage, tab: Tab, anna: Person) -> None:
        await stage.link(tab, "naver", somebody())
        async with stage.nothing_made():
            assert error_of(await stage.link(tab, "naver", somebody())) == "identity_taken"

    async def test_without_a_session(self, stage: Stage, tab: Tab, provider: str) -> None:
        async with stage.nothing_made():
            page = await stage.link(tab, provider, somebody())
        assert (page.url.path, error_of(page)) == ("/settings", "unauthorized")
        assert await stage.who(tab) is None

    async def test_if_the_session_is_not_recent(self, stage: Stage, tab: Tab, anna: Person) -> None:
        await grow_old(stage)
        async with stage.nothing_made():
            page = await stage.link(tab, "kakao", somebody())
        assert (page.url.path, error_of(page)) == ("/settings", "reauthentication_required")
        assert await linked_to(anna) == []

    async def test_to_another_site(self, stage: Stage, tab: Tab, anna: Person) -> None:
        stage.kakao.visitor = somebody("Mallory")
        async with stage.nothing_made():
            await tab.click(stage.linking("kakao"), on="evil.example:80")
        assert error_of(stage.landed(tab)) == "unauthorized"
        assert await linked_to(anna) == []

    async def test_to_another_site_that_takes_the_long_way(self, stage: Stage, tab: Tab, anna: Person) -> None:
        stage.kakao.visitor = stage.naver.visitor = known_there = somebody("Mallory", None)
        await tab.click(stage.start("naver", str(stage.linking("kakao").relative())), on="evil.example:80")
        assert error_of(stage.landed(tab)) == "unauthorized"
        assert await linked_to(anna) == []
        assert not [given for given in stage.kakao.codes.values() if given.person == known_there]

    async def test_once_the_session_has_ended(self, stage: Stage, tab: Tab, anna: Person) -> None:
        page = await stage.link(tab, "kakao", somebody(), hold="/callback")
        await anna.post("/auth/logout")
        async with stage.nothing_made():
            await tab.visit(page.url)
        assert error_of(stage.landed(tab)) == "unauthorized"

    async def test_in_a_browser_that_did_not_begin_it(
        self, stage: Stage, tab: Tab, elsewhere: Tab, anna: Person
    ) -> None:
        page = await stage.link(tab, "kakao", somebody("Mallory"), hold="/callback")
        async with stage.nothing_made():
            await elsewhere.visit(page.url)
        assert error_of(stage.landed(elsewhere)) == "sign_in_expired"
        assert await linked_to(anna) == []


class TestUnlinking:
    async def test_takes_the_way_away(self, stage: Stage, tab: Tab, anna: Person, provider: str) -> None:
        known_there = somebody("A", "other@example.com")
        await stage.link(tab, provider, known_there)
        await anna.delete(f"/users/me/identities/{provider}", expect=204)
        assert await linked_to(anna) == []
        await anna.delete(f"/users/me/identities/{provider}", expect=404)
        async with Browser() as another:
            there = another.tab()
            await stage.sign_in(there, provider, known_there)
            assert (await stage.me(there))["id"] != anna.id

    async def test_never_takes_the_last(self, stage: Stage, tab: Tab, provider: str) -> None:
        await stage.sign_in(tab, provider, somebody())
        person = await stage.who(tab)
        assert person
        async with stage.nothing_made():
            refusal = await person.delete(f"/users/me/identities/{provider}", expect=409)
        assert refusal["code"] == "last_sign_in_method"

    async def test_of_two_at_once_leaves_one(self, stage: Stage, tab: Tab) -> None:
        await stage.sign_in(tab, "kakao", somebody())
        await stage.link(tab, "naver", somebody())
        person = await stage.who(tab)
        assert person
        calls = [person.raw("DELETE", f"/users/me/identities/{name}") for name in ("kakao", "naver")]
        assert sorted([answer.status for answer in await asyncio.gather(*calls)]) == [204, 409]
        assert len(await linked_to(person)) == 1

    async def test_of_one_twice_at_once_is_done_once(self, stage: Stage, tab: Tab, anna: Person) -> None:
        await stage.link(tab, "kakao", somebody())
        calls = [anna.raw("DELETE", "/users/me/identities/kakao") for _ in range(2)]
        assert sorted([answer.status for answer in await asyncio.gather(*calls)]) == [204, 404]

    async def test_needs_a_recent_sign_in(self, stage: Stage, tab: Tab, anna: Person) -> None:
        await stage.link(tab, "kakao", somebody())
        await grow_old(stage)
        async with stage.nothing_made():
            refusal = await anna.delete("/users/me/identities/kakao", expect=403)
        assert refusal["code"] == "reauthentication_required"

    async def test_is_nobody_elses_affair(self, stage: Stage, tab: Tab, elsewhere: Tab, anna: Person) -> None:
        await stage.link(tab, "kakao", somebody())
        boris = await stage.register(elsewhere, "boris@example.com", "Boris")
        await boris.delete("/users/me/identities/kakao", expect=404)
        assert await linked_to(anna) == ["kakao"]
