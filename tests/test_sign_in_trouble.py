"""What a person meets when signing in elsewhere goes wrong: always a page of theirs, with a word that says why."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from yarl import URL

from src.clock import now
from src.db.models import SignInAttempt

from .accounts import alter
from .browser import Browser, Tab
from .conftest import StartService
from .providers.hostile import HostileProvider, server_error
from .providers.kakao import Kakao
from .providers.stage import Stage, error_of, somebody

EVERYBODY = ("google", "naver", "kakao", "acme")
PLACE = "/rooms/01?tab=files&q=%ED%95%9C%20a&error=old#m-3"


@pytest.fixture(params=EVERYBODY)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestCancelling:
    async def test_leads_back_to_where_it_began(self, stage: Stage, tab: Tab, provider: str) -> None:
        async with stage.nothing_made():
            page = await stage.sign_in(tab, provider, None, PLACE)
        assert str(page.url) == stage.service.url + PLACE.replace("error=old", "error=access_denied")
        assert await stage.who(tab) is None

    async def test_can_be_thought_better_of(self, stage: Stage, tab: Tab, provider: str) -> None:
        await stage.sign_in(tab, provider, None)
        assert error_of(await stage.sign_in(tab, provider, somebody())) is None
        assert await stage.who(tab)

    async def test_keeps_whoever_is_signed_in(self, stage: Stage, tab: Tab) -> None:
        anna = await stage.register(tab)
        assert error_of(await stage.link(tab, "kakao", None)) == "access_denied"
        assert (await stage.me(tab))["id"] == anna.id

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "word", ["invalid_scope", "consent_required", "server_error", "<script>", "temporarily_unavailable"]
    )
    async def test_has_other_words_too(self, start_service: StartService, word: str) -> None:
        async with HostileProvider() as other, Browser() as browser:
            service = await start_service(providers={"other": other.settings()})
            other.refusal = word
            tab = browser.tab()
            await tab.visit(f"{service.url}/api/v1/auth/oauth/other?redirect_to=/there")
            assert tab.page.url.path == "/there"
            code = tab.page.url.query["error"]
            assert code in ("access_denied", "sign_in_failed", "provider_unavailable")


class TestAProviderThatIsDown:
    @pytest.mark.parametrize(
        ("provider", "path"),
        [
            ("kakao", "/oauth/token"),
            ("kakao", "/v2/user/me"),
            ("kakao", "/.well-known/jwks.json"),
            ("naver", "/oauth2.0/token"),
            ("naver", "/v1/nid/me"),
        ],
    )
    async def test_is_said_and_can_be_tried_again(self, stage: Stage, tab: Tab, provider: str, path: str) -> None:
        stand_in = stage.kakao if provider == "kakao" else stage.naver
        stand_in.down.add(path)
        async with stage.nothing_made():
            page = await stage.sign_in(tab, provider, somebody(), "/there")
        assert (page.url.path, error_of(page)) == ("/there", "provider_unavailable")
        stand_in.down.clear()
        assert error_of(await stage.sign_in(tab, provider, somebody(), "/there")) is None

    @pytest.mark.one_database
    async def test_is_said_before_anybody_is_sent_there(self, start_service: StartService, tab: Tab) -> None:
        async with HostileProvider() as other:
            service = await start_service(providers={"other": other.settings()})
            other.faults["discovery"] = server_error
            await tab.visit(f"{service.url}/api/v1/auth/oauth/other?redirect_to=/there%3Fa%3D1")
            assert str(tab.page.url) == f"{service.url}/there?a=1&error=provider_unavailable"

    @pytest.mark.one_database
    async def test_is_said_when_nobody_listens_there(self, start_service: StartService, tab: Tab) -> None:
        async with HostileProvider() as gone:
            settings = gone.settings()
        service = await start_service(providers={"gone": settings})
        await tab.visit(f"{service.url}/api/v1/auth/oauth/gone?redirect_to=/there")
        assert error_of(tab.page) == "provider_unavailable"


class TestTwoTabs:
    async def test_of_one_browser_both_arrive(self, stage: Stage, browser: Browser, provider: str) -> None:
        anna = somebody()
        tabs = [browser.tab(), browser.tab()]
        held = [await stage.sign_in(tab, provider, anna, "/there", hold="/callback") for tab in tabs]
        for tab, page in reversed(list(zip(tabs, held, strict=True))):
            await tab.visit(page.url)
            assert str(stage.landed(tab).url) == f"{stage.service.url}/there"
        assert (await stage.made())[:2] == (1, 1)

    async def test_may_be_at_two_providers(self, stage: Stage, browser: Browser) -> None:
        one, other = browser.tab(), browser.tab()
        first = await stage.sign_in(one, "kakao", somebody("One", None), hold="/callback")
        await stage.sign_in(other, "naver", somebody("Other", None))
        await one.visit(first.url)
        assert error_of(stage.landed(one)) is None
        assert (await stage.me(one))["nickname"] == "One"

    async def test_each_return_to_their_own_place(self, stage: Stage, browser: Browser) -> None:
        tabs = {name: browser.tab() for name in ("/a", "/b")}
        held = {name: await stage.sign_in(tab, "kakao", None, name, hold="/callback") for name, tab in tabs.items()}
        for name, tab in tabs.items():
            await tab.visit(held[name].url)
            assert stage.landed(tab).url.path == name


class TestGoingBack:
    async def test_to_the_callback_leads_on_to_the_same_place(self, stage: Stage, tab: Tab, provider: str) -> None:
        held = await stage.sign_in(tab, provider, somebody(), PLACE, hold="/callback")
        await tab.visit(held.url)
        signed_in = await stage.me(tab)
        async with stage.nothing_made():
            await tab.visit(held.url)
        expected = stage.service.url + PLACE.replace("error=old", "error=sign_in_expired")
        assert str(stage.landed(tab).url) == expected
        assert await stage.me(tab) == signed_in

    async def test_and_beginning_again_works(self, stage: Stage, tab: Tab, provider: str) -> None:
        anna = somebody()
        await stage.sign_in(tab, provider, anna)
        await tab.visit(stage.at("/docs"))
        await tab.back()
        assert error_of(await stage.sign_in(tab, provider, anna)) is None

    async def test_after_ten_minutes_ends_where_it_was_to_end(self, stage: Stage, tab: Tab, provider: str) -> None:
        held = await stage.sign_in(tab, provider, somebody(), "/there", hold="/callback")
        past = now() - timedelta(seconds=1)
        await alter(stage.service, update(SignInAttempt).values(expires_at=past))
        async with stage.nothing_made():
            await tab.visit(held.url)
        page = stage.landed(tab)
        assert (page.url.path, error_of(page)) == ("/there", "sign_in_expired")


class TestABrowser:
    @pytest.mark.parametrize("provider", ["kakao", "naver"])
    async def test_without_cookies_is_told(self, stage: Stage, provider: str) -> None:
        async with Browser(cookies_off=True) as browser, stage.nothing_made():
            page = await stage.sign_in(browser.tab(), provider, somebody(), "/there")
        assert (page.url.path, error_of(page)) == ("/there", "sign_in_expired")

    async def test_whose_cookies_were_deleted_meanwhile_is_told(self, stage: Stage, tab: Tab) -> None:
        held = await stage.sign_in(tab, "kakao", somebody(), "/there", hold="/callback")
        tab.browser.jar.clear()
        async with stage.nothing_made():
            await tab.visit(held.url)
        assert error_of(stage.landed(tab)) == "sign_in_expired"

    @pytest.mark.one_database
    async def test_with_a_spoilt_cookie_gets_a_new_one(self, stage: Stage, tab: Tab) -> None:
        for spoilt in ("x", "a" * 5000, "%00", '"', "é"):
            headers = {"Cookie": f"chatty_oauth={spoilt}"}
            path = stage.start("kakao").path_qs
            async with stage.service.http.get(path, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 302
                assert answer.cookies["chatty_oauth"].value != spoilt

    @pytest.mark.one_database
    async def test_that_asks_too_often_is_told(self, start_service: StartService, kakao: Kakao) -> None:
        service = await start_service(providers={"kakao": kakao.settings()}, rate_limits="on")
        for _ in range(400):
            path = "/api/v1/auth/oauth/kakao?redirect_to=/there"
            async with service.http.get(path, allow_redirects=False) as answer:
                assert answer.status == 302
                if answer.headers["Location"].startswith("/there"):
                    assert answer.headers["Location"] == "/there?error=rate_limited"
                    return
        raise AssertionError("nobody ever said no")


class TestThePlaceToReturnTo:
    @pytest.mark.parametrize(
        "place",
        [
            "/",
            "/rooms/01?tab=files&q=%ED%95%9C%20a&&b#m-3",
            "/#/deep?x=1",
            "/a//b",
            "https://app.example.com/back?x=1#y",
            "https://app.example.com",
        ],
    )
    async def test_is_kept_with_query_and_fragment(self, stage: Stage, tab: Tab, place: str) -> None:
        page = await stage.sign_in(tab, "kakao", somebody(), place)
        expected = place if place.startswith("https") else stage.service.url + place
        assert str(page.url).removesuffix("/") == expected.removesuffix("/")
        assert await stage.who(tab)

    @pytest.mark.one_database
    async def test_of_another_origin_learns_the_error_too(self, stage: Stage, tab: Tab) -> None:
        page = await stage.sign_in(tab, "kakao", None, "https://app.example.com/back?x=1#y")
        assert str(page.url) == "https://app.example.com/back?x=1&error=access_denied#y"

    async def test_may_be_reached_on_another_node(self, start_service: StartService, kakao: Kakao) -> None:
        how = {"providers": {"kakao": kakao.settings()}, "public_url": "http://127.0.0.1:9"}
        here, there = await start_service(**how), await start_service(**how)
        kakao.visitor, kakao.redirect_uri = somebody(), "http://127.0.0.1:9/api/v1/auth/oauth/kakao/callback"
        async with here.http.get("/api/v1/auth/oauth/kakao?redirect_to=/x", allow_redirects=False) as sent:
            cookie = sent.cookies["chatty_oauth"].value
            address = URL(sent.headers["Location"], encoded=True)
        async with there.http.get(address, allow_redirects=False) as back:
            path = URL(back.headers["Location"], encoded=True).raw_path_qs
        headers = {"Cookie": f"chatty_oauth={cookie}"}
        async with there.http.get(path, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/x")
            assert "chatty_refresh" in answer.cookies
