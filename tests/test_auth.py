"""Signing up and signing in (contract §2)."""

import asyncio
import json
import unicodedata
from typing import Any

import bcrypt
import pytest
from sqlalchemy import update

from src.db.ids import new_id
from src.db.models import Session, User

from .accounts import account, alter, cookie_in, told
from .cast import PASSWORD, Cast, Service

ME = {
    "id", "nickname", "intro", "avatar_url", "email", "email_verified", "has_password", "identities", "created_at",
    "settings",
}  # fmt: skip


class TestSigningUp:
    async def test_answers_a_session_and_myself(self, cast: Cast) -> None:
        answer = await cast.anonymous.raw("POST", "/auth/register", account("Anna", session="token"))
        assert answer.status == 201
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "user", "refresh_token"}
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
        user = answer.json["user"]
        assert set(user) == ME
        assert (user["email"], user["nickname"], user["intro"]) == ("anna@example.com", "Anna", "")
        assert (user["email_verified"], user["has_password"], user["identities"]) == (False, True, [])
        assert user["settings"] == {"language": "ko", "theme": "system"}
        assert "Set-Cookie" not in answer.headers

    async def test_keeps_the_refresh_token_from_scripts_and_other_sites(self, cast: Cast) -> None:
        answer = await cast.anonymous.raw("POST", "/auth/register", account("Anna"))
        assert "refresh_token" not in answer.json
        attributes = {part.strip() for part in answer.headers["Set-Cookie"].split(";")[1:]}
        assert attributes == {"HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Max-Age=2592000"}

    async def test_marks_the_cookie_secure_where_the_service_is(self, start_service: Any) -> None:
        service = await start_service(public_url="https://chatty.example")
        async with service.http.post("/api/v1/auth/register", json=account("Anna")) as response:
            assert response.status == 201 and "Secure" in response.headers["Set-Cookie"]

    @pytest.mark.parametrize("address", ["anna@example.com", "ANNA@Example.COM", " anna@example.com"])
    async def test_says_that_an_address_is_taken_however_it_is_written(self, cast: Cast, address: str) -> None:
        await cast.join("Anna")
        refused = await cast.anonymous.post("/auth/register", account("Mallory", email=address), expect=409)
        assert refused["code"] == "email_taken"

    async def test_of_two_who_come_at_once_with_one_address_one_gets_it(self, cast: Cast) -> None:
        bodies = [account("Anna"), account("Boris", email="Anna@EXAMPLE.com")]
        answers = await asyncio.gather(*(cast.anonymous.raw("POST", "/auth/register", body) for body in bodies * 3))
        assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409, 409]
        assert {answer.json["code"] for answer in answers if answer.status == 409} == {"email_taken"}

    async def test_lets_two_people_have_one_nickname(self, cast: Cast) -> None:
        one = await cast.join("홍길동")
        other = await cast.join("홍길동")
        assert one.id != other.id and one.user["nickname"] == other.user["nickname"]

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("password", "code"),
        [
            ("7 chars", "too_short"),
            ("가" * 257, "too_long"),
            ("password123", "common_password"),
            ("anna@example.com", "common_password"),
            ("with a \x00 in it", "nul"),
            (12345678, "string_type"),
        ],
    )
    async def test_refuses_a_password_that_is_no_good_and_names_the_field(
        self, cast: Cast, password: Any, code: str
    ) -> None:
        refused = await cast.anonymous.post("/auth/register", account("Anna", password=password), expect=422)
        assert [(error["field"], error["code"]) for error in refused["errors"]] == [("password", code)]
        await cast.join("Anna")

    async def test_refuses_a_lone_surrogate_and_a_megabyte(self, cast: Cast) -> None:
        surrogate = json.dumps(account("Anna")).replace("Gangneung", "\\ud800")
        headers = {"Content-Type": "application/json"}
        answer = await cast.anonymous.raw("POST", "/auth/register", data=surrogate, headers=headers)
        assert answer.status in (400, 422) and answer.json["code"] in ("malformed", "invalid")
        answer = await cast.anonymous.raw("POST", "/auth/register", account("Anna", password="x" * 1_000_000))
        assert (answer.status, answer.json["code"]) == (413, "too_large")

    @pytest.mark.one_database
    @pytest.mark.parametrize("email", ["anna", "a\r\nBcc: b@c.de@example.com", "anna@", 7, None, "a" * 250 + "@b.de"])
    async def test_refuses_what_is_no_address(self, cast: Cast, email: Any) -> None:
        refused = await cast.anonymous.post("/auth/register", account("Anna", email=email), expect=422)
        assert refused["errors"][0]["field"] == "email"

    async def test_remembers_the_language_that_was_asked_for(self, cast: Cast) -> None:
        headers = {"Accept-Language": "en-GB,en;q=0.9,ko;q=0.5"}
        session = await cast.anonymous.post("/auth/register", account("Anna"), headers=headers)
        assert session["user"]["settings"]["language"] == "en"


