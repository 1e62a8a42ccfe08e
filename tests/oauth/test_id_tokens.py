"""What an ID token must be, and each way in which it is not (OpenID Connect Core §3.1.3.7, RFC 8725)."""

import time
from typing import Any

import pytest

from src.errors import SignInFailed
from src.oauth import keys

from ..providers import hostile
from ..providers.hostile import ABSENT
from .conftest import Stage


async def test_an_honest_one_says_who_somebody_is(stage: Stage) -> None:
    anna = await stage.sign_in()
    assert (anna.provider, anna.issuer, anna.subject) == ("evil", stage.evil.url, "subject-of-anna")
    assert (anna.email, anna.email_verified, anna.nickname) == ("anna@example.com", True, "Anna")
    assert anna.picture == "https://pictures.example/anna.png"
    assert anna.grant is not None and anna.grant.refresh_token and anna.grant.expires_at
    assert stage.logged == []


@pytest.mark.parametrize(
    ("signing", "reason"),
    [
        (hostile.alg_none, "wrong_algorithm"),
        (hostile.unsigned, "wrong_signature"),
        (hostile.with_public_key, "wrong_algorithm"),
        (hostile.with_other_key, "wrong_signature"),
        (hostile.with_own_jwk, "no_signed_token"),  # it is longer than a header may be
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_signature_that_is_not_the_providers_is_refused(stage: Stage, signing: Any, reason: str) -> None:
    stage.evil.signing = signing
    await stage.fails(SignInFailed, reason)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, "forbidden_header"),
        ({"jku": "https://keys.example/jwks"}, "forbidden_header"),
        ({"x5u": "https://keys.example/x5u"}, "forbidden_header"),
        ({"x5c": ["MIIB"]}, "forbidden_header"),
        ({"crit": ["exp"]}, "forbidden_header"),
        ({"b64": False}, "no_signed_token"),
        ({"typ": "at+jwt"}, "wrong_type"),
        ({"typ": ["JWT"]}, "wrong_type"),
        ({"alg": "RS512"}, "wrong_algorithm"),
        ({"alg": ["RS256"]}, "wrong_algorithm"),
        ({"alg": ABSENT}, "no_signed_token"),
        ({"kid": 7}, "malformed_header"),
        ({"kid": "../../dev/null"}, "unknown_key"),
        ({"padding": "A" * 600}, "no_signed_token"),
    ],
)
async def test_a_header_that_decides_for_us_is_refused(stage: Stage, header: dict[str, Any], reason: str) -> None:
    stage.evil.header = header
    await stage.fails(SignInFailed, reason)


@pytest.mark.parametrize("header", [{"typ": ABSENT}, {"typ": "jwt"}, {"x-own": "word"}, {"kid": ABSENT}])
async def test_a_header_may_say_little_or_more(stage: Stage, header: dict[str, Any]) -> None:
    stage.evil.header = header
    assert (await stage.sign_in()).subject == "subject-of-anna"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://accounts.example"}, "wrong_issuer"),
        ({"iss": ABSENT}, "wrong_issuer"),
        ({"iss": ["x"]}, "wrong_issuer"),
        ({"aud": "somebody-else"}, "wrong_audience"),
        ({"aud": ABSENT}, "wrong_audience"),
        ({"aud": ["somebody-else"]}, "wrong_audience"),
        ({"aud": []}, "wrong_audience"),
        ({"aud": ["chatty", "somebody-else"]}, "wrong_authorized_party"),
        ({"aud": ["chatty", "somebody-else"], "azp": "somebody-else"}, "wrong_authorized_party"),
        ({"azp": "somebody-else"}, "wrong_authorized_party"),
        ({"azp": None}, "wrong_authorized_party"),
        ({"nonce": "of-another-attempt"}, "wrong_nonce"),
        ({"nonce": ABSENT}, "wrong_nonce"),
        ({"nonce": None}, "wrong_nonce"),
        ({"exp": ABSENT}, "no_exp"),
        ({"iat": ABSENT}, "no_iat"),
        ({"exp": "soon"}, "bad_time"),
        ({"exp": True}, "bad_time"),
        ({"exp": 10**400}, "claims_are_no_json"),
        ({"exp": 1e308}, "bad_time"),
        ({"exp": -1}, "bad_time"),
        ({"sub": ABSENT}, "bad_subject"),
        ({"sub": ""}, "bad_subject"),
        ({"sub": 7}, "bad_subject"),
        ({"sub": "x" * 256}, "bad_subject"),
        ({"sub": "x" * 9_000}, "bad_subject"),
        ({"sub": "anna\x00"}, "bad_subject"),
    ],
)
async def test_a_claim_that_is_not_for_this_sign_in_is_refused(
    stage: Stage, claims: dict[str, Any], reason: str
) -> None:
    if claims.get("exp") == 10**400:
        stage.evil.signing = lambda provider, header, payload: hostile.honestly(
            provider, header, payload.replace(b'"exp":5', b'"exp":1' + b"0" * 400)
        )
        claims = {"exp": 5}
    stage.evil.claims = claims
    await stage.fails(SignInFailed, reason)


