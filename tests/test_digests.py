"""Digests: one mail to who has not read and is away, with everything, and none to who has read it anywhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import update

from src.clock import now
from src.config import Settings
from src.db.models import Node, OutboxItem, Room, User
from src.errors import Unavailable
from src.schemas.rooms import GroupDraft, MembershipPatch
from src.services import digests
from src.services.bounces import Bounces
from src.services.outcomes import Later
from src.services.preferences import turn_off_email

from .digests import HOME, HOUR, MINUTE, PostOffice, subject, words
from .ladder import EMAIL_AFTER
from .people import House
from .postbox import Postbox

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON) as traveller:
        yield traveller


@pytest.fixture
async def post(house: House, postbox: Postbox, clock: Any) -> AsyncIterator[PostOffice]:
    made = PostOffice(house, postbox, clock)
    yield made
    await made.mailer.close()


@pytest.fixture
async def people(post: PostOffice) -> list[UUID]:
    people = await post.join("Anna", "Boris", "Clara")
    await post.in_english(*people)
    return people


@pytest.fixture
async def room(post: PostOffice, people: list[UUID]) -> UUID:
    """They know that they are in it."""
    made = await post.group(*people)
    await post.see_notifications()
    return made


def to(mail: Any) -> UUID:
    return UUID(str(mail["To"]).partition("@")[0])


class TestOneMail:
    async def test_tells_who_is_away_of_all_that_is_unread_after_a_quarter_of_an_hour(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        assert await post.wait(10) == []
        await post.say(anna, room)
        assert await post.wait(4) == []
        mails = await post.wait(2)
        assert {to(mail) for mail in mails} == {boris, clara} and len(mails) == 2
        assert "2 unread messages in Hiking" in subject(mails[0])
        assert f"{HOME}/rooms/{room}" in words(mails[0]) and "Anna" in words(mails[0])
        assert await post.left() == [] and await post.wait(90) == []

    async def test_is_grouped_by_room_as_the_reader_calls_it(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        direct = (await post.rooms.open_direct(anna, boris))[0].id
        nameless = await post.group(anna, boris, clara)
        await post.set(Room, nameless, name=None)
        await post.rooms.change_mine(boris, room, MembershipPatch(alias="The hikers"))
        await post.see_notifications()
        for each in (room, room, direct, nameless):
            await post.say(anna, each)
        mails = [mail for mail in await post.wait(20) if to(mail) == boris]
        (mail,) = mails
        assert subject(mail) == "[Chatty] 4 unread messages in Anna, Clara and 2 more"
        titles = [line for line in words(mail).splitlines() if line.startswith("■")]
        assert titles == [
            "■ Anna, Clara — 1 unread message",
            "■ Anna — 1 unread message",
            "■ The hikers — 2 unread messages",
        ]

    async def test_tells_of_other_kinds_too(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, _ = people
        (dora,) = await post.join("Dora")
        await post.group(anna, boris)
        await post.friends.request(dora, boris)
        (mail,) = [mail for mail in await post.wait(20) if to(mail) == boris]
        assert "2 notifications" in subject(mail)
        assert "Dora would like to be your friend." in words(mail)

    async def test_names_the_room_of_an_invitation(self, post: PostOffice, people: list[UUID]) -> None:
        anna, boris, _ = people
        await post.house.befriend(anna, boris)
        await post.see_notifications()
        await post.clear_outbox()
        await post.groups.make(anna, GroupDraft(kind="group", name="Book club", member_ids=[boris]))
        (mail,) = await post.wait(20)
        assert "Anna has invited you to “Book club”." in words(mail)

    async def test_is_in_korean_with_the_time_of_korea_for_who_has_chosen_nothing(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.set(User, boris, language="ko")
        await post.choose(clara, quiet_from="03:00", quiet_to="04:00", time_zone="America/New_York")
        await post.say(anna, room)
        mails = {to(mail): words(mail) for mail in await post.wait(20)}
        assert "안녕하세요" in mails[boris] and "오후 9:0" in mails[boris] and "KST" in mails[boris]
        assert "Mar 3, 7:0" in mails[clara] and "AM)" in mails[clara]

    async def test_says_nothing_of_content_where_that_is_to_be_hidden(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, _ = people
        await post.choose(boris, hide_content=True)
        await post.say(anna, room)
        (mail,) = [mail for mail in await post.wait(20) if to(mail) == boris]
        assert "1 unread message" in subject(mail)
        for secret in ("Anna", "Hiking", "hello", str(room)):
            assert secret not in mail.as_string() and secret not in words(mail)

    async def test_has_the_same_id_when_it_is_sent_again(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, _ = people
        await post.choose(people[2], kinds={"message": {"email": False}})
        post.box.answers = ["451 later", "451 later"]
        await post.say(anna, room)
        await post.wait(15)
        (item,) = await post.left()
        assert item.attempts == 1 and "451" in item.last_error
        (mail,) = await post.wait(20)
        assert str(item.id) in mail["Message-ID"] and to(mail) == boris


class TestReading:
    """On any device, in each gap: nothing comes afterwards."""

    @pytest.mark.parametrize("minutes", [0.2, 1, 14, 14.9])
    async def test_before_the_mail_is_the_end_of_it(
        self, post: PostOffice, people: list[UUID], room: UUID, minutes: float
    ) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        await post.wait(minutes)
        await post.read(boris, room)
        await post.say(clara, room)  # to write is to read
        await post.read(boris, room)
        await post.read(anna, room)
        assert await post.wait(120) == [] and await post.left() == []

    async def test_while_it_is_put_off_is_the_end_of_it(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.choose(boris, quiet_from="12:00", quiet_to="14:00", time_zone="UTC")
        await post.say(anna, room)
        await post.come(clara)
        assert await post.wait(10) == []
        await post.execute(update(Node).values(seen_at=now() + HOUR))
        assert await post.wait(20) == []
        for person in (boris, clara):
            await post.read(person, room)
        assert await post.wait(180) == [] and await post.left() == []

    async def test_by_marking_the_notification_read_is_the_end_of_it(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        await post.read(clara, room)
        await post.wait(5)
        async with post.database.transaction() as tx:
            await tx.room_notifications.dismiss(boris, [room], wait=True)
        assert await post.wait(30) == []
        await post.say(anna, room)
        assert {to(mail) for mail in await post.wait(20)} == {boris, clara}

    async def test_what_came_just_before_the_mail_waits_its_time_if_the_rest_was_read(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        await post.wait(14)
        for person in (boris, clara):
            await post.read(person, room)
        await post.say(anna, room)
        assert await post.wait(14) == []
        assert len(await post.wait(2)) == 2

    async def test_a_stored_one_is_the_end_of_it(self, post: PostOffice, people: list[UUID]) -> None:
        anna, boris, _ = people
        await post.friends.request(anna, boris)
        await post.wait(14)
        await post.see_notifications()
        assert await post.wait(30) == []


class TestPresence:
    async def test_of_a_device_puts_it_off_until_they_have_gone(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.come(boris)
        await post.execute(update(Node).values(seen_at=now() + 2 * HOUR))
        await post.say(anna, room)
        assert [to(mail) for mail in await post.wait(40)] == [clara]
        await post.go(boris)
        assert [to(mail) for mail in await post.wait(16)] == [boris]

    async def test_of_a_node_that_has_died_is_none(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.come(boris)
        await post.say(anna, room)
        assert {to(mail) for mail in await post.wait(16)} == {boris, clara}


class TestAnHour:
    async def test_has_one_mail_and_the_next_has_all_that_is_unread(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.read(clara, room)
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.say(anna, room)
        assert len(await post.wait(16)) == 1
        for _ in range(5):
            await post.say(anna, room)
            assert await post.wait(10) == []
        (mail,) = await post.wait(12)
        assert to(mail) == boris and "6 unread messages" in subject(mail)
        assert await post.wait(180) == [], "nothing new has come"

    async def test_without_anything_new_brings_nothing(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, *_ = people
        await post.say(anna, room)
        await post.wait(14.5)
        await post.say(anna, room)  # told in the mail, and by the ladder after it
        assert len(await post.wait(2)) == 2
        assert await post.wait(150) == [] and await post.left() == []

    @pytest.mark.parametrize("how", ["reads", "writes"])
    async def test_begins_anew_when_the_room_is_read(
        self, post: PostOffice, people: list[UUID], room: UUID, how: str
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.say(anna, room)
        assert len(await post.wait(15.1)) == 1
        await post.say(anna, room)  # which waits for the hour
        assert await post.wait(18) == []
        if how == "reads":
            await post.read(boris, room)
        else:
            await post.say(boris, room)
            await post.read(anna, room)
        await post.say(anna, room)
        assert await post.wait(14.9) == []
        assert len(await post.wait(1)) == 1

    @pytest.mark.parametrize("what", ["room", "notification"])
    async def test_begins_anew_when_something_else_is_read(
        self, post: PostOffice, people: list[UUID], room: UUID, what: str
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        other = (await post.rooms.open_direct(anna, boris))[0].id
        (dora,) = await post.join("Dora")
        await post.say(anna, room)
        assert len(await post.wait(15.1)) == 1
        await post.say(anna, room)  # which waits for the hour
        if what == "room":
            await post.say(anna, other)
        else:
            await post.friends.request(dora, boris)
        assert await post.wait(18) == []
        if what == "room":
            await post.read(boris, other)
        else:
            await post.see_notifications()
        assert len(await post.wait(15)) == 1
        assert await post.wait(90) == []

    async def test_is_waited_for_although_settings_were_changed(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.say(anna, room)
        assert len(await post.wait(16)) == 1
        await post.rooms.change_mine(boris, room, MembershipPatch(alias="Hikers"))
        await post.group(boris, anna)  # and being made a member is no reading
        await post.say(anna, room)
        assert await post.wait(40) == []
        assert len(await post.wait(20)) == 1


class TestWhatIsNotTold:
    async def test_a_muted_room_but_mentions_in_it(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        for person in (boris, clara):
            await post.mute(person, room)
        await post.say(anna, room)
        mention = await post.say(anna, room, mentions=[boris])
        last = await post.say(anna, room)
        (mail,) = await post.wait(20)
        assert to(mail) == boris and "1 unread message in Hiking" in subject(mail)
        assert words(mail).count("hello") == 1
        assert await post.spans(room, boris, "email") == [
            (mention.seq - 1, mention.seq - 1, "skipped", "muted"),
            (mention.seq, mention.seq, "sent", None),
            (last.seq, last.seq, "skipped", "muted"),
        ]
        await post.say(anna, room)
        assert await post.wait(90) == []
        await post.say(anna, room, mentions=[boris])
        (mail,) = await post.wait(20)
        assert "2 unread messages" in subject(mail)

    async def test_a_mention_of_which_no_mail_is_wanted(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.mute(boris, room)
        await post.choose(boris, kinds={"mention": {"email": False}})
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.say(anna, room, mentions=[boris])
        assert await post.wait(30) == []

    async def test_a_room_muted_while_the_mail_waits(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        line = await post.say(anna, room)
        await post.wait(5)
        await post.mute(boris, room)
        await post.choose(clara, kinds={"message": {"email": False}})
        assert await post.wait(30) == []
        assert await post.spans(room, boris, "email") == [(line.seq, line.seq, "skipped", "muted")]
        assert await post.spans(room, clara, "email") == [(line.seq, line.seq, "skipped", "preference")]

    async def test_lines_across_a_block(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.house.blocks.block(boris, anna)
        await post.say(anna, room)
        assert [to(mail) for mail in await post.wait(16)] == [clara]
        await post.say(clara, room)
        mails = {to(mail): mail for mail in await post.wait(80)}
        assert "1 unread message" in subject(mails[boris]) and "Anna" not in words(mails[boris])

    async def test_deleted_lines(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, _, _ = people
        line = await post.say(anna, room)
        await post.wait(10)
        await post.edits.delete(anna, line.id)
        assert await post.wait(30) == []

    async def test_a_room_that_was_left(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        await post.wait(10)
        await post.leaving.leave(boris, room)
        assert [to(mail) for mail in await post.wait(30)] == [clara]

    async def test_what_was_unread_before_mails_were_turned_off_and_on(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.say(anna, room)
        await post.wait(2)
        async with post.database.transaction() as tx:
            await turn_off_email(tx, boris, now())
        assert await post.wait(60) == []
        await post.choose(boris, kinds={})
        assert await post.wait(60) == []
        await post.say(anna, room)
        (mail,) = await post.wait(20)
        assert "2 unread messages" in subject(mail)


class TestQuietHours:
    async def test_put_it_off_to_their_end(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.choose(boris, quiet_from="21:00", quiet_to="22:30", time_zone="Asia/Seoul")
        await post.choose(clara, kinds={"message": {"email": False}})
        post.clock.move_to(datetime(2026, 3, 3, 20, 50, tzinfo=ZoneInfo("Asia/Seoul")))
        await post.say(anna, room)
        assert await post.wait(98) == []
        assert len(await post.wait(3)) == 1


class TestAddresses:
    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"email_verified_at": None}, "unverified"),
            ({"email_bounced_at": NOON}, "bounced"),
            ({"email": None, "email_key": None}, "no_address"),
        ],
    )
    async def test_that_mail_may_not_go_to_get_none(
        self, post: PostOffice, people: list[UUID], room: UUID, values: Any, reason: str
    ) -> None:
        anna, boris, clara = people
        await post.read(clara, room)
        line = await post.say(anna, room)
        await post.wait(5)
        for person in (boris, clara):
            await post.set(User, person, **values)
        assert await post.wait(30) == [] and await post.left() == []
        assert await post.spans(room, boris, "email") == [(line.seq, line.seq, "skipped", reason)]

    async def test_that_are_refused_are_marked_and_left_alone_until_verified_anew(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        await post.set(User, boris, email_key=f"{boris}@example.com")
        post.box.recipient_answer = "550 5.1.1 no such user"
        line = await post.say(anna, room)
        assert await post.wait(20) == [] and await post.left() == []
        assert (await post.user(boris)).email_bounced_at is not None
        assert await post.spans(room, boris, "email") == [(line.seq, line.seq, "failed", "bounced")]
        post.box.recipient_answer = "250 OK"
        said = len(post.box.said)
        await post.say(anna, room)
        assert await post.wait(30) == [] and len(post.box.said) == said
        async with post.database.transaction() as tx:
            await tx.users.verify_email(boris, f"{boris}@example.com", now())
        assert (await post.user(boris)).email_bounced_at is None
        await post.say(anna, room)
        (mail,) = await post.wait(20)
        assert "3 unread messages" in subject(mail)

    async def test_that_have_changed_meanwhile_are_not_marked(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        _, boris, _ = people
        await post.set(User, boris, email="new@example.com", email_key="new@example.com")
        assert await Bounces(post.database).mark([f"{boris}@example.com", "nobody@example.com"]) == 0
        assert (await post.user(boris)).email_bounced_at is None
        assert await Bounces(post.database).mark([" New@Example.com", "nobody@example.com"]) == 1
        assert (await post.user(boris)).email_bounced_at is not None

    async def test_of_a_refused_mail_are_not(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        post.box.answers = ["554 5.7.1 looks like spam"]
        line = await post.say(anna, room)
        assert await post.wait(20) == []
        assert (await post.user(boris)).email_bounced_at is None
        assert await post.spans(room, boris, "email") == [(line.seq, line.seq, "failed", "refused")]
        (item,) = await post.left()
        assert item.failed_at and item.payload == {}, "for whoever runs the service"

    async def test_of_deleted_accounts_get_none(self, post: PostOffice, people: list[UUID], room: UUID) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        await post.wait(5)
        await post.set(User, boris, deleted_at=now())
        assert [to(mail) for mail in await post.wait(30)] == [clara]


class TestWorkers:
    async def test_side_by_side_mail_everybody_once(self, post: PostOffice, settings: Settings) -> None:
        people = await post.join(*(f"P{number}" for number in range(30)), subscribed=False)
        room = await post.group(*people)
        await post.see_notifications()
        await post.say(people[0], room)
        post.clock.shift(MINUTE)
        await post.climb()
        # A second row for everybody, as if the ladder had found more while the first was worked on.
        async with post.database.transaction() as tx:
            await tx._connection.execute(update(OutboxItem).values(key=None))
        await post.say(people[0], room)
        post.clock.shift(MINUTE)
        await post.climb()
        assert len(await post.left()) == 58
        post.clock.shift(EMAIL_AFTER)
        houses = [House(settings.database_url) for _ in range(1 if settings.is_sqlite else 2)]
        offices = [PostOffice(house, post.box, post.clock) for house in houses]

        async def work(office: PostOffice) -> None:
            while await office.outbox.work():
                pass

        await asyncio.gather(*(work(office) for office in (post, *offices)) if not settings.is_sqlite else [work(post)])
        for office in offices:
            await office.mailer.close()
            await office.database.close()
        await post.wait(30)
        receivers = [envelope.rcpt_tos[0] for envelope in post.box.mails]
        assert sorted(receivers) == sorted(f"{person}@example.com" for person in people[1:])

    async def test_leave_alone_whom_another_is_busy_with(
        self, post: PostOffice, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await post.say(anna, room)
        async with post.database.exclusively([boris]) as mine, post.database.exclusively([boris, clara]) as others:
            assert (mine, others) == ({boris}, {clara})
        async with post.database.exclusively([boris]):
            assert [to(mail) for mail in await post.wait(16)] == [clara]
        assert [to(mail) for mail in await post.wait(1)] == [boris]

    async def test_that_cannot_note_what_was_sent_send_it_once_more(
        self, post: PostOffice, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris, clara = people
        await post.choose(clara, kinds={"message": {"email": False}})
        honest = digests._write

        async def fail(*_: Any) -> None:
            monkeypatch.setattr(digests, "_write", honest)
            raise Unavailable

        monkeypatch.setattr(digests, "_write", fail)
        await post.say(anna, room)
        mails = await post.wait(60)
        assert [to(mail) for mail in mails] == [boris, boris]
        assert len({mail["Message-ID"] for mail in mails}) == 1

    async def test_begin_no_more_than_there_is_time_for(
        self, post: PostOffice, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(digests, "BEGUN_WITHIN_SECONDS", -1)
        await post.say(people[0], room)
        post.clock.shift(EMAIL_AFTER + MINUTE)
        await post.climb()
        items = await post.left()
        outcomes = await post.digests.carry_out(items)
        assert len(outcomes) == 2 and all(isinstance(each, Later) for each in outcomes.values())
        assert post.box.mails == []

    async def test_use_few_connections(self, post: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
        people = await post.join(*(f"P{number}" for number in range(25)), subscribed=False)
        room = await post.group(*people)
        await post.see_notifications()
        await post.say(people[0], room)
        assert len(await post.wait(16)) == 24
        assert 2 <= post.box.most_open <= digests.CONNECTIONS


async def test_what_is_mailed_is_written_down(post: PostOffice, people: list[UUID], room: UUID) -> None:
    anna, boris, _ = people
    first = await post.say(anna, room)
    await post.wait(14.8)
    last = await post.say(anna, room)
    await post.wait(1)
    assert await post.spans(room, boris, "email") == [(first.seq, last.seq, "sent", None)]
    mailed_at = (await post.preferences(boris)).mailed_at
    assert NOON + EMAIL_AFTER <= mailed_at <= now()
    await post.wait(1)
    assert await post.spans(room, boris, "email") == [(first.seq, last.seq, "sent", None)]
