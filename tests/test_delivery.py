"""Why somebody was told of a message or not: to its sender, and to whoever runs the service (contract §7, §9)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update

from src.clock import now
from src.db.models import NotificationPreferences, OutboxItem, User
from src.db.spans import Span
from src.schemas.common import PageQuery, rfc3339
from src.schemas.notifications import Delivery
from src.services.blocks import Blocks
from src.services.deliveries import Deliveries, Explanation
from src.why_report import _sentences

from .cast import Cast, draft
from .ladder import PUSH_AFTER, Street, later
from .people import House


@pytest.fixture
async def street(house: House) -> Street:
    return Street(house)


@pytest.fixture
async def people(street: Street) -> list[UUID]:
    return await street.join("Anna", "Boris", "Clara")


@pytest.fixture
async def room(street: Street, people: list[UUID]) -> UUID:
    return await street.group(*people)


class Asked:
    """What Anna is told of a line, and what the operator is told."""

    def __init__(self, street: Street, line: Any, sender: UUID) -> None:
        self._deliveries = Deliveries(street.database, PUSH_AFTER)
        self._line, self._sender = line, sender

    async def of(self, person: UUID) -> Delivery:
        page = await self._deliveries.of_message(self._sender, self._line.id, PageQuery())
        (found,) = (item for item in page.items if item.user.id == person)
        return found

    async def words(self, person: UUID) -> list[str]:
        """Status and reason of each channel, as the sender is told."""
        return _words(await self.of(person))

    async def why(self, person: UUID) -> Explanation:
        found = await self._deliveries.explain(self._line.id, str(person))
        assert found
        return found

    async def truth(self, person: UUID) -> list[str]:
        """The same as the operator is told."""
        delivery = (await self.why(person)).delivery
        assert delivery
        return _words(delivery)


def _words(delivery: Delivery) -> list[str]:
    channels = (delivery.channels.in_app, delivery.channels.push, delivery.channels.email)
    return [f"{each.status} {each.reason}" if each.reason else each.status for each in channels]


async def ask(street: Street, people: list[UUID], room: UUID, *, climbed: bool = True, **fields: Any) -> Asked:
    """A line of Anna's, which the ladder has looked at."""
    line = await street.say(people[0], room, **fields)
    if climbed:
        with later():
            await street.climb()
    return Asked(street, line, people[0])


async def record(street: Street, room: UUID, person: UUID, *lines: int, at: datetime, **said: Any) -> None:
    async with street.database.transaction() as tx:
        channel, reason = said.get("channel", "push"), said.get("reason")
        await tx.deliveries.record([Span(room, person, channel, *lines, said["status"], reason, at)])


