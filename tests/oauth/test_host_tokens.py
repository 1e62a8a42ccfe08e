"""Tokens of the host application: which are read, and which are refused (contract §2, §9; RFC 7519, RFC 8725)."""

import base64
import hashlib
import hmac
import time
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey, Key, OctKey, OKPKey
from joserfc.jws import JWSRegistry
from structlog.testing import capture_logs

from src.errors import ChattyError, TokenExpired, Unauthorized, Unavailable
from src.oauth import outbound
from src.oauth.host_tokens import HostTokens
from src.oauth.outbound import Outbound
from src.sign_in_settings import ExchangeSettings

from ..providers import hostile
from ..providers.hostile import ABSENT, HostileProvider, key_number

SECRET = "a secret of at least thirty-two bytes"
ISSUER, AUDIENCE = "https://host.example", "chatty"


def raw_token(header: bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload)]
    signature = base64.urlsafe_b64encode(sign(b".".join(encoded))).rstrip(b"=")
    return b".".join([*encoded, signature]).decode()


def signed(payload: Any, key: Key, algorithm: str = "HS256", **header: Any) -> str:
    """A token, or the nearest thing to one; `payload`: claims, or bytes as they are."""
    said = {name: value for name, value in {"alg": algorithm, "typ": "JWT", **header}.items() if value is not ABSENT}
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return raw_token(orjson.dumps(said), body, lambda text: JWSRegistry.algorithms[algorithm].sign(text, key))


def claims(**changes: Any) -> dict[str, Any]:
    moment = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "customer-7", "iat": moment, "exp": moment + 300}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ABSENT}


SHARED = OctKey.import_key(SECRET)


@pytest.fixture
async def by_secret() -> HostTokens:
    return HostTokens(ExchangeSettings(issuer=ISSUER, audience=AUDIENCE, secret=SECRET), Outbound())


@pytest.fixture
async def host() -> AsyncIterator[HostileProvider]:
    async with HostileProvider() as provider:
        yield provider


@pytest.fixture
async def by_keys(host: HostileProvider) -> AsyncIterator[HostTokens]:
    calls = Outbound()
    yield HostTokens(ExchangeSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=f"{host.url}/jwks"), calls)
    await calls.close()


async def refusal_of(tokens: HostTokens, token: str) -> str:
    """The reason in the log; nothing but Unauthorized may come of it."""
    with capture_logs() as logged, pytest.raises(Exception) as caught:
        await tokens.read(token)
    assert type(caught.value) is Unauthorized
    (line,) = logged
    assert line["provider"] == "host" and not {"token", "exc_info", "exception"} & line.keys()
    return str(line["reason"])


