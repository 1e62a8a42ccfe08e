"""Tokens: what is ours, and every way in which it is not."""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine

from src.errors import TokenExpired, Unauthorized
from src.services.tokens import Tokens

USER, SESSION = uuid4(), uuid4()
ISSUER = "https://chatty.example"

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("a signing key of at least 32 bytes!", ISSUER, access_seconds=900)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims, changed; None takes one away."""
    good = {
        "iss": ISSUER, "aud": "chatty", "typ": "access", "sub": str(USER), "sid": str(SESSION),
        "iat": int(time.time()), "exp": int(time.time()) + 900,
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(tokens: Tokens, payload: Any = None, key: bytes | None = None, **how: Any) -> str:
    return jwt.encode(payload or claims(), key or tokens._access_key, **{"algorithm": "HS256"} | how)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_an_access_token_names_its_person_its_session_and_its_end(tokens: Tokens) -> None:
    token = tokens.access(USER, SESSION)
    viewer = tokens.read_access(token)
    assert (viewer.user_id, viewer.session_id) == (USER, SESSION)
    assert 899 < (viewer.expires_at - datetime.now(UTC)).total_seconds() <= 901
    assert len(token) < 4096 and tokens.read_access(token) == viewer
    assert tokens.read_access(signed(tokens)).user_id == USER, "the forgeries below fail for their one fault alone"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example"}, {"iss": None}, {"aud": "other"}, {"aud": None}, {"aud": ["chatty", "x"]},
        {"typ": "refresh"}, {"typ": None}, {"sub": None}, {"sub": "anna"}, {"sid": None}, {"sid": "1"},
        {"exp": None}, {"exp": "soon"}, {"iat": None}, {"iat": time.time() + 3600}, {"iat": "x"},
        {"nbf": time.time() + 3600},
    ],
)  # fmt: skip
def test_a_token_with_a_claim_wrong_or_missing_is_not_ours(tokens: Tokens, change: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refused:
        tokens.read_access(signed(tokens, claims(**change)))
    assert refused.value.code == "unauthorized"


def forged(tokens: Tokens) -> dict[str, str]:
    ours = signed(tokens)
    header, payload, signature = ours.split(".")
    return {
        "alg none": jwt.encode(claims(), None, algorithm="none"),
        "none with our signature": f"{part({'alg': 'none'})}.{payload}.{signature}",
        "stripped signature": f"{header}.{payload}.",
        "no signature": f"{header}.{payload}",
        "another algorithm": signed(tokens, algorithm="HS512"),
        "another key": signed(tokens, key=b"another key of at least 32 bytes!!"),
        "the signing key itself": signed(tokens, key=b"a signing key of at least 32 bytes!"),
        "the key of refresh tokens": signed(tokens, key=tokens._refresh_key),
        "changed payload": f"{header}.{part(claims(sub=str(uuid4())))}.{signature}",
        "kid that is a path": signed(tokens, key=b"\0" * 32, headers={"kid": "../../dev/null"}),
        "kid that is SQL": signed(tokens, key=b"x" * 32, headers={"kid": "' UNION SELECT 'x' --"}),
        "a jwk of its own": signed(tokens, key=b"x" * 32, headers={"jwk": {"kty": "oct", "k": "eHg"}}),
        "a refresh token": tokens.refresh(SESSION, 0),
        "not text": "\ud800.\ud800.\ud800",
        "nothing": "",
        "dots": "..",
        "one megabyte": ours + "A" * 1_000_000,
        "a deep header": f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{payload}.{signature}",
        "a list": f"{part([])}.{part([])}.{signature}",
        "with a newline": ours + "\n",
    }


@pytest.mark.parametrize("kind", forged(Tokens("x" * 32, ISSUER, 900)))
def test_a_forged_token_is_not_ours(tokens: Tokens, kind: str) -> None:
    token = forged(tokens)[kind]
    with pytest.raises(Unauthorized) as refused:
        tokens.read_access(token)
    assert refused.value.code == "unauthorized"
    with pytest.raises(Unauthorized):
        tokens.read_access(token)


def test_an_expired_token_says_so_remembered_or_not(tokens: Tokens) -> None:
    remembered, fresh = tokens.access(USER, SESSION), tokens.access(USER, uuid4())
    tokens.read_access(remembered)
    with time_machine.travel(time.time() + 902):
        for token in (remembered, fresh):
            with pytest.raises(TokenExpired):
                tokens.read_access(token)


def test_tokens_are_remembered_in_bounds(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.services.tokens.MAX_REMEMBERED", 10)
    for _ in range(25):
        tokens.read_access(tokens.access(uuid4(), uuid4()))
    assert len(tokens._verified) <= 10


def test_a_refresh_token_is_genuine_or_refused(tokens: Tokens) -> None:
    token = tokens.refresh(SESSION, 7)
    assert tokens.read_refresh(token) == (SESSION, 7) and tokens.refresh(SESSION, 7) == token
    body, mac = token.rsplit(".", 1)
    others = Tokens("another signing key of 32 bytes!!!", ISSUER, 900)
    wrong = [f"{SESSION}.8.{mac}", f"{uuid4()}.7.{mac}", body, f"{body}.", mac, "", ".", "..", "\ud800", "가.나.다",
             others.refresh(SESSION, 7), tokens.access(USER, SESSION), token + "=", token + "\0"]  # fmt: skip
    for forgery in wrong:
        with pytest.raises(Unauthorized):
            tokens.read_refresh(forgery)
