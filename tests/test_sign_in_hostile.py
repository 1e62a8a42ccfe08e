"""A provider that lies, stalls or points elsewhere: it signs nobody in (RFC 9700, RFC 8725)."""

import time
from typing import Any

import pytest

from src.oauth import outbound

from .browser import Tab
from .providers import hostile
from .providers.hostile import ABSENT
from .providers.trap import Trap

MOMENT = int(time.time())
UNFIT_TOKENS: dict[str, dict[str, Any]] = {
    "alg none": {"signing": hostile.alg_none},
    "signature cut off": {"signing": hostile.unsigned},
    "HS256 with the public key": {"signing": hostile.with_public_key},
    "a key it does not have": {"signing": hostile.with_other_key},
    "a key it brings along": {"signing": hostile.with_own_jwk},
    "kid unknown": {"header": {"kid": "unknown"}},
    "kid a path": {"header": {"kid": "../../../../dev/null"}},
    "jku": {"header": {"jku": "http://169.254.169.254/keys"}},
    "x5u": {"header": {"x5u": "http://169.254.169.254/keys"}},
    "crit": {"header": {"crit": ["b64"], "b64": False}},
    "aud of another": {"claims": {"aud": "somebody-else"}},
    "aud missing": {"claims": {"aud": ABSENT}},
    "aud of several, azp missing": {"claims": {"aud": ["chatty", "somebody-else"]}},
    "azp of another": {"claims": {"azp": "somebody-else"}},
    "iss of another": {"claims": {"iss": "https://accounts.google.com"}},
    "iss missing": {"claims": {"iss": ABSENT}},
    "exp past": {"claims": {"exp": MOMENT - 3600}},
    "exp missing": {"claims": {"exp": ABSENT}},
    "exp a word": {"claims": {"exp": "tomorrow"}},
    "iat long ago": {"claims": {"iat": MOMENT - 86_400}},
    "iat in the future": {"claims": {"iat": MOMENT + 86_400, "exp": MOMENT + 90_000}},
    "nonce missing": {"claims": {"nonce": ABSENT}},
    "nonce of another": {"claims": {"nonce": "n" * 43}},
    "nonce empty": {"claims": {"nonce": ""}},
    "nonce null": {"claims": {"nonce": None}},
    "sub missing": {"claims": {"sub": ABSENT}},
    "sub empty": {"claims": {"sub": ""}},
    "sub null": {"claims": {"sub": None}},
    "sub a list": {"claims": {"sub": ["anna"]}},
    "sub too long": {"claims": {"sub": "s" * 256}},
    "sub with NUL": {"claims": {"sub": "a\x00b"}},
    "no ID token": {"token": {"id_token": ABSENT}},
    "ID token null": {"token": {"id_token": None}},
    "ID token a word": {"token": {"id_token": "x"}},
    "ID token of dots": {"token": {"id_token": "..."}},
    "ID token huge": {"token": {"id_token": "a" * 100_000 + ".b.c"}},
    "userinfo of another": {"userinfo": {"sub": "somebody-else"}},
}


class TestAnIdToken:
    async def test_that_is_honest_is_taken(self, trap: Trap, tab: Tab) -> None:
        assert await trap.come(tab) is None
        assert await trap.signed_in(tab)

    @pytest.mark.one_database
    @pytest.mark.parametrize("unfit", UNFIT_TOKENS)
    async def test_that_is_unfit_signs_nobody_in(self, trap: Trap, tab: Tab, unfit: str) -> None:
        for name, value in UNFIT_TOKENS[unfit].items():
            setattr(trap.evil, name, value)
        async with trap.nothing_made():
            assert await trap.come(tab) == "sign_in_failed"
        assert not await trap.signed_in(tab)

    @pytest.mark.one_database
    async def test_of_unknown_keys_makes_no_flood(self, trap: Trap, tab: Tab) -> None:
        trap.evil.signing = hostile.with_other_key
        for number in range(20):
            trap.evil.header = {"kid": f"unknown-{number}"}
            assert await trap.come(tab) == "sign_in_failed"
        assert len(trap.evil.requests["jwks"]) <= 2

    async def test_of_yesterdays_sign_in_is_worth_nothing_today(self, trap: Trap, tab: Tab) -> None:
        """Replay: the nonce is that of another sign-in, however well it is signed."""
        first = await trap.held(tab)
        await trap.held(tab)
        second = await trap.held(tab)
        asked = trap.evil.requests["authorize"]
        trap.evil.claims["nonce"] = asked[0].form["nonce"]
        assert first != second
        async with trap.nothing_made():
            await tab.visit(second)
        assert trap.ended(tab) == "sign_in_failed"


FAULTS = {
    "500": hostile.server_error,
    "silence": hostile.never,
    "a body without end": hostile.hanging_body,
    "10 MB": hostile.ten_megabytes,
    "a gzip bomb": hostile.gzip_bomb,
    "a web page": hostile.html,
    "a redirection": hostile.redirect_to("http://169.254.169.254/latest/meta-data/"),
    "a list": hostile.raw(b"[]"),
    "half a word": hostile.raw(b'{"access_tok'),
    "deep nesting": hostile.raw(b"[" * 100_000),
    "NaN": hostile.raw(b'{"access_token": NaN}'),
    "no JSON": hostile.raw(b"\xff\xfe\x00"),
    "nothing": hostile.raw(b""),
    "204": hostile.raw(b"", 204),
}


