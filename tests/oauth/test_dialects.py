"""Kakao and Naver: what they say of somebody, and how they forget them; and Google's and the standard's way."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from src.clock import now
from src.errors import ProviderUnavailable, SignInFailed
from src.oauth.client import OAuthClient
from src.oauth.identity import Callback, Grant, VerifiedIdentity

from ..providers import hostile
from ..providers.hostile import HostileProvider
from ..providers.kakao import Kakao
from ..providers.naver import Naver
from ..providers.stand_in import Somebody, StandIn
from .conftest import PUBLIC_URL, Stage, client_of, new_attempt

ANNA = Somebody("1234567890", "안나", "anna@example.com", picture="https://img.example/anna.jpg")


class Told:
    """`says`: what the profile is instead of the real one."""

    says: Any = None
    status = 200

    async def me(self, request: web.Request) -> web.Response:
        if self.says is None:
            answer: web.Response = await super().me(request)  # type: ignore[misc]
            return answer
        return web.json_response(self.says, status=self.status)


class ToldKakao(Told, Kakao): ...


class ToldNaver(Told, Naver): ...


async def opened(stand_in: StandIn) -> StandIn:
    stand_in.redirect_uri = f"{PUBLIC_URL}/api/v1/auth/oauth/{stand_in.name}/callback"
    stand_in.visitor = ANNA
    return stand_in


@pytest.fixture
async def kakao() -> AsyncIterator[ToldKakao]:
    async with ToldKakao() as provider:
        await opened(provider)
        yield provider


@pytest.fixture
async def naver() -> AsyncIterator[ToldNaver]:
    async with ToldNaver() as provider:
        await opened(provider)
        yield provider


Opens = Callable[..., OAuthClient]


@pytest.fixture
async def client() -> AsyncIterator[Opens]:
    """Makes the client of a stand-in; `more` are settings that differ."""
    made: list[OAuthClient] = []

    def make(stand_in: Any, **more: str) -> OAuthClient:
        made.append(client_of(**{stand_in.name: {**stand_in.settings(), **more}}))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def sign_in(client: OAuthClient, stand_in: StandIn) -> VerifiedIdentity:
    attempt = new_attempt()
    address = await client.authorization_url(stand_in.name, attempt)
    async with hostile.aiohttp.ClientSession() as http, http.get(address, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        query = dict(hostile.parse_qsl(hostile.urlsplit(answer.headers["Location"]).query))
    return await client.identify(stand_in.name, Callback(query.get("code"), query.get("error"), None), attempt)


async def refusal_of(client: OAuthClient, stand_in: StandIn, error: type[Exception] = SignInFailed) -> str:
    with capture_logs() as logged, pytest.raises(Exception) as caught:
        await sign_in(client, stand_in)
    assert type(caught.value) is error
    (line,) = logged
    return str(line["reason"])


class TestKakao:
    async def test_says_who_somebody_is(self, client: Opens, kakao: ToldKakao) -> None:
        anna = await sign_in(client(kakao), kakao)
        assert (anna.provider, anna.issuer, anna.subject) == ("kakao", kakao.url, "1234567890")
        assert (anna.email, anna.email_verified, anna.nickname) == ("anna@example.com", True, "안나")
        assert anna.picture == "https://img.example/anna.jpg"
        assert anna.grant is not None and anna.grant.refresh_token

    async def test_may_have_no_address(self, client: Opens, kakao: ToldKakao) -> None:
        kakao.needs_agreement = True
        anna = await sign_in(client(kakao), kakao)
        assert (anna.email, anna.email_verified) == (None, False)

    @pytest.mark.parametrize(
        "account",
        [
            {"is_email_valid": True, "is_email_verified": False},
            {"is_email_valid": False, "is_email_verified": True},
            {"is_email_verified": True},
            {"is_email_valid": True},
            {"is_email_valid": "true", "is_email_verified": "true"},
        ],
    )
    async def test_verifies_an_address_by_two_words(
        self, client: Opens, kakao: ToldKakao, account: dict[str, Any]
    ) -> None:
        kakao.says = {"id": 1234567890, "kakao_account": {"email": "anna@example.com", **account}}
        anna = await sign_in(client(kakao), kakao)
        assert (anna.email, anna.email_verified) == ("anna@example.com", False)

    @pytest.mark.parametrize("said", [999, "1234567890", 1234567890.0, True, None, [1234567890], 10**30])
    async def test_must_speak_of_the_same_person_twice(self, client: Opens, kakao: ToldKakao, said: object) -> None:
        kakao.says = {"id": said}
        assert await refusal_of(client(kakao), kakao) == "userinfo_of_another"

    @pytest.mark.parametrize("account", [None, [], "x", {"profile": None}, {"profile": ["x"]}, {"email": {"a": 1}}])
    async def test_may_say_nonsense_of_the_rest(self, client: Opens, kakao: ToldKakao, account: object) -> None:
        kakao.says = {"id": 1234567890, "kakao_account": account}
        anna = await sign_in(client(kakao), kakao)
        assert (anna.email, anna.email_verified, anna.nickname, anna.picture) == (None, False, None, None)

    async def test_has_a_picture_that_is_nobodys(self, client: Opens, kakao: ToldKakao) -> None:
        profile = {"profile_image_url": "https://img.example/default.jpg", "is_default_image": True}
        kakao.says = {"id": 1234567890, "kakao_account": {"profile": profile}}
        assert (await sign_in(client(kakao), kakao)).picture is None

    async def test_without_an_id_token_is_refused(self, client: Opens, kakao: ToldKakao) -> None:
        assert await refusal_of(client(kakao, scope="account_email"), kakao) == "no_id_token"


class TestNaver:
    async def test_says_who_somebody_is(self, client: Opens, naver: ToldNaver) -> None:
        anna = await sign_in(client(naver), naver)
        assert (anna.provider, anna.issuer, anna.subject) == ("naver", "https://nid.naver.com", "1234567890")
        assert (anna.email, anna.email_verified, anna.nickname) == ("anna@example.com", False, "안나")
        assert anna.grant is not None and anna.grant.expires_at
        assert anna.grant.expires_at > now() + timedelta(minutes=59)

    @pytest.mark.parametrize("status", [200, 401])
    async def test_says_by_a_word_that_it_refuses(self, client: Opens, naver: ToldNaver, status: int) -> None:
        naver.says, naver.status = {"resultcode": "024", "response": {"id": "anna"}}, status
        assert await refusal_of(client(naver), naver) == "userinfo_refused"

    @pytest.mark.parametrize(
        "response", [None, [], {}, {"id": 5}, {"id": ""}, {"id": "x" * 256}, {"id": "a\x00"}, {"id": ["a"]}]
    )
    async def test_must_say_who(self, client: Opens, naver: ToldNaver, response: object) -> None:
        naver.says = {"resultcode": "00", "response": response}
        assert await refusal_of(client(naver), naver) == "bad_subject"

    async def test_says_with_status_200_that_a_code_is_wrong(self, client: Opens, naver: ToldNaver) -> None:
        asking = client(naver)
        attempt = new_attempt()
        with capture_logs() as logged, pytest.raises(SignInFailed):
            await asking.identify("naver", Callback("made-up", None, None), attempt)
        assert [line["reason"] for line in logged] == ["token_refused"]

    async def test_that_is_down_is_unavailable(self, client: Opens, naver: ToldNaver) -> None:
        naver.down = {"/v1/nid/me"}
        assert await refusal_of(client(naver), naver, ProviderUnavailable) == "server_error"


def expired(grant: Grant | None) -> Grant:
    assert grant is not None
    return grant._replace(expires_at=now() - timedelta(seconds=1))


class TestUnlinking:
    async def test_at_kakao_needs_the_admin_key_alone(self, client: Opens, kakao: ToldKakao) -> None:
        asking = client(kakao)
        await sign_in(asking, kakao)
        await asking.revoke("kakao", ANNA.subject, None)
        assert kakao.connected == set()
        await asking.revoke("kakao", ANNA.subject, None)  # and again: they have gone already

    async def test_at_kakao_works_by_the_persons_token(self, client: Opens, kakao: ToldKakao) -> None:
        asking = client(kakao, admin_key="")
        anna = await sign_in(asking, kakao)
        await asking.revoke("kakao", anna.subject, anna.grant)
        assert kakao.connected == set()

    async def test_at_kakao_with_a_wrong_admin_key_is_tried_again(self, client: Opens, kakao: ToldKakao) -> None:
        asking = client(kakao, admin_key="another")
        await sign_in(asking, kakao)
        with pytest.raises(ProviderUnavailable):
            await asking.revoke("kakao", ANNA.subject, None)

    @pytest.mark.parametrize("name", ["kakao", "naver"])
    async def test_refreshes_a_token_that_is_old(
        self, client: Opens, kakao: ToldKakao, naver: ToldNaver, name: str
    ) -> None:
        stand_in: StandIn = {"kakao": kakao, "naver": naver}[name]
        asking = client(stand_in, admin_key="")
        anna = await sign_in(asking, stand_in)
        stand_in.expire()
        await asking.revoke(name, anna.subject, expired(anna.grant))
        assert stand_in.connected == set()

    @pytest.mark.parametrize("name", ["kakao", "naver"])
    async def test_gives_up_where_no_token_works_any_more(
        self, client: Opens, kakao: ToldKakao, naver: ToldNaver, name: str
    ) -> None:
        stand_in: StandIn = {"kakao": kakao, "naver": naver}[name]
        asking = client(stand_in, admin_key="")
        anna = await sign_in(asking, stand_in)
        stand_in.expire()
        stand_in.refreshing.clear()
        for grant in (expired(anna.grant), expired(anna.grant)._replace(refresh_token=None)):
            with capture_logs() as logged:
                await asking.revoke(name, anna.subject, grant)
            (line,) = logged
            assert (line["provider"], line["log_level"]) == (name, "warning")

    async def test_at_naver_works_by_the_token(self, client: Opens, naver: ToldNaver) -> None:
        asking = client(naver)
        anna = await sign_in(asking, naver)
        await asking.revoke("naver", anna.subject, None)  # nothing to do
        assert naver.connected == {ANNA.subject}
        await asking.revoke("naver", anna.subject, anna.grant)
        assert naver.connected == set()

    async def test_is_tried_again_at_one_that_is_down(self, client: Opens, kakao: ToldKakao, naver: ToldNaver) -> None:
        for stand_in, path in ((kakao, "/v1/user/unlink"), (naver, "/oauth2.0/token")):
            asking = client(stand_in)
            anna = await sign_in(asking, stand_in)
            stand_in.down = {path}
            with pytest.raises(ProviderUnavailable):
                await asking.revoke(stand_in.name, anna.subject, anna.grant)

    async def test_at_one_that_is_configured_no_longer_is_nothing(self, stage: Stage) -> None:
        await stage.client.revoke("gone", "somebody", Grant("a", "b", None))
        assert stage.evil.requests == {}


class TestTheStandardWay:
    async def test_ends_the_refresh_token(self, stage: Stage) -> None:
        anna = await stage.sign_in()
        assert anna.grant is not None
        await stage.client.revoke("evil", anna.subject, anna.grant)
        assert stage.evil.revoked == [anna.grant.refresh_token]
        assert stage.evil.requests["revoke"][0].form["token_type_hint"] == "refresh_token"

    async def test_ends_the_access_token_where_there_is_no_other(self, stage: Stage) -> None:
        await stage.client.revoke("evil", "anna", Grant("the-access-token", None, None))
        assert stage.evil.revoked == ["the-access-token"]

    async def test_is_nothing_where_the_provider_has_none(self, stage: Stage) -> None:
        stage.evil.discovery = {"revocation_endpoint": hostile.ABSENT}
        await stage.client.revoke("evil", "anna", Grant("a", "r", None))
        assert stage.evil.revoked == []

    @pytest.mark.parametrize(
        "fault", [hostile.server_error, hostile.redirect_to("http://169.254.169.254/"), hostile.raw(b"", 401)]
    )
    async def test_is_tried_again(self, stage: Stage, fault: hostile.Fault) -> None:
        stage.evil.faults["revoke"] = fault
        with pytest.raises(ProviderUnavailable):
            await stage.client.revoke("evil", "anna", Grant("a", "r", None))

    async def test_is_not_tried_again_when_it_is_refused(self, stage: Stage) -> None:
        stage.evil.faults["revoke"] = hostile.raw(b'{"error":"invalid_token"}', 400)
        await stage.client.revoke("evil", "anna", Grant("a", "r", None))
        assert [line["reason"] for line in stage.logged] == ["revocation_refused"]

    async def test_is_tried_again_without_discovery(self, stage: Stage) -> None:
        stage.evil.faults["discovery"] = hostile.html
        with pytest.raises(ProviderUnavailable):
            await stage.client.revoke("evil", "anna", Grant("a", "r", None))

    async def test_fails_to_be_tried_again_when_nobody_thought_of_it(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.oauth.revocation.revoke", lambda _: 1 / 0)
        with pytest.raises(ProviderUnavailable):
            await stage.client.revoke("evil", "anna", Grant("a", "r", None))


async def test_google_is_told_the_refresh_token_and_nothing_else(evil: HostileProvider) -> None:
    asking = client_of(google=evil.settings(revoke_url=f"{evil.url}/revoke"))
    evil.faults["revoke"] = hostile.raw(b"{}")
    await asking.revoke("google", "anna", Grant("the-access", "the-refresh", None))
    (asked,) = evil.requests["revoke"]
    assert asked.form == {"token": "the-refresh"}
    assert "Authorization" not in asked.headers
    await asking.close()


async def test_google_is_asked_for_a_refresh_token_to_revoke(evil: HostileProvider) -> None:
    asking = client_of(google=evil.settings())
    assert "access_type=offline" in await asking.authorization_url("google", new_attempt())
    await asking.close()
