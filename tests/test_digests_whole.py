"""Digests of a whole running service: from a message to the mail, and what its reader can do about it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from src.db.models import User
from src.notification_settings import NotificationSettings

from .cast import Cast, Person, Service, draft
from .conftest import StartService
from .digests import subject, words
from .postbox import Postbox, read

SOON = NotificationSettings(push_after_seconds=0.1, email_after_minutes=0.02, email_every_minutes=0)
QUIET_SECONDS = 4.0
"""In which a mail would have come."""


@pytest.fixture
async def service(start_service: StartService, postbox: Postbox) -> Service:
    return await start_service(smtp_url=postbox.url, notifications=SOON.model_dump())


@pytest.fixture
async def cast(service: Service) -> AsyncIterator[Cast]:
    people = Cast(service)
    yield people
    await people.leave()


class Reader:
    """Somebody with a mailbox."""

    def __init__(self, person: Person, box: Postbox) -> None:
        self.person, self.box = person, box
        self.id = UUID(person.id)

    @property
    def mails(self) -> list[Any]:
        return [read(envelope) for envelope in self.box.mails if envelope.rcpt_tos == [self.person.email]]

    async def next(self, before: int) -> Any:
        """The mail after so many. Raises TimeoutError."""
        async with asyncio.timeout(15):
            while len(self.mails) <= before:
                await asyncio.sleep(0.05)
        return self.mails[before]

    async def verify(self) -> None:
        """Follow the link of the last mail about that."""
        (token,) = re.findall(r"verify-email\?token=(\S+)", words(await self._about("verify-email")))
        await self.person._cast.anonymous.post("/auth/email/verify", {"token": token}, expect=204)

    async def _about(self, link: str) -> Any:
        async with asyncio.timeout(15):
            while not (found := [mail for mail in self.mails if link in words(mail)]):
                await asyncio.sleep(0.05)
        return found[-1]


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, postbox: Postbox) -> Reader:
    reader = Reader(await cast.join("Boris"), postbox)
    await reader.verify()
    return reader


async def say(anna: Person, boris: Reader, cast: Cast, text: str = "lunch?") -> str:
    room = await cast.direct_room(anna, boris.person)
    await anna.post(f"/rooms/{room}/messages", draft(text), expect=201)
    return room


async def test_one_click_ends_them_for_whoever_has_the_mail(
    anna: Person, boris: Reader, cast: Cast, service: Service
) -> None:
    before = len(boris.mails)
    room = await say(anna, boris, cast)
    mail = await boris.next(before)
    assert "Anna" in subject(mail)
    assert "lunch?" in words(mail) and f"{service.url}/rooms/{room}" in words(mail)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    one_click = mail["List-Unsubscribe"].strip("<>")
    page = re.findall(r"http\S+/unsubscribe\?token=\S+", words(mail))[-1]
    for link in (one_click, page):  # as those do who look for viruses
        async with service.http.get(link) as answer:
            assert answer.status == 200 and "<button>" in await answer.text()
    assert (await boris.person.get("/notifications/preferences"))["kinds"]["message"]["email"] is True
    async with service.http.post(one_click, data={"List-Unsubscribe": "One-Click"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"email": False})
    assert (await boris.person.get("/notifications/preferences"))["kinds"]["message"]["email"] is False
    await say(anna, boris, cast)
    await asyncio.sleep(QUIET_SECONDS)
    assert len(boris.mails) == before + 1


async def test_who_reads_on_another_device_gets_none(anna: Person, boris: Reader, cast: Cast) -> None:
    before = len(boris.mails)
    room = await say(anna, boris, cast)
    await asyncio.sleep(0.5)  # after the push
    await (await boris.person.another_device()).post(f"/rooms/{room}/read", {"seq": 1})
    await asyncio.sleep(QUIET_SECONDS)
    assert len(boris.mails) == before


async def test_who_is_connected_gets_one_when_they_have_gone(anna: Person, boris: Reader, cast: Cast) -> None:
    before = len(boris.mails)
    socket = await boris.person.connect()
    await say(anna, boris, cast)
    await asyncio.sleep(QUIET_SECONDS)
    assert len(boris.mails) == before
    await socket.close()
    await boris.next(before)


async def test_an_address_that_is_refused_gets_none_until_it_is_verified_anew(
    anna: Person, boris: Reader, cast: Cast, service: Service, postbox: Postbox
) -> None:
    before = len(boris.mails)
    postbox.recipient_answer = "550 5.1.1 there is nobody of that name"
    await boris.person.post("/auth/password/forgot", {"email": boris.person.email}, expect=202)

    async def bounced() -> bool:
        async with service.parts.database.snapshot() as reads:
            (row,) = (await reads.users.addressees([boris.id])).values()
            return row.email_bounced_at is not None

    async with asyncio.timeout(10):
        while not await bounced():
            await asyncio.sleep(0.05)
    postbox.recipient_answer = "250 OK"
    await say(anna, boris, cast)
    await asyncio.sleep(QUIET_SECONDS)
    assert len(boris.mails) == before
    assert (await boris.person.get("/users/me"))["email_verified"] is True, "the contract says nothing of bounces"
    await boris.person.post("/auth/email/resend", expect=202)
    await boris.next(before)
    await boris.verify()
    assert not await bounced()
    await say(anna, boris, cast)
    assert "lunch?" in words(await boris.next(before + 1))


async def test_a_password_set_by_mail_shows_that_mail_arrives(boris: Reader, cast: Cast, service: Service) -> None:
    async with service.parts.database.transaction() as tx:
        await tx._connection.execute(update(User).values(email_bounced_at=User.created_at))
    await boris.person.post("/auth/password/forgot", {"email": boris.person.email}, expect=202)
    (token,) = re.findall(r"reset-password\?token=(\S+)", words(await boris._about("reset-password")))
    body = {"token": token, "new_password": "another cold morning"}
    await cast.anonymous.post("/auth/password/reset", body, expect=204)
    async with service.parts.database.snapshot() as reads:
        assert (await reads.users.addressees([boris.id]))[boris.id].email_bounced_at is None
