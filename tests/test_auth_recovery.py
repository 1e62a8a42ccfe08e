"""Passwords changed and forgotten, addresses confirmed (contract §2)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from src.clock import now
from src.db.models import EmailToken, OutboxItem
from src.services.mails import Mails

from .accounts import account, alter, token_in, told
from .cast import PASSWORD, Cast, Service
from .conftest import Mailbox

NEW = "한강에서 라면 먹기"
HOUR = timedelta(hours=1)


async def forgotten(cast: Cast, email: str, expect: int = 202) -> Any:
    return await cast.anonymous.post("/auth/password/forgot", {"email": email}, expect=expect)


async def reset(cast: Cast, token: str, password: str = NEW, expect: int = 204) -> Any:
    body = {"token": token, "new_password": password}
    return await cast.anonymous.post("/auth/password/reset", body, expect=expect)


async def verify(cast: Cast, token: str, expect: int = 204) -> Any:
    return await cast.anonymous.post("/auth/email/verify", {"token": token}, expect=expect)


async def outbox_is_empty(service: Service) -> None:
    async with asyncio.timeout(5):
        while True:
            async with service.parts.database.transaction() as tx:
                if not await tx._connection.scalar(select(func.count()).select_from(OutboxItem)):
                    return
            await asyncio.sleep(0.02)


class TestConfirmingAnAddress:
    async def test_the_mailed_token_confirms_it_once(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        token = token_in(await mailbox.next_to(anna.email))
        await verify(cast, token)
        assert (await anna.get("/users/me"))["email_verified"] is True
        assert (await verify(cast, token, expect=410))["code"] == "gone"

    async def test_a_second_mail_replaces_the_first(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        first = token_in(await mailbox.next_to(anna.email))
        await anna.post("/auth/email/resend", expect=202)
        second = token_in(await mailbox.next_to(anna.email, count=2))
        await verify(cast, first, expect=410)
        await verify(cast, second)

    async def test_nothing_is_sent_to_who_is_confirmed(self, cast: Cast, service: Service, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await verify(cast, token_in(await mailbox.next_to(anna.email)))
        await anna.post("/auth/email/resend", expect=202)
        await outbox_is_empty(service)
        assert len(mailbox.mails) == 1

    async def test_wrong_used_expired_and_foreign_tokens_are_told_alike(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        used = token_in(await mailbox.next_to(anna.email))
        await verify(cast, used)
        expired = token_in(await mailbox.next_to(boris.email))
        await alter(service, update(EmailToken).values(expires_at=now() - HOUR))
        await forgotten(cast, anna.email)
        of_another_purpose = token_in(await mailbox.next_to(anna.email, count=2))
        tokens = [used, expired, of_another_purpose, "never was", "가", "x" * 512]
        answers = [await cast.anonymous.raw("POST", "/auth/email/verify", {"token": token}) for token in tokens]
        assert all(told(answer) == told(answers[0]) for answer in answers)
        assert (answers[0].status, answers[0].json["code"]) == (410, "gone")
        await reset(cast, of_another_purpose)

    async def test_only_a_fingerprint_of_the_token_is_kept(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        anna = await cast.join("Anna")
        token = token_in(await mailbox.next_to(anna.email))
        assert len(token) >= 43
        async with service.parts.database.snapshot() as reads:
            rows = (await reads._connection.execute(select(EmailToken.__table__))).all()
            items = (await reads._connection.execute(select(OutboxItem.__table__))).all()
        assert len(rows) == 1 and token not in str(rows) + str(items)


class TestForgettingThePassword:
    async def test_the_mailed_token_sets_another_and_ends_every_session(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        phone = await anna.another_device()
        socket = await phone.connect("/chat")
        await forgotten(cast, "ANNA@example.com")
        token = token_in(await mailbox.next_to(anna.email, count=2))
        await reset(cast, token)
        for device in (anna, phone):
            await device.get("/users/me", expect=401)
            await cast.anonymous.post("/auth/refresh", {"refresh_token": device.refresh_token}, expect=401)
        await socket.ended()
        await cast.anonymous.post("/auth/login", {"email": anna.email, "password": PASSWORD}, expect=401)
        back = await cast.sign_in(anna.email, NEW)
        assert (await back.get("/users/me"))["email_verified"] is True, "who reads the mailbox has shown it"
        notice = await mailbox.next_to(anna.email, count=3)
        assert "비밀번호가 변경되었습니다" in notice["Subject"]
        await reset(cast, token, "yet another password", expect=410)

    async def test_nobody_learns_whether_an_address_is_known(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        anna = await cast.join("Anna")
        await outbox_is_empty(service)
        answers = [
            told(await cast.anonymous.raw("POST", "/auth/password/forgot", {"email": email}))
            for email in (anna.email, "nobody@example.com")
        ]
        assert answers[0] == answers[1] and answers[0][0] == 202
        await mailbox.next_to(anna.email, count=2)
        await outbox_is_empty(service)
        assert {mail["To"] for mail in mailbox.mails} == {anna.email}

    async def test_the_same_is_written_for_an_address_that_nobody_has(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await cast.join("Anna")
        await outbox_is_empty(service)
        asked: list[Any] = []

        async def note(mails: Mails, tx: Any, item: Any) -> None:
            asked.append(item.payload)

        monkeypatch.setattr(Mails, "_written", note)
        for email in ("anna@example.com", "nobody@example.com"):
            await forgotten(cast, email)
            await outbox_is_empty(service)
            assert asked[-1] == {"about": "reset_password", "email_key": email}
        assert len(asked) == 2

    async def test_a_new_mail_replaces_an_older_one(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        older = token_in(await mailbox.next_to(anna.email, count=2))
        await forgotten(cast, anna.email)
        newer = token_in(await mailbox.next_to(anna.email, count=3))
        await reset(cast, older, expect=410)
        await reset(cast, newer)

    async def test_of_two_who_use_one_token_at_once_one_succeeds(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        token = token_in(await mailbox.next_to(anna.email, count=2))
        bodies = [{"token": token, "new_password": f"{NEW} {number}"} for number in range(4)]
        answers = await asyncio.gather(*(cast.anonymous.raw("POST", "/auth/password/reset", body) for body in bodies))
        assert sorted(answer.status for answer in answers) == [204, 410, 410, 410]

    async def test_an_expired_token_is_gone(self, cast: Cast, service: Service, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        token = token_in(await mailbox.next_to(anna.email, count=2))
        async with service.parts.database.snapshot() as reads:
            tokens = EmailToken.__table__
            row = (await reads._connection.execute(select(tokens).where(tokens.c.purpose == "reset"))).one()
        assert row.expires_at - row.created_at == HOUR
        await alter(service, update(EmailToken).values(expires_at=now()))
        await reset(cast, token, expect=410)
        await cast.sign_in(anna.email, PASSWORD)

    async def test_a_common_password_is_refused_and_the_token_kept(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        token = token_in(await mailbox.next_to(anna.email, count=2))
        for password in ("password123", anna.email):
            refused = await reset(cast, token, password, expect=422)
            assert [(error["field"], error["code"]) for error in refused["errors"]] == [
                ("new_password", "common_password")
            ]
        await reset(cast, token)

    async def test_predecessor_20_who_took_my_address_does_not_keep_me_out(self, cast: Cast, mailbox: Mailbox) -> None:
        mallory = await cast.join("Mallory", email="anna@example.com")
        await forgotten(cast, "anna@example.com")
        await reset(cast, token_in(await mailbox.next_to("anna@example.com", count=2)))
        await mallory.get("/users/me", expect=401)
        await cast.anonymous.post("/auth/login", {"email": mallory.email, "password": mallory.password}, expect=401)
        await cast.sign_in("anna@example.com", NEW)


class TestChangingThePassword:
    async def test_ends_the_other_sessions_keeps_this_one_and_mails(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        phone = await anna.another_device()
        theirs, mine = await phone.connect("/chat"), await anna.connect("/chat")
        body = {"current_password": PASSWORD, "new_password": NEW}
        await anna.put("/auth/password", body, expect=204)
        await phone.get("/users/me", expect=401)
        await theirs.ended()
        assert (await anna.get("/users/me"))["has_password"] is True
        assert (await mine.call("send_message", {}))["error"]["code"] == "invalid", "still connected"
        await cast.anonymous.post("/auth/refresh", {"refresh_token": anna.refresh_token}, expect=200)
        await cast.sign_in(anna.email, NEW)
        assert "변경" in (await mailbox.next_to(anna.email, count=2))["Subject"]

    async def test_predecessor_19_the_current_password_is_needed(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        for wrong in ({}, {"current_password": None}, {"current_password": "not my password"}):
            refused = await anna.put("/auth/password", {"new_password": NEW, **wrong}, expect=401)
            assert refused["code"] == "wrong_credentials"
        await anna.get("/users/me", expect=200)
        await cast.sign_in(anna.email, PASSWORD)

    async def test_a_common_or_short_one_is_refused(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        for password, code in (("password123", "common_password"), ("short", "too_short")):
            body = {"current_password": PASSWORD, "new_password": password}
            refused = await anna.put("/auth/password", body, expect=422)
            assert [(error["field"], error["code"]) for error in refused["errors"]] == [("new_password", code)]

    async def test_takes_a_mailed_token_back(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        token = token_in(await mailbox.next_to(anna.email, count=2))
        await anna.put("/auth/password", {"current_password": PASSWORD, "new_password": NEW}, expect=204)
        await reset(cast, token, "yet another password", expect=410)


class TestTheMailedPages:
    @pytest.mark.one_database
    @pytest.mark.parametrize("page", ["verify-email", "reset-password"])
    async def test_opening_one_uses_nothing_up(self, cast: Cast, mailbox: Mailbox, page: str) -> None:
        anna = await cast.join("Anna")
        await forgotten(cast, anna.email)
        tokens = [token_in(await mailbox.next_to(anna.email, count=count)) for count in (1, 2)]
        for token in tokens:
            async with cast.service.http.get(f"/{page}", params={"token": token}) as response:
                assert response.status == 200 and token not in await response.text()
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy
                assert response.headers["Referrer-Policy"] == "no-referrer"
                assert response.headers["Cache-Control"] == "no-store"
        verification, recovery = tokens
        await verify(cast, verification)
        await reset(cast, recovery)

    @pytest.mark.one_database
    async def test_they_speak_korean_or_english_and_bring_their_own_files(self, service: Service) -> None:
        for accept, language in (("en-US,en", "en"), ("ko-KR", "ko"), ("", "ko")):
            async with service.http.get("/verify-email", headers={"Accept-Language": accept}) as response:
                assert f'<html lang="{language}">' in await response.text()
        for file in ("account.js", "account.css"):
            async with service.http.get(f"/static/account/{file}") as response:
                assert response.status == 200 and "http" not in (await response.text()).replace("https", "")


async def test_the_mails_follow_the_language_of_the_person(cast: Cast, mailbox: Mailbox) -> None:
    headers = {"Accept-Language": "en"}
    await cast.anonymous.post("/auth/register", account("Boris"), headers=headers)
    await cast.anonymous.post("/auth/register", account("Anna"), headers={"Accept-Language": "ko"})
    english, korean = await mailbox.next_to("boris@"), await mailbox.next_to("anna@")
    said = {
        mail["Subject"]: [mail.get_body((kind,)).get_content() for kind in ("plain", "html")]
        for mail in (english, korean)
    }
    (in_english, english_parts), (in_korean, korean_parts) = said.items()
    assert "confirm your e-mail address" in in_english and all("Hello," in part for part in english_parts)
    assert "이메일 주소를 확인" in in_korean and all("안녕하세요." in part for part in korean_parts)
