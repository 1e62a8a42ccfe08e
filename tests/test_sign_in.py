"""Signing in at Google, Naver, Kakao and one more OpenID provider, as it should go (contract §2 `oauth/*`)."""

import re

import pytest
from sqlalchemy import select

from src.controllers.auth import COOKIE
from src.db.models import SignInAttempt

from .browser import Browser, Tab
from .cast import Person
from .conftest import Mailbox, StartService
from .providers.kakao import Kakao
from .providers.naver import Naver
from .providers.oidc import Oidc
from .providers.stage import Stage, error_of, somebody

EVERYBODY = ("google", "naver", "kakao", "acme")


@pytest.fixture(params=EVERYBODY)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestTheFirstTime:
    async def test_makes_an_account_and_asks_nothing(
        self, stage: Stage, tab: Tab, provider: str, mailbox: Mailbox
    ) -> None:
        page = await stage.sign_in(tab, provider, somebody())
        assert str(page.url) == f"{stage.service.url}/"
        me = await stage.me(tab)
        vouched = provider != "naver"  # which says of no address that it is verified
        assert (me["nickname"], me["has_password"]) == ("안나", False)
        assert (me["email"], me["email_verified"]) == ("anna@example.com" if vouched else None, vouched)
        (identity,) = me["identities"]
        assert (identity["provider"], identity["email"]) == (provider, "anna@example.com")
        assert set(identity) == {"provider", "email", "linked_at"}
        assert await stage.made() == (1, 1, 1)
        assert mailbox.mails == []

    async def test_needs_no_email_address(self, stage: Stage, tab: Tab, provider: str) -> None:
        await stage.sign_in(tab, provider, somebody(email=None))
        me = await stage.me(tab)
        assert (me["email"], me["email_verified"], me["identities"][0]["email"]) == (None, False, None)

    async def test_leaves_an_address_that_nobody_has_verified_to_its_owner(self, stage: Stage, provider: str) -> None:
        async with Browser() as browser:
            tab = browser.tab()
            await stage.sign_in(tab, provider, somebody(email_verified=False))
            me = await stage.me(tab)
            assert (me["email"], me["identities"][0]["email"]) == (None, "anna@example.com")

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("given", "taken"),
        [
            ("  Anna \u0007\u202e\n Lee ", r"Anna.*Lee"),
            ("Anna\u0000", ".+"),
            ("가" * 80, "가{50}"),
            ("\u1100\u1161", "가"),
            ("홍길동", "홍길동"),
            ("\u0007", r"사용자 ?\d+"),
            ("", r"사용자 ?\d+"),
            (None, r"사용자 ?\d+"),
        ],
    )
    async def test_makes_a_name_that_is_allowed_here(
        self, stage: Stage, tab: Tab, given: str | None, taken: str
    ) -> None:
        page = await stage.sign_in(tab, "naver", somebody(given))
        assert error_of(page) is None
        nickname = (await stage.me(tab))["nickname"]
        assert re.fullmatch(taken, nickname), nickname
        await (await _me(stage, tab)).patch("/users/me", {"nickname": nickname})

    @pytest.mark.one_database
    async def test_names_the_nameless_in_their_language(self, stage: Stage, tab: Tab) -> None:
        tab.browser.language = "en-GB,en"
        await stage.sign_in(tab, "naver", somebody(None))
        assert re.fullmatch(r"User ?\d+", (await stage.me(tab))["nickname"])

    @pytest.mark.one_database
    async def test_takes_no_for_an_answer_to_the_address(self, stage: Stage, tab: Tab, kakao: Kakao) -> None:
        kakao.needs_agreement = True
        await stage.sign_in(tab, "kakao", somebody())
        me = await stage.me(tab)
        assert (me["email"], me["identities"][0]["email"]) == (None, None)