@pytest.mark.parametrize(
    ("name", "seconds", "reason"),
    [
        ("exp", -3600, "expired"),
        ("exp", -61, "expired"),
        ("iat", -700, "too_old"),
        ("iat", 100, "future_iat"),
        ("nbf", 100, "future_nbf"),
    ],
)
async def test_a_time_that_is_not_now_is_refused(stage: Stage, name: str, seconds: int, reason: str) -> None:
    stage.evil.claims = {name: time.time() + seconds}
    await stage.fails(SignInFailed, reason)


@pytest.mark.parametrize(("name", "seconds"), [("exp", -30), ("iat", -600), ("iat", 30)])
async def test_clocks_may_differ_by_a_minute(stage: Stage, name: str, seconds: int) -> None:
    stage.evil.claims = {name: time.time() + seconds}
    assert (await stage.sign_in()).subject == "subject-of-anna"


async def test_several_audiences_are_fine_if_it_was_made_for_us(stage: Stage) -> None:
    stage.evil.claims = {"aud": ["chatty", "somebody-else"], "azp": "chatty"}
    assert (await stage.sign_in()).subject == "subject-of-anna"


@pytest.mark.parametrize(
    "payload",
    [b"[]", b'"anna"', b"\xff\xfe", b"[" * 5_000, b'{"sub":"\\ud800"}', b'{"exp":NaN}', b""],
    ids=["list", "string", "not utf-8", "deep", "surrogate", "nan", "nothing"],
)
async def test_claims_that_are_no_object_are_refused(stage: Stage, payload: bytes) -> None:
    stage.evil.signing = lambda provider, header, _: hostile.honestly(provider, header, payload)
    await stage.fails(SignInFailed, "claims_are_no_json")


@pytest.mark.parametrize("token", [None, 5, [], "", "a.b", "a.b.c.d.e", "é.é.é", "e30.e30.e30", "." * 20_000])
async def test_what_is_no_token_is_refused(stage: Stage, token: object) -> None:
    stage.evil.token = {"id_token": token}
    clean = isinstance(token, str) and token.isascii() and 1 <= len(token) <= 16_384
    await stage.fails(SignInFailed, "no_signed_token" if clean else "no_id_token")


async def test_its_absence_is_refused(stage: Stage) -> None:
    stage.evil.token = {"id_token": ABSENT}
    await stage.fails(SignInFailed, "no_id_token")


class TestKeys:
    async def test_are_fetched_once_for_all(self, stage: Stage) -> None:
        for _ in range(3):
            await stage.sign_in()
        assert len(stage.evil.requests["jwks"]) == len(stage.evil.requests["discovery"]) == 1

    async def test_that_have_changed_are_fetched_again(self, stage: Stage) -> None:
        await stage.sign_in()
        stage.evil.rotate()
        assert (await stage.sign_in()).subject == "subject-of-anna"
        assert len(stage.evil.requests["jwks"]) == 2

    async def test_that_are_unknown_make_us_ask_once_however_many_come(self, stage: Stage) -> None:
        await stage.sign_in()
        stage.evil.header = {"kid": "made-up"}
        for _ in range(5):
            await stage.fails(SignInFailed, "unknown_key")
        assert len(stage.evil.requests["jwks"]) == 2
        stage.evil.header = {}
        await stage.sign_in()  # a flood takes the good keys from nobody

    @pytest.mark.parametrize("others", [5, {"kty": "oct", "k": "AAAA"}, {"kty": "RSA", "n": 5}, {"kty": "ML-DSA"}, []])
    async def test_that_nobody_can_read_do_not_hide_the_others(self, stage: Stage, others: object) -> None:
        key = hostile.key_number(0).as_dict(private=False)
        stage.evil.faults["jwks"] = hostile.raw(hostile.orjson.dumps({"keys": [others, key]}))
        assert (await stage.sign_in()).subject == "subject-of-anna"

    @pytest.mark.parametrize("change", [{"use": "enc"}, {"alg": "RS512"}, {"kid": "other"}, {"kty": "EC"}], ids=str)
    async def test_that_are_for_something_else_verify_nothing(self, stage: Stage, change: dict[str, str]) -> None:
        key = {**hostile.key_number(0).as_dict(private=False), **change}
        stage.evil.faults["jwks"] = hostile.raw(hostile.orjson.dumps({"keys": [key]}))
        await stage.fails(SignInFailed, "unknown_key")

    async def test_that_are_weak_verify_nothing(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keys, "_RSA_BITS", range(4096, 8193))
        await stage.fails(SignInFailed, "unknown_key")

    async def test_of_one_name_are_not_guessed_among(self, stage: Stage) -> None:
        both = [{**hostile.key_number(number).as_dict(private=False), "kid": "key-0"} for number in (0, 1)]
        stage.evil.faults["jwks"] = hostile.raw(hostile.orjson.dumps({"keys": both}))
        await stage.fails(SignInFailed, "unknown_key")
