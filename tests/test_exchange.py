"""The host application's token becomes a session (contract §2 `/auth/exchange`)."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import func, select

from src.db.models import User

from .accounts import cookie_in
from .cast import Answer, Cast, Person, Service
from .conftest import Mailbox, StartService
from .elsewhere import some_time_passes

ISSUER, AUDIENCE = "https://host.example", "chatty at host.example"
SECRET = "a secret that the host and this service share"
HOST = {"issuer": ISSUER, "audience": AUDIENCE, "secret": SECRET}


def claims(subject: str = "42", **said: Any) -> dict[str, Any]:
    """What a token says; a claim that is None is left out."""
    moment = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": moment, "exp": moment + 300}
    return {name: value for name, value in (usual | said).items() if value is not None}


def token(subject: str = "42", *, key: Any = SECRET, algorithm: str = "HS256", headers: Any = None, **said: Any) -> str:
    return jwt.encode(claims(subject, **said), key, algorithm=algorithm, headers=headers)


async def exchange(cast: Cast, given: str) -> Answer:
    return await cast.anonymous.raw("POST", "/auth/exchange", {"token": given, "session": "token"})


async def enter(cast: Cast, subject: str = "42", **said: Any) -> Person:
    answer = await exchange(cast, token(subject, **said))
    assert answer.status == 200, answer.json
    return Person(cast, answer.json)


async def people(service: Service) -> int:
    async with service.parts.database.snapshot() as reads:
        return int((await reads._connection.execute(select(func.count()).select_from(User))).scalar_one())


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(exchange=HOST)


class TestTheFirstExchange:
    async def test_makes_an_account_with_the_name_of_the_token(self, cast: Cast) -> None:
        anna = await enter(cast, name="Anna", email="anna@example.com", email_verified=True)
        me = await anna.get("/users/me")
        assert (me["nickname"], me["email"], me["email_verified"], me["has_password"]) == (
            "Anna", "anna@example.com", True, False,
        )  # fmt: skip
        assert [(each["provider"], each["email"]) for each in me["identities"]] == [("host", "anna@example.com")]
        assert [each["id"] for each in (await (await cast.join("Boris")).get("/users", params={"q": "Ann"}))["items"]]

    async def test_takes_no_address_that_nobody_has_verified(self, cast: Cast) -> None:
        for subject, verified in (("1", None), ("2", False), ("3", "true"), ("4", 1)):
            me = (await enter(cast, subject, email=f"{subject}@example.com", email_verified=verified)).user
            assert (me["email"], me["email_verified"]) == (None, False), verified
            assert me["identities"][0]["email"] == f"{subject}@example.com"

    async def test_invents_a_name_where_the_token_has_none_that_can_be_shown(self, cast: Cast) -> None:
        for subject, name in enumerate([None, "", " \t ", "\u3164", "\u200b"]):
            assert (await enter(cast, str(subject), name=name)).user["nickname"].startswith("사용자 "), name

    async def test_of_two_at_once_makes_one_account(self, cast: Cast, service: Service) -> None:
        given = [token("42", name="Anna", email="anna@example.com", email_verified=True) for _ in range(4)]
        answers = await asyncio.gather(*(exchange(cast, each) for each in given))
        assert [answer.status for answer in answers] == [200] * 4, [answer.json for answer in answers]
        assert len({answer.json["user"]["id"] for answer in answers}) == 1
        assert await people(service) == 1

    async def test_sets_the_cookie_for_a_browser(self, cast: Cast) -> None:
        answer = await cast.anonymous.raw("POST", "/auth/exchange", {"token": token()})
        assert answer.status == 200
        assert "refresh_token" not in answer.json
        assert cookie_in(answer)


class TestAFurtherExchange:
    async def test_is_the_same_person_with_a_session_of_its_own(self, cast: Cast) -> None:
        first, again, other = await enter(cast), await enter(cast), await enter(cast, "43")
        assert (again.id, again.token != first.token, other.id != first.id) == (first.id, True, True)
        assert len((await again.get("/auth/sessions"))["items"]) == 2

    async def test_renames_them_and_tells_who_sees_it(self, cast: Cast) -> None:
        anna, boris = await enter(cast, name="Anna"), await cast.join("Boris")
        await cast.befriend(anna, boris)
        ear = await boris.connect("/notifications")
        assert (await enter(cast, name="한나")).user["nickname"] == "한나"
        assert (await ear.heard("user_changed"))["nickname"] == "한나"
        found = await boris.get("/users", params={"q": "ㅎㄴ"})
        assert [each["id"] for each in found["items"]] == [anna.id]

    async def test_keeps_the_name_where_the_token_has_none_that_can_be_shown(self, cast: Cast) -> None:
        await enter(cast, name="Anna")
        for name in (None, "", "\u202e", 7):
            answer = await exchange(cast, token(name=name))
            assert answer.status in (200, 401)
            assert answer.status == 401 or answer.json["user"]["nickname"] == "Anna", name
        assert (await enter(cast, name="x" * 51)).user["nickname"] == "x" * 50

    async def test_does_not_take_a_new_address_for_the_account(self, cast: Cast) -> None:
        await enter(cast, email="anna@example.com", email_verified=True)
        me = (await enter(cast, email="boris@example.com", email_verified=True)).user
        assert (me["email"], me["identities"][0]["email"]) == ("anna@example.com", "boris@example.com")


class TestATokenThatNamesItself:
    async def test_works_once(self, cast: Cast) -> None:
        given = token(jti=str(uuid4()))
        assert (await exchange(cast, given)).status == 200
        answer = await exchange(cast, given)
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert (await exchange(cast, token(jti=str(uuid4())))).status == 200

    @pytest.mark.parametrize("known", [False, True], ids=["newcomer", "known"])
    async def test_works_for_one_of_many_at_once(self, cast: Cast, service: Service, known: bool) -> None:
        if known:
            await enter(cast)
        given = token(jti="the one")
        answers = await asyncio.gather(*(exchange(cast, given) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]
        assert await people(service) == 1

    async def test_is_not_used_up_by_a_refusal(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        given = token(jti="the one", email=anna.email)
        assert (await exchange(cast, given)).status == 409
        await anna.put("/users/me/identities/host", {"token": given}, expect=200)
        assert (await exchange(cast, given)).status == 401


class TestAnAddressThatIsTaken:
    @pytest.mark.parametrize("verified", [True, False])
    async def test_neither_signs_in_nor_links(self, cast: Cast, service: Service, verified: bool) -> None:
        anna = await cast.join("Anna")
        answer = await exchange(cast, token(email="ANNA@example.com", email_verified=verified))
        assert (answer.status, answer.json["code"]) == (409, "email_owned_by_other_method")
        assert (await anna.get("/users/me"))["identities"] == []
        assert await people(service) == 1

    async def test_is_solved_by_linking_from_the_settings(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        me = await anna.put("/users/me/identities/host", {"token": token(email=anna.email)}, expect=200)
        assert [each["provider"] for each in me["identities"]] == ["host"]
        assert (await enter(cast, email=anna.email)).id == anna.id


class TestLinkingTheHost:
    async def test_needs_a_recent_sign_in(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await some_time_passes(service)
        answer = await anna.raw("PUT", "/users/me/identities/host", {"token": token()})
        assert (answer.status, answer.json["code"]) == (403, "reauthentication_required")
        assert (await anna.get("/users/me"))["identities"] == []
        again = await anna.another_device()
        await again.put("/users/me/identities/host", {"token": token()}, expect=200)

    async def test_is_refused_for_what_is_anothers_and_for_a_second_one(self, cast: Cast) -> None:
        anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
        await anna.put("/users/me/identities/host", {"token": token("42")}, expect=200)
        for person, subject in ((mallory, "42"), (anna, "43")):
            answer = await person.raw("PUT", "/users/me/identities/host", {"token": token(subject)})
            assert (answer.status, answer.json["code"]) == (409, "identity_taken")
        assert (await enter(cast, "42")).id == anna.id
        assert (await mallory.get("/users/me"))["identities"] == []

    async def test_again_changes_nothing(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        first = await anna.put("/users/me/identities/host", {"token": token()}, expect=200)
        assert await anna.put("/users/me/identities/host", {"token": token()}, expect=200) == first

    async def test_by_two_at_once_succeeds_for_one(self, cast: Cast) -> None:
        pair = [await cast.join("Anna"), await cast.join("Boris")]
        answers = await asyncio.gather(
            *(each.raw("PUT", "/users/me/identities/host", {"token": token()}) for each in pair)
        )
        assert sorted(answer.status for answer in answers) == [200, 409]


FOREIGN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HOUR = 3600
REFUSED: dict[str, Any] = {
    "nonsense": lambda: "nonsense",
    "another secret": lambda: token(key="another secret that nobody shares with us"),
    "no signature": lambda: jwt.encode(claims(), "", algorithm="none"),
    "another algorithm": lambda: token(key=SECRET * 2, algorithm="HS512"),
    "a public key's": lambda: token(key=FOREIGN, algorithm="RS256"),
    "no issuer": lambda: token(iss=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no audience": lambda: token(aud=None),
    "another audience": lambda: token(aud="another application"),
    "no subject": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a long subject": lambda: token(sub="x" * 256),
    "no end": lambda: token(exp=None),
    "an end that is far away": lambda: token(exp=int(time.time()) + 25 * HOUR),
    "issued tomorrow": lambda: token(iat=int(time.time()) + HOUR),
    "not yet": lambda: token(nbf=int(time.time()) + HOUR),
    "of another type": lambda: token(headers={"typ": "at+jwt"}),
    "with a key of its own": lambda: token(headers={"jwk": {"kty": "oct", "k": "AAAA"}}),
    "with an extension": lambda: token(headers={"crit": ["exp"]}),
}


class TestWhatIsRefused:
    @pytest.mark.one_database
    @pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
    async def test_a_token_that_is_not_for_us(self, cast: Cast, service: Service, made: Any) -> None:
        answer = await exchange(cast, made())
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert await people(service) == 0

    @pytest.mark.one_database
    async def test_a_token_that_has_expired(self, cast: Cast) -> None:
        answer = await exchange(cast, token(iat=int(time.time()) - 400, exp=int(time.time()) - 100))
        assert (answer.status, answer.json["code"]) == (401, "token_expired")

    @pytest.mark.one_database
    async def test_a_token_of_five_thousand_characters_is_invalid(self, cast: Cast) -> None:
        assert (await exchange(cast, "x" * 5000)).status == 422

    @pytest.mark.one_database
    async def test_nothing_is_there_unless_a_host_is_configured(self, start_service: StartService) -> None:
        cast = Cast(await start_service())
        anna = await cast.join("Anna")
        assert (await exchange(cast, token())).status == 404
        assert (await anna.raw("PUT", "/users/me/identities/host", {"token": token()})).status == 404


class KeySet:
    """A host's public keys, on loopback. `asked` counts."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = 0
        self.url = ""

    def confused(self) -> str:
        """A token signed with the public key, as if that were a secret (RFC 8725 §2.1)."""
        public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        signed, _, _ = token(headers={"kid": "one"}).rpartition(".")
        digest = hmac.digest(public, signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        return web.json_response({"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]})


@pytest.fixture
async def keys() -> AsyncIterator[KeySet]:
    keys, app = KeySet(), web.Application()
    app.router.add_get("/jwks", keys.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    keys.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks"
    yield keys
    await runner.cleanup()


class TestPublicKeys:
    async def test_sign_people_in(self, start_service: StartService, keys: KeySet) -> None:
        host = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": keys.url}
        cast = Cast(await start_service(exchange=host))
        given = [
            token(subject, key=keys.private, algorithm="RS256", headers={"kid": "one"}, name="Anna")
            for subject in ("42", "42", "43")
        ]
        first, again, other = [(await exchange(cast, each)).json["user"]["id"] for each in given]
        assert (first == again, first == other, keys.asked) == (True, False, 1)
        for forged in (
            token(key=FOREIGN, algorithm="RS256", headers={"kid": "one"}),
            token(headers={"kid": "one"}),
            keys.confused(),
        ):
            assert (await exchange(cast, forged)).status == 401
