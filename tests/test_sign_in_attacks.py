"""Attacks on signing in elsewhere, on the way between browser, service and provider (RFC 9700 §4)."""

import asyncio

import pytest
from sqlalchemy import update
from yarl import URL

from src.db.models import SignInAttempt

from .accounts import alter
from .browser import Browser, Tab
from .providers.stage import Stage, error_of, somebody
from .providers.trap import Trap

EVERYBODY = ("google", "naver", "kakao", "acme")


@pytest.fixture(params=EVERYBODY)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestTheState:
    async def test_is_needed(self, stage: Stage, tab: Tab, provider: str) -> None:
        held = await stage.sign_in(tab, provider, somebody(), hold="/callback")
        async with stage.nothing_made():
            await tab.visit(held.url.without_query_params("state"))
        assert error_of(stage.landed(tab)) == "sign_in_expired"
        assert await stage.who(tab) is None

    async def test_is_of_this_browser(self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str) -> None:
        """Login CSRF: Mallory sends Anna the end of a sign-in of hers, whether or not Anna has one under way."""
        mallorys = await stage.sign_in(elsewhere, provider, somebody("Mallory", None), hold="/callback")
        async with stage.nothing_made():
            await tab.click(mallorys.url, on="evil.example:80")
            assert error_of(stage.landed(tab)) == "sign_in_expired"
            await stage.sign_in(tab, provider, somebody(), hold="/callback")
            await tab.click(mallorys.url, on="evil.example:80")
            assert error_of(stage.landed(tab)) == "sign_in_expired"
        assert await stage.who(tab) is None
        await elsewhere.visit(mallorys.url)  # and it was not used up by others
        assert await stage.who(elsewhere)

    async def test_is_of_this_provider(self, stage: Stage, tab: Tab) -> None:
        held = await stage.sign_in(tab, "kakao", somebody(), hold="/callback")
        async with stage.nothing_made():
            await tab.visit(stage.callback("naver", **dict(held.url.query)))
        assert error_of(stage.landed(tab)) == "sign_in_expired"
        assert not stage.naver.heard("/oauth2.0/token")

    async def test_works_once(self, stage: Stage, tab: Tab, provider: str) -> None:
        held = await stage.sign_in(tab, provider, somebody(), hold="/callback")
        await tab.visit(held.url)
        async with stage.nothing_made():
            await tab.visit(held.url)
        assert error_of(stage.landed(tab)) == "sign_in_expired"

    async def test_works_once_of_twenty_at_once(self, stage: Stage, browser: Browser) -> None:
        held = await stage.sign_in(browser.tab(), "kakao", somebody(), hold="/callback")
        tabs = [browser.tab() for _ in range(20)]
        await asyncio.gather(*(tab.visit(held.url) for tab in tabs))
        errors = [error_of(stage.landed(tab)) for tab in tabs]
        assert sorted(map(str, errors)) == ["None"] + ["sign_in_expired"] * 19
        assert await stage.made() == (1, 1, 1)
        assert len(stage.kakao.heard("/oauth/token")) == 1

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "state",
        [
            "",
            "x",
            "x" * 8000,
            "%00",
            "%ff%fe",
            "%ed%a0%80",
            "'%20OR%201=1%20--",
            "a&state=b",
            "{}",
            "../..",
            "%ED%95%9C%EA%B8%80",
        ],
    )
    async def test_that_was_made_up_is_none(self, stage: Stage, tab: Tab, state: str) -> None:
        provider = "kakao"
        await stage.sign_in(tab, provider, somebody(), hold="/callback")
        async with stage.nothing_made():
            page = await tab.visit(stage.at(f"/api/v1/auth/oauth/{provider}/callback?code=x&state={state}"))
        assert error_of(stage.landed(tab)) == "sign_in_expired" or (page.status == 400 and len(state) > 7000)


class TestTheCode:
    async def test_of_somebody_else_is_refused(self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str) -> None:
        """Code injection: a stolen code, put into a sign-in of one's own."""
        annas = await stage.sign_in(elsewhere, provider, somebody(), hold="/callback")
        mallorys = await stage.sign_in(tab, provider, somebody("Mallory", None), "/there", hold="/callback")
        async with stage.nothing_made():
            await tab.visit(mallorys.url.update_query(code=annas.url.query["code"]))
        page = stage.landed(tab)
        assert (page.url.path, error_of(page)) == ("/there", "sign_in_failed")
        assert await stage.who(tab) is None

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "code", [None, "", "x", "x" * 3000, "%00", "'%20OR%201=1%20--", "a&code=b", "%ED%95%9C%EA%B8%80"]
    )
    @pytest.mark.parametrize("provider", ["acme", "naver"])
    async def test_that_was_made_up_is_refused(self, stage: Stage, tab: Tab, provider: str, code: str | None) -> None:
        held = await stage.sign_in(tab, provider, somebody(), "/there", hold="/callback")
        rest = held.url.without_query_params("code").raw_query_string
        async with stage.nothing_made():
            said = "" if code is None else f"code={code}&"
            await tab.visit(URL(f"{stage.callback(provider)}?{said}{rest}", encoded=True))
        page = stage.landed(tab)
        assert (page.url.path, error_of(page)) == ("/there", "sign_in_failed")

    async def test_is_worth_nothing_without_the_verifier(self, stage: Stage, tab: Tab) -> None:
        """PKCE: what the provider checks is what this browser's sign-in was begun with."""
        held = await stage.sign_in(tab, "kakao", somebody(), hold="/callback")
        await alter(stage.service, update(SignInAttempt).values(verifier="v" * 64))
        async with stage.nothing_made():
            await tab.visit(held.url)
        assert error_of(stage.landed(tab)) == "sign_in_failed"

    async def test_and_an_error_together_sign_nobody_in(self, stage: Stage, tab: Tab) -> None:
        held = await stage.sign_in(tab, "kakao", somebody(), hold="/callback")
        async with stage.nothing_made():
            await tab.visit(held.url.update_query(error="access_denied"))
        assert error_of(stage.landed(tab)) == "access_denied"


class TestMixUp:
    async def test_a_code_of_one_is_not_given_to_the_other(self, trap: Trap, tab: Tab) -> None:
        held = await trap.held(tab, "good")
        async with trap.nothing_made():
            await tab.visit(trap.callback("evil", **dict(held.query)))
        assert tab.page.url.path != "/there"
        assert not trap.evil.requests["token"]

    async def test_an_answer_that_names_another_issuer_is_refused(self, trap: Trap, tab: Tab) -> None:
        """RFC 9207: the browser went to evil, which sent it on to good; good's code comes back to evil's callback."""
        goods, evils = await trap.held(tab, "good"), await trap.held(tab, "evil")
        async with trap.nothing_made():
            mixed = goods.query["code"], goods.query["iss"]
            await tab.visit(trap.callback("evil", state=evils.query["state"], code=mixed[0], iss=mixed[1]))
        assert trap.ended(tab) == "sign_in_failed"
        assert not trap.evil.requests["token"]

    async def test_an_answer_that_names_no_issuer_is_refused(self, trap: Trap, tab: Tab) -> None:
        held = await trap.held(tab)
        async with trap.nothing_made():
            await tab.visit(held.without_query_params("iss"))
        assert trap.ended(tab) == "sign_in_failed"
        assert not trap.evil.requests["token"]
