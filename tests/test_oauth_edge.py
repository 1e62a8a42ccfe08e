"""Where a browser starts and where it comes back: whatever happens in between, it ends on a page of the person's."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select, update
from yarl import URL

from src.clock import now
from src.controllers.handover import COOKIE
from src.controllers.redirects import checked, with_error
from src.db.models import SignInAttempt
from src.errors import AccessDenied, Invalid, ProviderUnavailable, SignInFailed
from src.oauth.identity import Attempt, Callback, VerifiedIdentity
from src.services import throttle

from .accounts import alter
from .cast import Cast, Person, Service
from .conftest import StartService
from .elsewhere import PROVIDERS, identity, some_time_passes
from .test_account_deletion_races import rows_of

ORIGINS = frozenset({"https://chat.example", "http://localhost:5173"})


class TestWhereItMayEnd:
    @pytest.mark.parametrize(
        "target",
        [
            "/", "/settings?tab=1#top", "/a//b", "/%2F/evil.example", "/?next=//evil.example", "https://chat.example",
            "https://chat.example/", "https://chat.example?a=1", "https://chat.example#a", "http://localhost:5173/a",
        ],
    )  # fmt: skip
    def test_is_here_or_at_a_listed_origin(self, target: str) -> None:
        assert checked(target, ORIGINS) == target

    def test_is_written_in_ascii(self) -> None:
        assert checked("/방?이름=한나", ORIGINS) == "/%EB%B0%A9?%EC%9D%B4%EB%A6%84=%ED%95%9C%EB%82%98"

    @pytest.mark.parametrize(
        "target",
        [
            "", "evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "\\/evil",
            "https:evil.example", "https:/chat.example", "https://evil.example", "https://chat.example.evil.example",
            "https://chat.example@evil.example", "https://evil.example#https://chat.example", "http://chat.example",
            "https://chat.example:444", "https://user@chat.example", "https://chat.example\\@evil.example",
            "javascript:alert(1)", "data:text/html,x", "ftp://chat.example", "/\t/evil.example", "\t//evil.example",
            " //evil.example", "/a b", "/a\r\nSet-Cookie: a=b", "/\u3000", "/\u202e", "/\u200b", "/\x7f", "/\x00",
            "https://[", "https://CHAT.example", "/" + "x" * 2048, "*", "null",
        ],
    )  # fmt: skip
    def test_is_nowhere_else(self, target: str) -> None:
        with pytest.raises(Invalid) as refusal:
            checked(target, ORIGINS)
        assert refusal.value.errors[0].field == "redirect_to"

    @pytest.mark.parametrize(
        ("target", "told"),
        [
            ("/", "/?error=gone"),
            ("/a?b=%20&error=old&c=1&%65rror=older#d", "/a?b=%20&c=1&error=gone#d"),
            ("/#/login", "/?error=gone#/login"),
            ("https://chat.example", "https://chat.example?error=gone"),
            ("/?errors=1&&error", "/?errors=1&error=gone"),
        ],
    )
    def test_learns_what_went_wrong(self, target: str, told: str) -> None:
        assert with_error(target, "gone") == told


class Landing(NamedTuple):
    status: int
    location: str
    cookies: "SimpleCookie"
    json: Any


class Provider:
    """What answers in the provider's place; `outcome` is raised if it is an exception."""

    def __init__(self, service: Service) -> None:
        self.outcome: VerifiedIdentity | Exception = identity()
        self.down = False
        self.asked: list[tuple[str, Callback, Attempt]] = []
        service.parts.oauth.authorization_url = self._url  # type: ignore[method-assign]
        service.parts.oauth.identify = self._identify  # type: ignore[method-assign]

    async def _url(self, provider: str, attempt: Attempt) -> str:
        if self.down:
            raise ProviderUnavailable
        return f"https://{provider}.example/?state={attempt.state}"

    async def _identify(self, provider: str, callback: Callback, attempt: Attempt) -> VerifiedIdentity:
        self.asked.append((provider, callback, attempt))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(providers=PROVIDERS)