class TestBeforeTheRung:
    async def test_it_is_still_to_come(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room, climbed=False)
        assert await asked.words(people[1]) == ["skipped offline", "pending", "pending"]

    async def test_who_is_here_is_told_in_app(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.come(people[1])
        asked = await ask(street, people, room, climbed=False)
        assert await asked.words(people[1]) == ["sent", "pending", "pending"]

    async def test_who_was_here_since_then_was_told_in_app(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        asked = await ask(street, people, room, climbed=False)
        await street.set(User, people[1], last_seen_at=now() + timedelta(seconds=1))
        assert (await asked.words(people[1]))[0] == "sent"

    async def test_who_has_read_it_is_told_no_further(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room, climbed=False)
        await street.read(people[1], room)
        found = await asked.of(people[1])
        assert _words(found) == ["sent", "skipped read_before", "skipped read_before"]
        assert found.read_at == found.channels.push.at == found.channels.email.at


class TestAfterIt:
    async def test_it_is_pending_until_it_is_sent(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        assert await asked.words(people[1]) == ["skipped offline", "pending", "pending"]
        line = (await street.lines(room))[-1]
        sent_at = now() + timedelta(seconds=30)
        await record(street, room, people[1], line.seq, line.seq, status="sent", at=sent_at)
        found = await asked.of(people[1])
        assert _words(found) == ["skipped offline", "sent", "pending"]
        assert found.channels.push.at == sent_at

    async def test_what_was_sent_stays_so_after_reading(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        line = (await street.lines(room))[-1]
        await record(street, room, people[1], line.seq, line.seq, status="sent", at=now())
        await street.read(people[1], room)
        assert await asked.words(people[1]) == ["sent", "sent", "skipped read_before"]

    async def test_each_reason_is_told_with_its_time(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.mute(people[1], room)
        asked = await ask(street, people, room)
        for _ in range(3):
            await street.say(people[0], room)
        with later(timedelta(minutes=2)):
            await street.climb()
        found = await asked.of(people[1])
        assert _words(found) == ["skipped muted"] * 3
        lines = await street.lines(room)
        assert found.channels.push.at == lines[-4].created_at + PUSH_AFTER  # and not when the last one was decided

    async def test_a_mention_in_a_muted_room(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.mute(people[1], room)
        asked = await ask(street, people, room, mentions=[people[1]])
        assert await asked.words(people[1]) == ["skipped offline", "pending", "pending"]

    async def test_muted_after_it(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.come(people[1])
        asked = await ask(street, people, room)
        await street.mute(people[1], room)
        assert (await asked.words(people[1]))[0] == "sent"

    async def test_a_preference_of_later_changes_nothing_of_it(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await street.come(people[1])
        asked = await ask(street, people, room)
        await street.prefer(people[1], message={"in_app": False, "push": False, "email": False})
        assert (await asked.words(people[1]))[0] == (await asked.truth(people[1]))[0] == "sent"

    async def test_a_preference_of_then_is_remembered(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.come(people[1])
        await street.prefer(people[1], message={"in_app": False, "push": False, "email": False})
        asked = await ask(street, people, room)
        await street.execute(delete(NotificationPreferences))
        assert await asked.words(people[1]) == ["skipped preference"] * 3

    async def test_who_marks_the_notification_read_has_not_read_the_room(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        asked = await ask(street, people, room)
        line = (await street.lines(room))[-1]
        await record(street, room, people[1], line.seq, line.seq, status="skipped", reason="read_before", at=now())
        assert (await asked.words(people[1]))[1] == "skipped preference"
        assert (await asked.truth(people[1]))[1] == "skipped read_before"

    async def test_what_is_not_theirs_to_know_looks_like_a_preference(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await Blocks(street.database).block(people[1], people[0])
        await street.set(User, people[2], email_verified_at=None)
        asked = await ask(street, people, room)
        assert await asked.words(people[1]) == ["skipped preference"] * 3
        assert await asked.truth(people[1]) == ["skipped blocked"] * 3
        assert await asked.words(people[2]) == ["skipped offline", "pending", "skipped preference"]
        assert await asked.truth(people[2]) == ["skipped offline", "pending", "skipped unverified"]

    async def test_a_block_looks_like_a_preference_in_its_times_too(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        off = {"in_app": False, "push": False, "email": False}
        await street.prefer(people[2], message=off)
        await Blocks(street.database).block(people[1], people[0])
        before = await ask(street, people, room, climbed=False)
        assert await before.words(people[1]) == await before.words(people[2])
        with later():
            await street.climb()
        boris, clara = await before.of(people[1]), await before.of(people[2])
        assert boris.channels == clara.channels

    async def test_a_block_after_it_ends_what_was_to_come(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.come(people[1])
        asked = await ask(street, people, room)
        await Blocks(street.database).block(people[1], people[0])
        assert await asked.truth(people[1]) == ["sent", "skipped blocked", "skipped blocked"]

    async def test_a_bounce_is_told(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.set(User, people[1], email_bounced_at=now())
        asked = await ask(street, people, room)
        assert (await asked.words(people[1]))[2] == "skipped bounced"

    async def test_a_deleted_line_is_told_no_more(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        line = (await street.lines(room))[-1]
        await record(street, room, people[1], line.seq, line.seq, status="sent", at=now())
        await street.edits.delete(people[0], line.id)
        assert await asked.words(people[1]) == ["skipped offline", "sent", "skipped deleted"]
        assert await asked.words(people[2]) == ["skipped offline", "skipped deleted", "skipped deleted"]

    async def test_who_leaves_a_direct_room_is_told_no_more(self, street: Street, people: list[UUID]) -> None:
        room = (await street.rooms.open_direct(people[0], people[1]))[0].id
        asked = await ask(street, people, room)
        await street.leaving.leave(people[1], room)
        words = await asked.words(people[1])
        assert words[1:] in (["skipped preference"] * 2, ["skipped read_before"] * 2)  # as receipts have it

    async def test_of_what_was_long_ago_nothing_is_kept(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        with later(timedelta(days=100)):
            async with street.database.transaction() as tx:
                await tx.deliveries.sweep(now() - timedelta(days=90), 1000)
            found = await asked.of(people[1])
        assert _words(found) == ["skipped offline", "skipped", "skipped"]
        assert found.channels.push.at is None


class TestWho:
    """To its sender alone, of those who may read it; over REST."""

    async def test_the_sender_alone_is_told(self, cast: Cast) -> None:
        anna, boris, mallory = [await cast.join(name) for name in ("Anna", "Boris", "Mallory")]
        room = await cast.direct_room(anna, boris)
        line = (await anna.post(f"/rooms/{room}/messages", draft()))["message"]
        path = f"/messages/{line['id']}/delivery"
        (item,) = (await anna.get(path, expect=200))["items"]
        assert (item["user"]["nickname"], item["read_at"]) == ("Boris", None)
        assert item["channels"]["push"] == {"status": "pending", "reason": None, "at": None}
        assert item["channels"]["in_app"] == {"status": "skipped", "reason": "offline", "at": line["created_at"]}
        await boris.get(path, expect=403)
        await mallory.get(path, expect=404)
        await anna.get(f"/messages/{uuid4()}/delivery", expect=404)
        await boris.post(f"/rooms/{room}/read", {"seq": line["seq"]}, expect=200)
        (item,) = (await anna.get(path))["items"]
        (receipt,) = (await anna.get(f"/messages/{line['id']}/receipts"))["items"]
        assert item["read_at"] == receipt["read_at"] == item["channels"]["email"]["at"]
        assert item["channels"]["in_app"]["status"] == "sent"

    async def test_a_line_of_the_house_is_nobodys(self, cast: Cast) -> None:
        anna, boris = [await cast.join(name) for name in ("Anna", "Boris")]
        await cast.befriend(anna, boris)
        room = await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]})
        (line, *_) = (await anna.get(f"/rooms/{room['id']}/messages"))["items"]
        await anna.get(f"/messages/{line['id']}/delivery", expect=403)

    async def test_who_came_later_is_not_among_them_and_who_has_left_no_more(
        self, street: Street, people: list[UUID]
    ) -> None:
        anna, boris, clara = people
        room = await street.group(anna, boris)
        asked = await ask(street, people, room)
        await street.house.befriend(anna, clara)
        await street.groups.invite(anna, room, [clara])
        page = await Deliveries(street.database, PUSH_AFTER).of_message(anna, asked._line.id, PageQuery())
        assert [item.user.id for item in page.items] == [boris]
        assert (await asked.why(clara)).may_read is False
        await street.leaving.leave(boris, room)
        page = await Deliveries(street.database, PUSH_AFTER).of_message(anna, asked._line.id, PageQuery())
        assert page.items == []
        assert (await asked.why(boris)).delivery is None

    async def test_large_rooms_come_in_pages(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        deliveries = Deliveries(street.database, PUSH_AFTER)
        first = await deliveries.of_message(people[0], asked._line.id, PageQuery(limit=1))
        second = await deliveries.of_message(people[0], asked._line.id, PageQuery(limit=1, cursor=first.next_cursor))
        assert {item.user.id for item in (*first.items, *second.items)} == set(people[1:])
        assert second.next_cursor is None


class TestWhy:
    """What the operator is told, in sentences."""

    async def said(self, street: Street, asked: Asked, person: UUID) -> str:
        return "\n".join(_sentences(await asked.why(person)))

    async def test_everything_with_its_time(self, street: Street, people: list[UUID], room: UUID) -> None:
        await Blocks(street.database).block(people[1], people[0])
        asked = await ask(street, people, room)
        said = await self.said(street, asked, people[1])
        assert "Boris has not read it." in said
        assert "Push: not sent, because there is a block between them and the sender" in said
        await street.read(people[1], room)
        assert "Boris read it at " in await self.said(street, asked, people[1])

    async def test_what_the_outbox_has_to_do(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        said = await self.said(street, asked, people[1])
        due = (await street.work("digest")).popitem()[1]
        assert f"In the outbox: push about {room}, due at " in said
        assert f"In the outbox: digest, due at {rfc3339(due)}." in said
        assert "E-mail: still to come (" in said
        tried = {"key": None, "attempts": 2, "last_error": "PushService 503"}
        await street.execute(update(OutboxItem).where(OutboxItem.kind == "push").values(**tried))
        said = await self.said(street, asked, people[1])
        assert "tried 2 times, the last time it failed with PushService 503" in said

    async def test_who_wrote_it_and_who_is_nobody(self, street: Street, people: list[UUID], room: UUID) -> None:
        asked = await ask(street, people, room)
        assert "Anna wrote it." in await self.said(street, asked, people[0])
        deliveries = Deliveries(street.database, PUSH_AFTER)
        assert await deliveries.explain(asked._line.id, "nobody@example.com") is None
        assert await deliveries.explain(asked._line.id, "nobody") is None
        assert await deliveries.explain(uuid4(), str(people[1])) is None
