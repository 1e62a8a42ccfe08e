"""The stand-ins themselves: they refuse what the real ones refuse, else what is proved against them is nothing."""

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from .browser import Browser
from .providers.kakao import Kakao
from .providers.naver import Naver
from .providers.oidc import Oidc
from .providers.stand_in import Somebody, StandIn

BACK = "http://127.0.0.1:1/api/v1/auth/oauth/{}/callback"
ANNA = Somebody("1001", "안나", "anna@example.com")
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def kakao() -> AsyncIterator[Kakao]:
    async with Kakao() as stand_in:
        stand_in.visitor, stand_in.redirect_uri = ANNA, BACK.format("kakao")
        yield stand_in


@pytest.fixture
async def naver() -> AsyncIterator[Naver]:
    async with Naver() as stand_in:
        stand_in.visitor, stand_in.redirect_uri = ANNA, BACK.format("naver")
        yield stand_in


async def ask(http: aiohttp.ClientSession, url: str, **how: Any) -> tuple[int, Any]:
    async with http.post(url, **how) as answer:
        return answer.status, await answer.json(content_type=None)


async def code_of(http: aiohttp.ClientSession, stand_in: StandIn, **changes: str | None) -> str:
    settings = stand_in.settings()  # type: ignore[attr-defined]
    query = {"response_type": "code", "client_id": stand_in.client_id, "redirect_uri": stand_in.redirect_uri}
    query |= {"state": "s"} | changes  # type: ignore[operator]
    sent = {name: value for name, value in query.items() if value is not None}
    async with http.get(settings["authorize_url"], params=sent, allow_redirects=False) as answer:
        return URL(answer.headers["Location"]).query["code"] if answer.status == 302 else ""