class TestWhatIsRead:
    async def test_is_who_somebody_is_there(self, by_secret: HostTokens) -> None:
        said = claims(name="홍길동", email="gildong@example.com", email_verified=True, picture="https://p/1", jti="one")
        token = await by_secret.read(signed(said, SHARED))
        anna = token.identity
        assert (anna.provider, anna.issuer, anna.subject) == ("host", ISSUER, "customer-7")
        assert (anna.email, anna.email_verified, anna.nickname) == ("gildong@example.com", True, "홍길동")
        assert (anna.picture, anna.grant) == ("https://p/1", None)
        assert token.token_id == "one"
        assert token.expires_at == datetime.fromtimestamp(said["exp"], UTC)

    async def test_may_be_little(self, by_secret: HostTokens) -> None:
        token = await by_secret.read(signed(claims(iat=ABSENT), SHARED, typ=ABSENT))
        anna = token.identity
        assert (anna.email, anna.email_verified, anna.nickname, anna.picture) == (None, False, None, None)
        assert token.token_id is None

    @pytest.mark.parametrize("verified", [ABSENT, False, "true", 1, None])
    async def test_has_no_verified_address_but_by_true(self, by_secret: HostTokens, verified: object) -> None:
        said = claims(email="anna@example.com", email_verified=verified)
        assert not (await by_secret.read(signed(said, SHARED))).identity.email_verified

    async def test_has_no_address_that_is_none(self, by_secret: HostTokens) -> None:
        anna = (await by_secret.read(signed(claims(email="anna", email_verified=True), SHARED))).identity
        assert (anna.email, anna.email_verified) == (None, False)

    @pytest.mark.parametrize("header", [{"typ": "jwt"}, {"typ": "JWT"}, {"kid": "anything"}, {"x-own": 1}])
    async def test_may_have_a_header_of_its_own(self, by_secret: HostTokens, header: dict[str, Any]) -> None:
        assert await by_secret.read(signed(claims(), SHARED, **header))

    @pytest.mark.parametrize("change", [{"aud": ["other", AUDIENCE]}, {"exp": time.time() + 86_000.5}, {"nbf": 0}])
    async def test_may_have_claims_of_another_form(self, by_secret: HostTokens, change: dict[str, Any]) -> None:
        assert await by_secret.read(signed(claims(**change), SHARED))

    @pytest.mark.parametrize("name", ["iat", "nbf"])
    async def test_may_be_of_a_clock_that_is_ahead(self, by_secret: HostTokens, name: str) -> None:
        assert await by_secret.read(signed(claims(**{name: time.time() + 30}), SHARED))


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"iss": "https://other.example"}, "wrong_issuer"),
            ({"iss": ABSENT}, "wrong_issuer"),
            ({"iss": [ISSUER]}, "wrong_issuer"),
            ({"aud": "other"}, "wrong_audience"),
            ({"aud": ["other"]}, "wrong_audience"),
            ({"aud": ABSENT}, "wrong_audience"),
            ({"aud": {AUDIENCE: 1}}, "wrong_audience"),
            ({"sub": ABSENT}, "bad_subject"),
            ({"sub": ""}, "bad_subject"),
            ({"sub": 7}, "bad_subject"),
            ({"sub": None}, "bad_subject"),
            ({"sub": "x" * 256}, "bad_subject"),
            ({"sub": "a\x00"}, "bad_subject"),
            ({"exp": ABSENT}, "no_exp"),
            ({"exp": None}, "bad_time"),
            ({"exp": "9999999999"}, "bad_time"),
            ({"exp": True}, "bad_time"),
            ({"exp": 1e300}, "bad_time"),
            ({"iat": "now"}, "bad_time"),
            ({"nbf": []}, "bad_time"),
            ({"jti": 5}, "bad_token_id"),
            ({"jti": ""}, "bad_token_id"),
            ({"jti": None}, "bad_token_id"),
            ({"jti": "x" * 256}, "bad_token_id"),
        ],
    )
    async def test_for_a_claim(self, by_secret: HostTokens, change: dict[str, Any], reason: str) -> None:
        assert await refusal_of(by_secret, signed(claims(**change), SHARED)) == reason

    @pytest.mark.parametrize(
        ("name", "seconds", "reason"),
        [("exp", 86_500, "lasts_too_long"), ("iat", 100, "future_iat"), ("nbf", 100, "future_nbf")],
    )
    async def test_for_a_time(self, by_secret: HostTokens, name: str, seconds: int, reason: str) -> None:
        assert await refusal_of(by_secret, signed(claims(**{name: time.time() + seconds}), SHARED)) == reason

    @pytest.mark.parametrize("ago", [0, 1, 3600])
    async def test_for_having_expired(self, by_secret: HostTokens, ago: int) -> None:
        with pytest.raises(TokenExpired):
            await by_secret.read(signed(claims(exp=int(time.time()) - ago), SHARED))

    @pytest.mark.parametrize(
        ("header", "reason"),
        [
            ({"typ": "at+jwt"}, "wrong_type"),
            ({"typ": 5}, "wrong_type"),
            ({"typ": None}, "wrong_type"),
            ({"crit": ["exp"]}, "forbidden_header"),
            ({"crit": []}, "forbidden_header"),
            ({"jwk": {"kty": "oct", "k": "AAAA"}}, "forbidden_header"),
            ({"jku": "https://evil.example"}, "forbidden_header"),
            ({"x5u": "https://evil.example"}, "forbidden_header"),
            ({"x5c": ["MIIB"]}, "forbidden_header"),
            ({"kid": ["a"]}, "malformed_header"),
            ({"alg": "HS512"}, "wrong_algorithm"),
            ({"alg": "RS256"}, "wrong_algorithm"),
            ({"alg": "none"}, "wrong_algorithm"),
            ({"alg": "hs256"}, "wrong_algorithm"),
            ({"alg": {}}, "wrong_algorithm"),
        ],
    )
    async def test_for_a_header(self, by_secret: HostTokens, header: dict[str, Any], reason: str) -> None:
        assert await refusal_of(by_secret, signed(claims(), SHARED, **header)) == reason

    async def test_for_another_secret(self, by_secret: HostTokens) -> None:
        other = OctKey.import_key("another secret of thirty-two bytes, or more")
        assert await refusal_of(by_secret, signed(claims(), other)) == "wrong_signature"

    async def test_for_a_change_after_signing(self, by_secret: HostTokens) -> None:
        header, _, signature = signed(claims(), SHARED).split(".")
        _, payload, _ = signed(claims(sub="customer-8"), SHARED).split(".")
        assert await refusal_of(by_secret, f"{header}.{payload}.{signature}") == "wrong_signature"
        assert await refusal_of(by_secret, f"{header}.{payload}.") == "wrong_signature"

    async def test_for_its_length(self, by_secret: HostTokens) -> None:
        assert await refusal_of(by_secret, signed(claims(name="x" * 5_000), SHARED)) == "too_long"

    @pytest.mark.parametrize(
        "token",
        ["", ".", "..", "a.b.c", "e30.e30.e30", "\ud800.a.b", "한.글.자", "a" * 4_000, ".".join("aaaaa"), "W10.e30.A"],
    )
    async def test_for_being_none(self, by_secret: HostTokens, token: str) -> None:
        assert await refusal_of(by_secret, token) in ("no_signed_token", "malformed_header")

    @pytest.mark.parametrize(
        "payload",
        [b"[]", b"5", b"\xff", b"[" * 2_000, b'{"a":' * 400 + b"1" + b"}" * 400, b'{"sub":"\\udfff"}', b""],
        ids=["list", "number", "not utf-8", "unclosed", "deep", "surrogate", "nothing"],
    )
    async def test_for_a_payload_that_is_no_object(self, by_secret: HostTokens, payload: bytes) -> None:
        assert await refusal_of(by_secret, signed(payload, SHARED)) in ("claims_are_no_json", "wrong_issuer")

    async def test_for_a_header_that_is_deep(self, by_secret: HostTokens) -> None:
        token = raw_token(b"[" * 380, b"{}", lambda text: hmac.digest(SECRET.encode(), text, hashlib.sha256))
        assert await refusal_of(by_secret, token) == "no_signed_token"