class TestTheSecondTime:
    async def test_finds_the_same_account(self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str) -> None:
        anna = somebody()
        await stage.sign_in(tab, provider, anna)
        await stage.sign_in(elsewhere, provider, anna)
        assert (await stage.me(tab))["id"] == (await stage.me(elsewhere))["id"]
        assert (await stage.made())[:2] == (1, 1)

    async def test_works_in_one_browser_too(self, stage: Stage, tab: Tab, provider: str) -> None:
        anna = somebody()
        for _ in range(2):
            page = await stage.sign_in(tab, provider, anna)
            assert error_of(page) is None
        assert (await stage.made())[:2] == (1, 1)

    async def test_shows_the_address_that_the_provider_now_has(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        anna = somebody()
        await stage.sign_in(tab, "kakao", anna)
        moved = type(anna)(anna.subject, "Other", "new@example.com")
        await stage.sign_in(elsewhere, "kakao", moved)
        me = await stage.me(elsewhere)
        assert (me["nickname"], me["email"]) == ("안나", "anna@example.com")
        assert me["identities"][0]["email"] == "new@example.com"

    async def test_tells_people_apart_who_share_all_but_the_subject(
        self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str
    ) -> None:
        await stage.sign_in(tab, provider, somebody("김민수", None))
        await stage.sign_in(elsewhere, provider, somebody("김민수", None))
        assert (await stage.me(tab))["id"] != (await stage.me(elsewhere))["id"]


class TestTheSession:
    async def test_travels_in_a_cookie_that_no_script_reads(self, stage: Stage, tab: Tab, provider: str) -> None:
        await stage.sign_in(tab, provider, somebody())
        cookie = tab.browser.jar.named(stage.service.url, COOKIE)
        assert cookie
        assert (cookie["path"], cookie["samesite"], cookie["domain"]) == ("/api/v1/auth", "Strict", "")
        assert cookie["httponly"] and int(cookie["max-age"]) > 24 * 3600
        assert not any(cookie.value in str(url) for url in tab.trail)

    @pytest.mark.one_database
    async def test_needs_a_secure_connection_where_there_is_one(self, start_service: StartService, oidc: Oidc) -> None:
        service = await start_service(
            public_url="https://chat.example.com", providers={"google": oidc.settings("google")}
        )
        async with service.http.get("/api/v1/auth/oauth/google", allow_redirects=False) as answer:
            (cookie,) = answer.headers.getall("Set-Cookie")
        assert cookie.startswith("__Host-chatty_oauth=")
        for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie

    async def test_is_listed_and_can_be_ended(self, stage: Stage, tab: Tab) -> None:
        await stage.sign_in(tab, "kakao", somebody())
        anna = await _me(stage, tab)
        assert len((await anna.get("/auth/sessions"))["items"]) == 1
        await anna.post("/auth/logout")
        assert (await anna.raw("GET", "/users/me")).status == 401


class TestTheRequest:
    @pytest.mark.one_database
    async def test_carries_what_protects_it(self, stage: Stage, provider: str) -> None:
        url = await stage.asked(provider)
        assert url.query["code_challenge_method"] == "S256"
        assert len(url.query["code_challenge"]) == 43
        assert len(url.query["state"]) >= 32
        assert ("nonce" in url.query) is (provider != "naver")

    @pytest.mark.one_database
    async def test_is_different_each_time(self, stage: Stage, provider: str) -> None:
        urls = [await stage.asked(provider) for _ in range(2)]
        for name in ("state", "code_challenge", *([] if provider == "naver" else ["nonce"])):
            assert urls[0].query[name] != urls[1].query[name]

    async def test_leaves_no_secret_in_the_database(self, stage: Stage, provider: str) -> None:
        url = await stage.asked(provider)
        async with stage.service.parts.database.transaction() as tx:
            (row,) = (await tx._connection.execute(select(*SignInAttempt.__table__.columns))).all()
        assert url.query["state"] not in map(str, row)


class TestProviders:
    async def test_are_listed_as_configured(self, stage: Stage) -> None:
        async with stage.service.http.get("/api/v1/auth/providers") as answer:
            listed = await answer.json()
        names = {"google": "Google", "naver": "Naver", "kakao": "Kakao", "acme": "Acme"}
        assert listed == {"items": [{"name": name, "display_name": shown} for name, shown in names.items()]}

    @pytest.mark.one_database
    async def test_are_none_by_default(self, start_service: StartService) -> None:
        service = await start_service()
        async with service.http.get("/api/v1/auth/providers") as answer:
            assert await answer.json() == {"items": []}
        async with service.http.get("/api/v1/auth/oauth/google", allow_redirects=False) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "not_found")

    @pytest.mark.one_database
    @pytest.mark.parametrize("name", ["github", "Google", "host", "..", "goo%67le2"])
    async def test_that_nobody_configured_are_not_found(self, stage: Stage, tab: Tab, name: str) -> None:
        for path in (f"/api/v1/auth/oauth/{name}", f"/api/v1/auth/oauth/{name}/callback?code=x&state=y"):
            assert (await tab.visit(stage.at(path))).status == 404

    @pytest.mark.one_database
    async def test_of_naver_may_refuse_with_200(self, stage: Stage, tab: Tab, naver: Naver) -> None:
        naver.polite, naver.lifetime = False, 0
        naver.holder = lambda _: None  # type: ignore[method-assign]
        async with stage.nothing_made():
            page = await stage.sign_in(tab, "naver", somebody())
        assert error_of(page) in ("sign_in_failed", "provider_unavailable")


async def _me(stage: Stage, tab: Tab) -> Person:
    person = await stage.who(tab)
    assert person
    return person