@pytest.fixture
def provider(service: Service) -> Provider:
    return Provider(service)


async def visit(service: Service, path: str, cookies: Mapping[str, str] | None = None, token: str = "") -> Landing:
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())} if cookies else {}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    url = URL(f"{service.url}/api/v1/auth/oauth/{path}", encoded=True)
    async with service.http.get(url, headers=headers, allow_redirects=False) as answer:
        body = await answer.json(content_type=None) if answer.content_type.endswith("json") else await answer.text()
        return Landing(answer.status, answer.headers.get("Location", ""), answer.cookies, body)


async def start(service: Service, path: str = "kakao?redirect_to=/home", **how: Any) -> tuple[str, dict[str, str]]:
    """The state that the provider got, and the cookie that the browser did."""
    landing = await visit(service, path, **how)
    assert landing.status == 302, landing
    return URL(landing.location).query["state"], {"chatty_oauth": landing.cookies["chatty_oauth"].value}


class TestTheStart:
    async def test_binds_the_browser_by_one_cookie_for_all_its_tabs(self, service: Service, provider: Provider) -> None:
        first = await visit(service, "kakao")
        cookie = first.cookies["chatty_oauth"]
        assert (cookie["path"], cookie["samesite"], bool(cookie["httponly"]), cookie["max-age"], cookie["domain"]) == (
            "/", "Lax", True, "600", "",
        )  # fmt: skip
        second = await visit(service, "kakao", {"chatty_oauth": cookie.value})
        assert second.cookies["chatty_oauth"].value == cookie.value
        assert second.location != first.location
        for malformed in ("", "x", cookie.value + "x", cookie.value[:-1] + "!"):
            assert (await visit(service, "kakao", {"chatty_oauth": malformed})).cookies["chatty_oauth"].value not in (
                malformed, cookie.value,
            )  # fmt: skip

    async def test_leaves_nothing_in_the_database_with_which_another_could_come_back(
        self, service: Service, provider: Provider
    ) -> None:
        start = await visit(service, "kakao")
        kept = str(await rows_of(service, select(*SignInAttempt.__table__.columns)))
        for secret in (URL(start.location).query["state"], start.cookies["chatty_oauth"].value):
            assert secret not in kept and secret[:20] not in kept

    @pytest.mark.one_database
    async def test_has_a_cookie_of_this_host_alone_on_https(self, start_service: StartService) -> None:
        service = await start_service(providers=PROVIDERS, public_url="https://chat.example")
        Provider(service)
        cookie = (await visit(service, "kakao")).cookies["__Host-chatty_oauth"]
        assert (cookie["path"], bool(cookie["secure"]), cookie["domain"]) == ("/", True, "")

    @pytest.mark.one_database
    async def test_refuses_an_unknown_provider_and_a_foreign_end(self, service: Service, provider: Provider) -> None:
        assert (await visit(service, "nobody")).json["code"] == "not_found"
        assert (await visit(service, "nobody/callback")).json["code"] == "not_found"
        for path in ("kakao?redirect_to=//evil.example", "kakao?redirect_to=", "kakao?redirect_to=/&redirect_to=/"):
            landing = await visit(service, path)
            assert (landing.status, landing.json["errors"][0]["field"], landing.location) == (422, "redirect_to", "")
        for path in ("kakao?link=0", "kakao?surprise=1"):
            assert (await visit(service, path)).status == 422

    @pytest.mark.one_database
    async def test_ends_where_the_person_wanted_when_the_provider_is_down(
        self, service: Service, provider: Provider
    ) -> None:
        provider.down = True
        landing = await visit(service, "kakao?redirect_to=/home")
        assert (landing.status, landing.location) == (302, "/home?error=provider_unavailable")

    @pytest.mark.one_database
    async def test_ends_there_too_for_one_too_many(
        self, start_service: StartService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(throttle.POLICIES, "sign_in_attempts", (3, 600))  # type: ignore[arg-type]
        service = await start_service(providers=PROVIDERS, rate_limits="on")
        Provider(service)
        ends = [(await visit(service, "kakao?redirect_to=/home")).location for _ in range(4)]
        assert all(end.startswith("https://kakao.example/") for end in ends[:3])
        assert ends[3] == "/home?error=rate_limited"


class TestComingBack:
    async def test_signs_in_and_goes_on(self, service: Service, provider: Provider) -> None:
        state, cookie = await start(service)
        landing = await visit(service, f"kakao/callback?state={state}&code=c&iss=i&scope=more", cookie)
        assert (landing.status, landing.location) == (302, "/home")
        assert landing.cookies[COOKIE]["samesite"] == "Strict"
        name, callback, attempt = provider.asked[0]
        assert (name, callback, attempt.state) == ("kakao", Callback("c", None, "i"), state)
        assert len({*attempt}) == 3

    async def test_once(self, service: Service, provider: Provider) -> None:
        state, cookie = await start(service)
        path = f"kakao/callback?state={state}&code=c"
        landings = await asyncio.gather(*(visit(service, path, cookie) for _ in range(4)))
        assert sorted(each.location for each in landings) == ["/home", *["/home?error=sign_in_expired"] * 3]
        assert len(provider.asked) == 1

    async def test_not_by_looking(self, service: Service, provider: Provider) -> None:
        """HEAD must change nothing (RFC 9110 §9.2.1), and what a callback answers is nothing but change."""
        state, cookie = await start(service)
        path, browser = f"kakao/callback?state={state}&code=c", {"Cookie": f"chatty_oauth={cookie['chatty_oauth']}"}
        async with service.http.head(f"/api/v1/auth/oauth/{path}", headers=browser, allow_redirects=False) as answer:
            assert answer.status == 405
        assert (await visit(service, path, cookie)).location == "/home"

    async def test_within_ten_minutes(self, service: Service, provider: Provider) -> None:
        state, cookie = await start(service)
        await alter(service, update(SignInAttempt).values(expires_at=now() - timedelta(seconds=1)))
        landing = await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        assert (landing.location, COOKIE in landing.cookies) == ("/home?error=sign_in_expired", False)
        assert provider.asked == []

    async def test_in_the_browser_that_began_at_the_provider_that_it_began_with(
        self, service: Service, provider: Provider
    ) -> None:
        state, cookie = await start(service)
        _, another = await start(service)
        for path, cookies, page in (("kakao", None, "/home"), ("kakao", another, "/home"), ("google", cookie, "/")):
            landing = await visit(service, f"{path}/callback?state={state}&code=c", cookies)
            assert (landing.location, COOKIE in landing.cookies) == (f"{page}?error=sign_in_expired", False)
        assert provider.asked == []
        assert (await visit(service, f"kakao/callback?state={state}&code=c", cookie)).location == "/home"

    @pytest.mark.one_database
    async def test_with_nonsense_is_no_stack_trace(self, service: Service, provider: Provider) -> None:
        state, cookie = await start(service)
        for query in (
            "", "?", "?state=", "?state=x", "?state=%00", "?state=%ff", "?state=" + "x" * 5000, "?%00=%00", "?a=1&a=2",
            f"?state={state}&state={state}", "?state[]=x", "?state=%ED%A0%80", "?error=access_denied",
        ):  # fmt: skip
            landing = await visit(service, f"kakao/callback{query}", cookie)
            assert (landing.status, landing.location) == (302, "/?error=sign_in_expired"), query
        landing = await visit(service, f"kakao/callback?state={state}&code=a&code=b&error=%00&x=%00", cookie)
        assert (landing.location, provider.asked[0][1]) == ("/home", Callback(None, None, None))

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("outcome", "code"),
        [
            (AccessDenied(), "access_denied"),
            (SignInFailed(), "sign_in_failed"),
            (ProviderUnavailable(), "provider_unavailable"),
            (TimeoutError(), "unavailable"),
            (ZeroDivisionError("the secret of it"), "internal"),
            (identity(email="anna@example.com"), "email_owned_by_other_method"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    async def test_with_a_failure_says_which(
        self, service: Service, provider: Provider, cast: Cast, outcome: Any, code: str
    ) -> None:
        await cast.join("Anna")
        provider.outcome = outcome
        state, cookie = await start(service, "kakao?redirect_to=/home?a=1%23b")
        landing = await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        assert (landing.status, landing.location, landing.json) == (302, f"/home?a=1&error={code}#b", "")
        assert COOKIE not in landing.cookies


class TestLinking:
    async def test_needs_a_session(self, service: Service, provider: Provider, cast: Cast) -> None:
        anna = await cast.join("Anna")
        used = anna.refresh_token
        await cast.anonymous.post("/auth/refresh", {"refresh_token": used})
        renewed = await cast.anonymous.post("/auth/refresh", {"refresh_token": used})
        await cast.anonymous.post("/auth/refresh", {"refresh_token": renewed["refresh_token"]})
        for how in ({}, {"cookies": {COOKIE: "x"}}, {"cookies": {COOKIE: used}}, {"token": used}, {"token": "x"}):
            landing = await visit(service, "kakao?link=1&redirect_to=/home", **how)
            assert landing.location == "/home?error=unauthorized", how

    async def test_needs_a_recent_one(self, service: Service, provider: Provider, cast: Cast) -> None:
        anna = await cast.join("Anna")
        await some_time_passes(service)
        for how in ({"cookies": {COOKIE: anna.refresh_token}}, {"token": anna.token}):
            landing = await visit(service, "kakao?link=1&redirect_to=/home", **how)
            assert landing.location == "/home?error=reauthentication_required"

    @pytest.mark.parametrize(
        ("site", "asked"), [("same-origin", True), ("same-site", True), ("none", False), ("cross-site", False)]
    )
    async def test_is_asked_for_by_a_page_of_this_site(
        self, service: Service, provider: Provider, cast: Cast, site: str, asked: bool
    ) -> None:
        anna = await cast.join("Anna")
        headers = {"Cookie": f"{COOKIE}={anna.refresh_token}", "Sec-Fetch-Site": site}
        path = "/api/v1/auth/oauth/kakao?link=1&redirect_to=/home"
        async with service.http.get(path, headers=headers, allow_redirects=False) as answer:
            assert (answer.headers["Location"] == "/home?error=forbidden") is not asked

    async def test_links_and_leaves_the_session_as_it_is(
        self, service: Service, provider: Provider, cast: Cast
    ) -> None:
        anna = await cast.join("Anna")
        path = "kakao?link=1&redirect_to=/home"
        state, cookie = await start(service, path, cookies={COOKIE: anna.refresh_token})
        landing = await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        assert (landing.location, COOKIE in landing.cookies) == ("/home", False)
        assert await _linked(anna) == ["kakao"]
        assert (await cast.anonymous.post("/auth/refresh", {"refresh_token": anna.refresh_token}))["refresh_token"]
        # Within the race the token before is still good, here too.
        await start(service, path, cookies={COOKIE: anna.refresh_token})

    async def test_ends_with_the_session(self, service: Service, provider: Provider, cast: Cast) -> None:
        anna = await cast.join("Anna")
        other = await anna.another_device()
        state, cookie = await start(service, "kakao?link=1&redirect_to=/home", token=anna.token)
        await anna.post("/auth/logout")
        landing = await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        assert landing.location == "/home?error=unauthorized"
        assert await _linked(other) == []

    async def test_takes_nothing_from_another(self, service: Service, provider: Provider, cast: Cast) -> None:
        state, cookie = await start(service)
        await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        mallory = await cast.join("Mallory")
        state, cookie = await start(service, "kakao?link=1&redirect_to=/home", token=mallory.token)
        landing = await visit(service, f"kakao/callback?state={state}&code=c", cookie)
        assert landing.location == "/home?error=identity_taken"
        assert await _linked(mallory) == []


async def _linked(person: Person) -> list[str]:
    return [each["provider"] for each in (await person.get("/users/me"))["identities"]]