class TestPublishedKeys:
    @pytest.mark.parametrize(
        ("algorithm", "key"),
        [
            ("RS256", key_number(0)),
            ("ES256", ECKey.generate_key("P-256", {"kid": "ec"}, private=True)),
            ("EdDSA", OKPKey.generate_key("Ed25519", {"kid": "ed"}, private=True)),
        ],
        ids=["RS256", "ES256", "EdDSA"],
    )
    async def test_verify(self, host: HostileProvider, by_keys: HostTokens, algorithm: str, key: Key) -> None:
        host.faults["jwks"] = hostile.raw(orjson.dumps({"keys": [key.as_dict(private=False)]}))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            token = await by_keys.read(signed(claims(), key, algorithm, kid=key.kid))
        assert token.identity.subject == "customer-7"

    async def test_are_chosen_by_the_algorithm_where_no_name_is_given(
        self, host: HostileProvider, by_keys: HostTokens
    ) -> None:
        curve = ECKey.generate_key("P-256", private=True)
        both = [key_number(0).as_dict(private=False), curve.as_dict(private=False)]
        host.faults["jwks"] = hostile.raw(orjson.dumps({"keys": both}))
        assert await by_keys.read(signed(claims(), curve, "ES256"))

    async def test_of_another_curve_are_refused(self, host: HostileProvider, by_keys: HostTokens) -> None:
        curve = ECKey.generate_key("P-384", {"kid": "ec"}, private=True)
        host.faults["jwks"] = hostile.raw(orjson.dumps({"keys": [curve.as_dict(private=False)]}))
        token = raw_token(b'{"alg":"ES256","kid":"ec"}', orjson.dumps(claims()), lambda _: b"\0" * 96)
        assert await refusal_of(by_keys, token) == "unknown_key"

    async def test_are_no_shared_secrets(self, by_keys: HostTokens) -> None:
        pem = key_number(0).as_pem(private=False)
        token = raw_token(
            b'{"alg":"HS256","kid":"key-0"}', orjson.dumps(claims()), lambda t: hmac.digest(pem, t, "sha256")
        )
        assert await refusal_of(by_keys, token) == "wrong_algorithm"

    async def test_that_are_shared_secrets_are_not_taken(self, host: HostileProvider, by_keys: HostTokens) -> None:
        host.faults["jwks"] = hostile.raw(orjson.dumps({"keys": [{**SHARED.as_dict(private=True), "kid": "s"}]}))
        assert await refusal_of(by_keys, signed(claims(), key_number(0), "RS256", kid="s")) == "unknown_key"

    async def test_that_are_not_of_the_configured_algorithms_are_not_taken(self, host: HostileProvider) -> None:
        settings = ExchangeSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=f"{host.url}/jwks", algorithms="ES256")
        tokens = HostTokens(settings, calls := Outbound())
        assert await refusal_of(tokens, signed(claims(), key_number(0), "RS256", kid="key-0")) == "wrong_algorithm"
        assert not host.requests["jwks"]
        await calls.close()

    async def test_that_are_the_token_s_own_are_refused(self, by_keys: HostTokens) -> None:
        own = OKPKey.generate_key("Ed25519", private=True)
        token = signed(claims(), own, "EdDSA", jwk=own.as_dict(private=False))
        assert await refusal_of(by_keys, token) == "forbidden_header"

    async def test_that_changed_are_fetched_again(self, host: HostileProvider, by_keys: HostTokens) -> None:
        assert await by_keys.read(signed(claims(), host.keys[0], "RS256", kid=host.keys[0].kid))
        host.rotate()
        assert await by_keys.read(signed(claims(), host.keys[0], "RS256", kid=host.keys[0].kid))

    async def test_are_not_fetched_for_every_name_that_a_stranger_makes_up(
        self, host: HostileProvider, by_keys: HostTokens
    ) -> None:
        for number in range(5):
            token = signed(claims(), key_number(99), "RS256", kid=f"../{number}")
            assert await refusal_of(by_keys, token) == "unknown_key"
        assert len(host.requests["jwks"]) == 2

    @pytest.mark.parametrize(
        "fault", [hostile.server_error, hostile.never, hostile.html, hostile.ten_megabytes, hostile.raw(b"{}", 404)]
    )
    async def test_that_cannot_be_had_make_it_unavailable(
        self, host: HostileProvider, by_keys: HostTokens, fault: hostile.Fault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "SECONDS", 1)
        host.faults["jwks"] = fault
        with capture_logs() as logged, pytest.raises(ChattyError) as caught:
            await by_keys.read(signed(claims(), key_number(0), "RS256", kid="key-0"))
        assert type(caught.value) is Unavailable
        assert len(logged) == 1


async def test_what_nobody_thought_of_is_still_a_refusal(
    by_secret: HostTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.oauth.host_tokens.check_audience", lambda *_: 1 / 0)
    with pytest.raises(Unauthorized):
        await by_secret.read(signed(claims(), SHARED))