class TestSigningIn:
    async def test_answers_a_session_of_its_own(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        again = await cast.sign_in("ANNA@example.com")
        assert again.user == anna.user and again.token != anna.token
        assert (await again.get("/users/me")) == anna.user
        answer = await cast.anonymous.raw("POST", "/auth/login", {"email": anna.email, "password": PASSWORD})
        assert cookie_in(answer) and "refresh_token" not in answer.json

    async def test_takes_a_password_in_either_normal_form(self, cast: Cast) -> None:
        password = "강릉의 차가운 아침, café"
        await cast.join("Anna", password=unicodedata.normalize("NFD", password))
        await cast.sign_in("anna@example.com", unicodedata.normalize("NFC", password))

    async def test_a_wrong_password_and_a_wrong_address_are_told_alike(self, cast: Cast) -> None:
        await cast.join("Anna")
        wrong = {"email": "anna@example.com", "password": "not my password"}
        nobody = {"email": "nobody@example.com", "password": "not my password"}
        answers = [await cast.anonymous.raw("POST", "/auth/login", body) for body in (wrong, nobody)]
        assert told(answers[0]) == told(answers[1])
        assert (answers[0].status, answers[0].json["code"]) == (401, "wrong_credentials")

    async def test_the_same_work_is_done_for_an_address_that_nobody_has(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await cast.join("Anna")
        passwords = service.parts.accounts._passwords
        compared: list[str | None] = []
        honest = passwords._verify
        monkeypatch.setattr(passwords, "_verify", lambda given, kept: compared.append(kept) or honest(given, kept))
        for address in ("anna@example.com", "nobody@example.com"):
            body = {"email": address, "password": "not my password"}
            await cast.anonymous.post("/auth/login", body, expect=401)
        assert [kept is None for kept in compared] == [False, True], "one comparison each, the second in vain"

    async def test_an_account_without_a_password_takes_none(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await alter(service, update(User).values(password_hash=None))
        for password in ("", PASSWORD, "x"):
            answer = await cast.anonymous.raw("POST", "/auth/login", {"email": anna.email, "password": password})
            assert answer.status in (401, 422)

    async def test_an_old_hash_is_replaced(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        await alter(service, update(User).values(password_hash=old))
        await cast.sign_in(anna.email)
        async with service.parts.database.snapshot() as reads:
            row = await reads.users.credentials("anna@example.com")
        assert row.password_hash.startswith("$bcrypt-sha256$")
        await cast.sign_in(anna.email)

    async def test_a_password_changed_meanwhile_lets_nobody_in_by_the_old_one(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = await cast.join("Anna")
        passwords = service.parts.accounts._passwords
        honest = passwords.verify

        async def changed_meanwhile(given: str, kept: str | None) -> Any:
            verdict = await honest(given, kept)
            await alter(service, update(User).values(password_hash=await passwords.hash("a new password")))
            return verdict

        monkeypatch.setattr(passwords, "verify", changed_meanwhile)
        body = {"email": anna.email, "password": PASSWORD}
        refused = await cast.anonymous.post("/auth/login", body, expect=401)
        assert refused["code"] == "wrong_credentials"
        assert len((await anna.get("/auth/sessions"))["items"]) == 1

    async def test_the_providers_are_listed(self, cast: Cast) -> None:
        assert await cast.anonymous.get("/auth/providers") == {"items": []}


class TestPredecessor:
    """The predecessor's faults 15 to 18."""

    async def test_predecessor_15_a_deleted_account_neither_stays_nor_comes_back(
        self, cast: Cast, service: Service
    ) -> None:
        anna = await cast.join("Anna")
        await alter(service, update(User).values(deleted_at=User.created_at))
        async with asyncio.timeout(5):
            while (await anna.raw("GET", "/auth/sessions")).status != 401:
                await asyncio.sleep(0.05)
        await cast.anonymous.post("/auth/login", {"email": anna.email, "password": PASSWORD}, expect=401)
        await cast.anonymous.post("/auth/refresh", {"refresh_token": anna.refresh_token}, expect=401)

    async def test_predecessor_16_signing_up_answers_no_hash(self, cast: Cast) -> None:
        answer = await cast.anonymous.raw("POST", "/auth/register", account("Anna", session="token"))
        assert set(answer.json["user"]) == ME and "$bcrypt" not in json.dumps(answer.json)

    @pytest.mark.one_database
    async def test_predecessor_17_no_column_can_be_set_from_the_body(self, cast: Cast) -> None:
        columns = {column.name for table in (User, Session) for column in table.__table__.columns}
        for column in sorted(columns - {"email", "nickname"}):
            refused = await cast.anonymous.post("/auth/register", account("Anna") | {column: str(new_id())}, expect=422)
            assert [(error["field"], error["code"]) for error in refused["errors"]] == [(column, "extra_forbidden")]

    async def test_predecessor_18_nobody_learns_who_has_an_account(self, cast: Cast) -> None:
        await cast.join("Anna")
        for path, extra in (("/auth/login", {"password": "not my password"}), ("/auth/password/forgot", {})):
            known, unknown = [
                told(await cast.anonymous.raw("POST", path, {"email": email, **extra}))
                for email in ("anna@example.com", "nobody@example.com")
            ]
            assert known == unknown
