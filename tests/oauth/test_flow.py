"""From the button to the identity, at a provider that does not play along (RFC 6749, RFC 7636, RFC 9207)."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from src.errors import AccessDenied, ProviderUnavailable, SignInFailed
from src.oauth import client, outbound
from src.oauth.failures import Unanswered
from src.oauth.identity import Attempt, Callback

from ..providers import hostile
from ..providers.hostile import ABSENT, HostileProvider
from .conftest import PUBLIC_URL, Stage, client_of, new_attempt


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 1)


class TestTheAddress:
    async def test_has_state_nonce_and_a_challenge(self, stage: Stage) -> None:
        attempt = Attempt("the-state", "the-nonce", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
        address = urlsplit(await stage.client.authorization_url("evil", attempt))
        assert f"{address.scheme}://{address.netloc}{address.path}" == f"{stage.evil.url}/authorize"
        assert parse_qs(address.query) == {
            "response_type": ["code"],
            "client_id": ["chatty"],
            "redirect_uri": [f"{PUBLIC_URL}/api/v1/auth/oauth/evil/callback"],
            "scope": ["openid email profile"],
            "state": ["the-state"],
            "nonce": ["the-nonce"],
            "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],  # RFC 7636 appendix B
            "code_challenge_method": ["S256"],
        }

    @pytest.mark.parametrize(
        "change",
        [
            {"issuer": "https://accounts.example"},
            {"issuer": ABSENT},
            {"token_endpoint": "http://169.254.169.254/latest"},
            {"token_endpoint": "https://127.0.0.1/token"},
            {"jwks_uri": "http://127.0.0.1:1/jwks"},
            {"userinfo_endpoint": "file:///etc/passwd"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"authorization_endpoint": ABSENT},
            {"token_endpoint": ["x"]},
            {"revocation_endpoint": 5},
            {"jwks_uri": ABSENT},
        ],
    )
    async def test_is_not_taken_from_a_document_that_points_elsewhere(
        self, stage: Stage, change: dict[str, Any]
    ) -> None:
        stage.evil.discovery = change
        with pytest.raises(ProviderUnavailable):
            await stage.client.authorization_url("evil", new_attempt())
        (line,) = stage.logged
        assert line["reason"] == ("discovery_of_another" if "issuer" in change else "discovery_points_elsewhere")

    @pytest.mark.parametrize("authority", ["127.0.0.1:{port}@evil.example", "evil.example\\@127.0.0.1:{port}"])
    async def test_is_not_read_in_two_ways(self, stage: Stage, authority: str) -> None:
        stage.evil.discovery = {"token_endpoint": f"http://{authority.format(port=stage.evil.port)}/token"}
        with pytest.raises(ProviderUnavailable):
            await stage.client.authorization_url("evil", new_attempt())

    async def test_may_be_elsewhere_if_the_operator_says_so(self, evil: HostileProvider) -> None:
        async with HostileProvider() as other:
            evil.discovery = {"token_endpoint": f"{other.url}/token"}
            client = client_of(evil=evil.settings(hosts=f"127.0.0.1:{other.port}"))
            await client.authorization_url("evil", new_attempt())
            await client.close()

    async def test_comes_back_when_the_provider_does(self, stage: Stage) -> None:
        stage.evil.faults["discovery"] = hostile.server_error
        await stage.fails(ProviderUnavailable, "server_error")
        stage.evil.faults.clear()
        assert await stage.sign_in()

    async def test_is_asked_for_once_by_all_who_wait(self, stage: Stage) -> None:
        attempts = [new_attempt() for _ in range(10)]
        await asyncio.gather(*(stage.client.authorization_url("evil", attempt) for attempt in attempts))
        assert len(stage.evil.requests["discovery"]) == 1

    async def test_needs_no_discovery_if_everything_is_set(self, evil: HostileProvider) -> None:
        paths = {"authorize_url": "/authorize", "token_url": "/token", "jwks_url": "/jwks"}
        client = client_of(evil=evil.settings(**{name: evil.url + path for name, path in paths.items()}))
        await client.authorization_url("evil", new_attempt())
        await client.close()
        assert not evil.requests["discovery"]


class TestComingBack:
    @pytest.mark.parametrize(
        ("error", "told", "reason"),
        [
            ("access_denied", AccessDenied, "cancelled"),
            ("consent_required", AccessDenied, "cancelled"),
            ("login_required", AccessDenied, "cancelled"),
            ("temporarily_unavailable", ProviderUnavailable, "callback_later"),
            ("server_error", ProviderUnavailable, "callback_later"),
            ("invalid_scope", SignInFailed, "callback_error"),
            ("<script>\x00", SignInFailed, "callback_error"),
        ],
    )
    async def test_with_an_error_says_whose_it_is(
        self, stage: Stage, error: str, told: type[Exception], reason: str
    ) -> None:
        stage.evil.refusal = error
        await stage.fails(told, reason)
        assert not stage.evil.requests["token"]

    @pytest.mark.parametrize(
        ("callback", "reason"),
        [
            ({"iss": "https://other.example"}, "mix_up"),
            ({"iss": ""}, "no_issuer"),
            ({"iss": ABSENT}, "no_issuer"),
            ({"code": ABSENT}, "no_code"),
            ({"code": "x" * 5_000}, "no_code"),
            ({"code": "코드"}, "no_code"),
            ({"code": "a\x00\r\nb"}, "no_code"),
            ({"code": "of-somebody-else"}, "token_invalid_grant"),
        ],
    )
    async def test_with_what_is_not_the_providers_is_refused(
        self, stage: Stage, callback: dict[str, Any], reason: str
    ) -> None:
        stage.evil.callback = callback
        await stage.fails(SignInFailed, reason)
        assert bool(stage.evil.requests["token"]) is (reason == "token_invalid_grant")

    async def test_with_an_error_of_another_provider_is_no_cancelling(self, stage: Stage) -> None:
        stage.evil.refusal = "access_denied"
        stage.evil.callback = {"iss": "https://other.example"}
        await stage.fails(SignInFailed, "mix_up")

    async def test_with_a_surrogate_is_refused(self, stage: Stage) -> None:
        with pytest.raises(SignInFailed):
            await stage.client.identify("evil", Callback("\ud800", None, stage.evil.url), new_attempt())

    async def test_without_an_issuer_is_fine_where_none_is_promised(self, stage: Stage) -> None:
        stage.evil.discovery = {"authorization_response_iss_parameter_supported": False}
        stage.evil.callback = {"iss": ABSENT}
        assert await stage.sign_in()

    async def test_twice_with_one_code_is_refused(self, stage: Stage) -> None:
        attempt = new_attempt()
        callback = await stage.visit(attempt)
        await stage.client.identify("evil", callback, attempt)
        with pytest.raises(SignInFailed):
            await stage.client.identify("evil", callback, attempt)

    async def test_with_the_code_of_another_attempt_is_refused(self, stage: Stage) -> None:
        # Code injection: the provider sees that the verifier is not that of the challenge.
        callback = await stage.visit(new_attempt())
        with pytest.raises(SignInFailed):
            await stage.client.identify("evil", callback, new_attempt())
        assert stage.logged[-1]["reason"] == "token_invalid_grant"

    async def test_with_the_code_of_another_attempt_is_refused_where_nobody_checks_pkce(self, stage: Stage) -> None:
        attempt = new_attempt()
        callback = await stage.visit(attempt)
        with pytest.raises(SignInFailed):
            await stage.client.identify("evil", callback, attempt._replace(nonce="another"))
        assert stage.logged[-1]["reason"] == "wrong_nonce"


BROKEN = [
    (hostile.server_error, "server_error"),
    (hostile.never, "timeout"),
    (hostile.hanging_body, "timeout"),
    (hostile.ten_megabytes, "too_big"),
    (hostile.gzip_bomb, "compressed"),
    (hostile.html, "not_json"),
    (hostile.raw(b"\xff\xfe{}"), "not_json"),
    (hostile.raw(b'{"a":"\\ud800"}'), "not_json"),
    (hostile.raw(b'{"a":' * 20_000), "not_json"),
    (hostile.raw(b'{"a":NaN}'), "not_json"),
    (hostile.raw(b""), "not_json"),
    (hostile.raw(b"[]"), "not_an_object"),
    (hostile.raw(b"{}", 429), "server_error"),
    (hostile.redirect_to("http://169.254.169.254/latest/meta-data"), "redirect"),
]


class TestAProviderThatIsBroken:
    @pytest.mark.parametrize("endpoint", ["discovery", "token", "jwks", "userinfo"])
    @pytest.mark.parametrize(("fault", "reason"), BROKEN)
    async def test_is_unavailable(self, stage: Stage, endpoint: str, fault: hostile.Fault, reason: str) -> None:
        stage.evil.faults[endpoint] = fault
        await stage.fails(ProviderUnavailable, reason)

    async def test_is_not_waited_for_at_every_endpoint(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "SECONDS", 0.3)
        stage.evil.faults["userinfo"] = hostile.never
        await stage.fails(ProviderUnavailable, "timeout")

    async def test_is_not_followed_in_circles(self, stage: Stage) -> None:
        stage.evil.faults["token"] = hostile.redirect_to(f"{stage.evil.url}/token")
        await stage.fails(ProviderUnavailable, "redirect")
        assert len(stage.evil.requests["token"]) == 1

    async def test_is_unavailable_when_nobody_listens(self, stage: Stage) -> None:
        nobody = client_of(gone={"client_id": "x", "issuer": "http://127.0.0.1:9"})
        with pytest.raises(ProviderUnavailable):
            await nobody.authorization_url("gone", new_attempt())
        await nobody.close()
        assert stage.logged[-1]["reason"] == "unreachable"

    async def test_is_unavailable_once_we_are_closing(self, stage: Stage) -> None:
        await stage.client.close()
        await stage.fails(ProviderUnavailable, "closed")

    @pytest.mark.parametrize("endpoint", ["discovery", "jwks"])
    async def test_is_unavailable_without_what_it_publishes(self, stage: Stage, endpoint: str) -> None:
        stage.evil.faults[endpoint] = hostile.raw(b'{"keys":[]}', 404)
        await stage.fails(ProviderUnavailable, "no_keys" if endpoint == "jwks" else "no_discovery")

    async def test_gets_no_cookie_back(self, stage: Stage) -> None:
        async def biscuit(provider: HostileProvider, _: Any) -> Any:
            answer = hostile.web.json_response({"error": "invalid_grant"}, status=400)
            answer.set_cookie("tracker", "1")
            return answer

        stage.evil.faults["token"] = biscuit
        await stage.fails(SignInFailed, "token_invalid_grant")
        stage.evil.faults.clear()
        await stage.sign_in()
        assert all("Cookie" not in asked.headers for asked in stage.evil.requests["token"])


class TestTheTokenEndpoint:
    @pytest.mark.parametrize(
        ("token", "told", "reason"),
        [
            ({"error": "invalid_client"}, SignInFailed, "token_invalid_client"),
            ({"error": "temporarily_unavailable"}, ProviderUnavailable, "token_later"),
            ({"error": "secret words of theirs"}, SignInFailed, "token_refused"),
            ({"error": None}, SignInFailed, "token_refused"),
            ({"error": [{}]}, SignInFailed, "token_refused"),
            ({"access_token": ABSENT}, SignInFailed, "no_access_token"),
            ({"access_token": 5}, SignInFailed, "no_access_token"),
            ({"access_token": "a\r\nX-Evil: 1"}, SignInFailed, "no_access_token"),
            ({"access_token": "x" * 20_000}, SignInFailed, "no_access_token"),
            ({"token_type": 5}, SignInFailed, "wrong_token_type"),
            ({"token_type": "mac"}, SignInFailed, "wrong_token_type"),
        ],
    )
    async def test_may_answer_nonsense(
        self, stage: Stage, token: dict[str, Any], told: type[Exception], reason: str
    ) -> None:
        stage.evil.token = token
        await stage.fails(told, reason)

    @pytest.mark.parametrize(
        "token",
        [{"expires_in": "soon"}, {"expires_in": -1}, {"expires_in": 1e300}, {"expires_in": [1]}, {"expires_in": True},
         {"expires_in": ABSENT}, {"expires_in": "9" * 5_000}],
    )  # fmt: skip
    async def test_may_not_know_how_long(self, stage: Stage, token: dict[str, Any]) -> None:
        stage.evil.token = token
        anna = await stage.sign_in()
        assert anna.grant is not None and anna.grant.expires_at is None

    @pytest.mark.parametrize("refresh", [ABSENT, None, 5, "", "a b", "a\x00"])
    async def test_may_give_no_refresh_token(self, stage: Stage, refresh: object) -> None:
        stage.evil.token = {"refresh_token": refresh}
        anna = await stage.sign_in()
        assert anna.grant is not None and anna.grant.refresh_token is None

    async def test_that_refuses_without_a_word_is_a_refusal(self, stage: Stage) -> None:
        stage.evil.faults["token"] = hostile.raw(b"{}", 400)
        await stage.fails(SignInFailed, "token_refused")

    @pytest.mark.parametrize(
        ("methods", "secret"),
        [
            (("client_secret_basic",), True),
            (("client_secret_post",), True),
            (("client_secret_basic", "client_secret_post"), True),
            (("none",), False),
        ],
    )
    async def test_is_told_who_we_are_as_it_wants_it(self, methods: tuple[str, ...], secret: bool) -> None:
        async with HostileProvider(auth_methods=methods) as evil:
            client = client_of(evil={**evil.settings(), **({} if secret else {"client_secret": ""})})
            attempt = new_attempt()
            query = await evil.visit(await client.authorization_url("evil", attempt))
            assert await client.identify("evil", Callback(query["code"], None, query["iss"]), attempt)
            await client.close()

    async def test_never_sees_the_secret_of_another(self, stage: Stage) -> None:
        await stage.sign_in()
        async with HostileProvider(auth_methods=("none",)) as other:
            client = client_of(other={**other.settings(), "client_secret": ""})
            attempt = new_attempt()
            query = await other.visit(await client.authorization_url("other", attempt))
            await client.identify("other", Callback(query["code"], None, query["iss"]), attempt)
            await client.close()
            assert all("Authorization" not in asked.headers for asked in other.requests["token"])


class TestUserinfo:
    async def test_of_another_person_is_refused(self, stage: Stage) -> None:
        stage.evil.userinfo = {"sub": "subject-of-boris"}
        await stage.fails(SignInFailed, "userinfo_of_another")

    @pytest.mark.parametrize("sub", [ABSENT, None, 5, ["subject-of-anna"]])
    async def test_of_nobody_is_refused(self, stage: Stage, sub: object) -> None:
        stage.evil.userinfo = {"sub": sub}
        await stage.fails(SignInFailed, "userinfo_of_another")

    async def test_that_is_refused_ends_the_sign_in(self, stage: Stage) -> None:
        stage.evil.faults["userinfo"] = hostile.raw(b'{"error":"invalid_token"}', 401)
        await stage.fails(SignInFailed, "userinfo_refused")

    async def test_is_not_asked_if_the_id_token_says_enough(self, stage: Stage) -> None:
        stage.evil.claims = {"email": "a@example.com", "name": "A"}
        anna = await stage.sign_in()
        assert (anna.email, anna.email_verified, anna.nickname) == ("a@example.com", False, "A")
        assert not stage.evil.requests["userinfo"]

    async def test_verifies_no_address_but_its_own(self, stage: Stage) -> None:
        stage.evil.claims = {"email": "victim@example.com"}  # and userinfo says that anna@example.com is verified
        anna = await stage.sign_in()
        assert (anna.email, anna.email_verified) == ("victim@example.com", False)

    @pytest.mark.parametrize("verified", [False, "true", "false", 1, None, ABSENT, [True]])
    async def test_verifies_an_address_by_true_alone(self, stage: Stage, verified: object) -> None:
        stage.evil.userinfo = {"email_verified": verified}
        anna = await stage.sign_in()
        assert (anna.email, anna.email_verified) == ("anna@example.com", False)

    @pytest.mark.parametrize(
        "email", [ABSENT, None, 5, ["a@example.com"], "", "no address", "a@b@c", "a\x00@example.com", "a" * 9_000,
                  "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com"]
    )  # fmt: skip
    async def test_may_have_no_address_that_is_one(self, stage: Stage, email: object) -> None:
        stage.evil.userinfo = {"email": email}
        anna = await stage.sign_in()
        assert (anna.email, anna.email_verified) == (None, False)

    @pytest.mark.parametrize("name", [ABSENT, None, 5, {}, "", " ", "\x00", "anna@example.com"])
    async def test_may_have_no_name_that_is_one(self, stage: Stage, name: object) -> None:
        stage.evil.userinfo = {"name": name}
        assert (await stage.sign_in()).nickname is None

    @pytest.mark.parametrize(("name", "nickname"), [("An\x00na", "Anna"), ("A" * 1_000, "A" * 255)])
    async def test_may_have_a_name_of_which_something_is_left(self, stage: Stage, name: str, nickname: str) -> None:
        stage.evil.userinfo = {"name": name}
        assert (await stage.sign_in()).nickname == nickname

    @pytest.mark.parametrize("picture", [ABSENT, 5, "javascript:alert(1)", "/a.png", "https://x/" + "a" * 3_000])
    async def test_may_have_no_picture_that_is_one(self, stage: Stage, picture: object) -> None:
        stage.evil.userinfo = {"picture": picture}
        assert (await stage.sign_in()).picture is None

    async def test_may_say_a_thing_twice(self, stage: Stage) -> None:
        body = orjson.dumps(stage.evil.people["anna"])[:-1] + b',"name":"Anna the second"}'
        stage.evil.faults["userinfo"] = hostile.raw(body)
        assert (await stage.sign_in()).nickname == "Anna the second"


async def test_what_nobody_thought_of_is_still_a_refusal(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = new_attempt()
    callback = await stage.visit(attempt)
    monkeypatch.setattr("src.oauth.client.grant_in", lambda _: 1 / 0)
    with pytest.raises(SignInFailed) as caught:
        await stage.client.identify("evil", callback, attempt)
    assert caught.value.__suppress_context__
    assert [line["reason"] for line in stage.logged] == ["unexpected"]


async def test_nothing_is_asked_at_an_address_that_is_not_allowed(evil: HostileProvider) -> None:
    calls = outbound.Outbound()
    for origins in (set[str](), {evil.url.replace("http:", "https:")}, {"http://127.0.0.1:1"}):
        with pytest.raises(Unanswered, match="address_not_allowed"):
            await calls.ask(f"{evil.url}/userinfo", origins)
    await calls.close()
    assert evil.requests == {}