class TestAProviderThatMisbehaves:
    @pytest.mark.one_database
    @pytest.mark.parametrize("endpoint", ["discovery", "token", "jwks", "userinfo"])
    @pytest.mark.parametrize("fault", FAULTS)
    async def test_signs_nobody_in(
        self, trap: Trap, tab: Tab, endpoint: str, fault: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(outbound, "SECONDS", 0.5)
        trap.evil.faults[endpoint] = FAULTS[fault]
        async with trap.nothing_made():
            assert await trap.come(tab) == "provider_unavailable"
        assert not await trap.signed_in(tab)
        assert await trap.come(tab, "good") is None, "the others' sign-ins go on"

    @pytest.mark.one_database
    @pytest.mark.parametrize("endpoint", ["token_endpoint", "userinfo_endpoint", "jwks_uri", "authorization_endpoint"])
    async def test_sends_us_nowhere_else(self, trap: Trap, tab: Tab, endpoint: str) -> None:
        name = {"token_endpoint": "token", "userinfo_endpoint": "userinfo", "jwks_uri": "jwks"}.get(
            endpoint, "authorize"
        )
        trap.evil.discovery = {endpoint: f"{trap.good.url}/{name}"}
        async with trap.nothing_made():
            await tab.visit(trap.start())
        assert trap.ended(tab) in ("provider_unavailable", "sign_in_failed")
        assert not trap.good.requests

    @pytest.mark.one_database
    async def test_is_not_another_by_calling_itself_so(self, trap: Trap, tab: Tab) -> None:
        trap.evil.discovery = {"issuer": trap.good.url}
        async with trap.nothing_made():
            assert await trap.come(tab) == "provider_unavailable"

    @pytest.mark.one_database
    async def test_puts_none_of_its_words_into_our_answer(self, trap: Trap, tab: Tab) -> None:
        trap.evil.refusal = "<script>alert(1)</script>"
        trap.evil.callback = {"error_description": "Call +82-2-555-0100", "error_uri": "https://evil.example"}
        async with trap.nothing_made():
            await trap.come(tab)
        assert "script" not in str(tab.page.url) and "evil" not in str(tab.page.url)


ODD_ANSWERS: dict[str, dict[str, Any]] = {
    "access token a number": {"token": {"access_token": 5}},
    "access token empty": {"token": {"access_token": ""}},
    "access token of two lines": {"token": {"access_token": "a\r\nX-Injected: 1"}},
    "access token in Korean": {"token": {"access_token": "토큰"}},
    "token type unknown": {"token": {"token_type": "mac"}},
    "lifetime a word": {"token": {"expires_in": "soon"}},
    "lifetime negative": {"token": {"expires_in": -5}},
    "lifetime for ever": {"token": {"expires_in": 10**30}},
    "refresh token a list": {"token": {"refresh_token": ["x"]}},
    "address a number": {"userinfo": {"email": 5}},
    "address huge": {"userinfo": {"email": "a" * 100_000 + "@example.com"}},
    "address with NUL": {"userinfo": {"email": "a\x00@example.com"}},
    "address half a character": {"userinfo": {"email": "a\ud800@example.com"}},
    "address of two lines": {"userinfo": {"email": "a@example.com\r\nBcc: b@example.com"}},
    "name an object": {"userinfo": {"name": {"given": "Anna"}}},
    "name huge": {"userinfo": {"name": "가" * 50_000}},
    "name half a character": {"userinfo": {"name": "A\ud800"}},
    "name of marks": {"userinfo": {"name": "A" + "\u0301" * 10_000}},
    "picture a script": {"userinfo": {"picture": "javascript:alert(1)"}},
    "picture a number": {"userinfo": {"picture": 5}},
}


class TestAnOddAnswer:
    @pytest.mark.one_database
    @pytest.mark.parametrize("odd", ODD_ANSWERS)
    async def test_is_refused_or_left_out(self, trap: Trap, tab: Tab, odd: str) -> None:
        for name, value in ODD_ANSWERS[odd].items():
            setattr(trap.evil, name, value)
        error = await trap.come(tab)
        assert error in (None, "sign_in_failed", "provider_unavailable")
        assert await trap.signed_in(tab) is (error is None)
        assert await trap.made() == [int(error is None)] * 3

    @pytest.mark.parametrize("said", ["true", 1, "yes", None, ["true"], {"x": True}])
    async def test_verifies_no_address(self, trap: Trap, tab: Tab, said: object) -> None:
        trap.evil.people["anna"]["email_verified"] = said
        assert await trap.come(tab) is None
        page = await tab.fetch("POST", f"{trap.service.url}/api/v1/auth/refresh")
        assert '"email":null,"email_verified":false' in page.text