class TestKakao:
    def form(self, kakao: Kakao, code: str, /, **changes: str | None) -> dict[str, str]:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code", "client_id": kakao.client_id, "client_secret": kakao.client_secret,
            "redirect_uri": kakao.redirect_uri, "code": code, "code_verifier": VERIFIER,
        }  # fmt: skip
        return {name: value for name, value in (form | changes).items() if value is not None}

    async def code(self, http: aiohttp.ClientSession, kakao: Kakao, **changes: str | None) -> str:
        asked = {"scope": "openid,account_email", "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        return await code_of(http, kakao, **(asked | changes))

    @pytest.mark.parametrize(
        ("change", "status", "error"),
        [
            ({"client_secret": None}, 401, "invalid_client"),
            ({"client_secret": "other"}, 401, "invalid_client"),
            ({"code": "other"}, 400, "invalid_grant"),
            ({"code_verifier": None}, 400, "invalid_grant"),
            ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
            ({"redirect_uri": "http://127.0.0.1:1/"}, 400, "invalid_grant"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ],
    )
    async def test_refuses(
        self, http: aiohttp.ClientSession, kakao: Kakao, change: dict[str, str | None], status: int, error: str
    ) -> None:
        form = self.form(kakao, await self.code(http, kakao), **change)
        answer = await ask(http, f"{kakao.url}/oauth/token", data=form)
        assert (answer[0], answer[1]["error"]) == (status, error)

    async def test_refuses_http_basic_and_a_used_code(self, http: aiohttp.ClientSession, kakao: Kakao) -> None:
        url, form = f"{kakao.url}/oauth/token", self.form(kakao, await self.code(http, kakao))
        basic = {"Authorization": aiohttp.encode_basic_auth(kakao.client_id, kakao.client_secret)}
        assert (await ask(http, url, data=form, headers=basic))[1]["error_code"] == "KOE010"
        assert (await ask(http, url, data=form))[0] == 200
        assert (await ask(http, url, data=form))[1]["error_code"] == "KOE320"

    async def test_has_no_id_token_without_openid(self, http: aiohttp.ClientSession, kakao: Kakao) -> None:
        form = self.form(kakao, await self.code(http, kakao, scope="account_email"))
        assert "id_token" not in (await ask(http, f"{kakao.url}/oauth/token", data=form))[1]

    async def test_takes_no_blanks_between_scopes(self, http: aiohttp.ClientSession, kakao: Kakao) -> None:
        assert await self.code(http, kakao, scope="openid account_email") == ""

    async def test_unlinks_by_token_or_by_admin_key(self, http: aiohttp.ClientSession, kakao: Kakao) -> None:
        unlink, key = f"{kakao.url}/v1/user/unlink", {"Authorization": f"KakaoAK {kakao.admin_key}"}
        target = {"target_id_type": "user_id", "target_id": "1001"}
        for how in ({"data": target, "headers": key}, {"headers": {}}):
            tokens = (await ask(http, f"{kakao.url}/oauth/token", data=self.form(kakao, await self.code(http, kakao))))[
                1
            ]
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert (await ask(http, unlink, **({"headers": bearer} | {k: v for k, v in how.items() if v})))[0] == 200
            assert (await ask(http, unlink, headers=bearer))[0] == 401
        assert (await ask(http, unlink, data=target, headers=key))[1]["code"] == -101


class TestNaver:
    def form(self, naver: Naver, code: str, /, **changes: str | None) -> dict[str, str]:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code", "client_id": naver.client_id, "client_secret": naver.client_secret,
            "state": "s", "code": code,
        }  # fmt: skip
        return {name: value for name, value in (form | changes).items() if value is not None}

    @pytest.mark.parametrize(
        "change", [{"state": None}, {"state": "t"}, {"client_secret": "other"}, {"code": "other"}, {"grant_type": "x"}]
    )
    async def test_refuses_with_200(
        self, http: aiohttp.ClientSession, naver: Naver, change: dict[str, str | None]
    ) -> None:
        form = self.form(naver, await code_of(http, naver), **change)
        status, answer = await ask(http, f"{naver.url}/oauth2.0/token", data=form)
        assert status == 200
        assert "error" in answer

    async def test_asks_for_a_state_and_for_no_scope(self, http: aiohttp.ClientSession, naver: Naver) -> None:
        assert await code_of(http, naver, state=None) == ""
        assert await code_of(http, naver, scope="email") == ""

    async def test_deletes_only_with_service_provider(self, http: aiohttp.ClientSession, naver: Naver) -> None:
        url = f"{naver.url}/oauth2.0/token"
        tokens = (await ask(http, url, data=self.form(naver, await code_of(http, naver))))[1]
        assert tokens["expires_in"] == "3600"
        form = self.form(naver, "", grant_type="delete", access_token=tokens["access_token"])
        assert (await ask(http, url, data=form))[1]["error_description"] == "service_provider is missing"
        assert (await ask(http, url, data=form | {"service_provider": "NAVER"}))[1]["result"] == "success"


class TestOidcProvider:
    def start(self, oidc: Oidc, **changes: str) -> URL:
        query = {
            "response_type": "code", "client_id": "google-client", "redirect_uri": BACK.format("google"), "state": "s",
            "scope": "openid email profile", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        }  # fmt: skip
        return URL(f"{oidc.issuer}/auth").with_query(query | changes)

    async def test_lets_somebody_through_its_pages(self, oidc: Oidc) -> None:
        async with Browser() as browser:
            tab = browser.tab()
            await tab.visit(self.start(oidc))
            page = await oidc.pass_through(tab, ANNA, hold="/callback")
            assert page.url.path == "/api/v1/auth/oauth/google/callback"
            assert (page.url.query["state"], page.url.query["iss"]) == ("s", oidc.issuer)
            assert page.url.query["code"]

    async def test_sends_back_whoever_turns_back(self, oidc: Oidc) -> None:
        async with Browser() as browser:
            tab = browser.tab()
            await tab.visit(self.start(oidc))
            assert (await oidc.pass_through(tab, None, hold="/callback")).url.query["error"] == "access_denied"

    async def test_wants_pkce_and_the_registered_address(self, oidc: Oidc) -> None:
        async with Browser() as browser:
            tab = browser.tab()
            page = await tab.visit(self.start(oidc, code_challenge_method="plain"), hold="/callback")
            assert page.url.query["error"] == "invalid_request"
            assert (await tab.visit(self.start(oidc, redirect_uri="http://127.0.0.1:1/other"))).status == 400
