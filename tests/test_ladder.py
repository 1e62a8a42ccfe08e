"""The ladder: who has not read a line is told by push after some seconds, and by mail after some minutes."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, func, insert, select

from src.clock import now
from src.db.ids import new_id
from src.db.models import Delivery, Member, User
from src.db.repositories.deliveries import Deliveries
from src.db.repositories.ladder import Place
from src.db.spans import Span
from src.schemas.notifications import Channel, DeliveryStatus, PreferencesDraft
from src.services.blocks import Blocks
from src.services.ladder import Ladder
from src.services.notices import PUSH, digest_key, push_key
from src.services.preferences import Preferences
from src.services.push_closing import SHOWN_FOR, shown_key, shown_of
from src.services.rungs import RoomLines

from .ladder import EMAIL_AFTER, PUSH_AFTER, RUNGS, Street, later
from .people import House

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def street(house: House) -> Street:
    return Street(house)


@pytest.fixture
async def people(street: Street) -> list[UUID]:
    return await street.join("Anna", "Boris", "Clara")


@pytest.fixture
async def room(street: Street, people: list[UUID]) -> UUID:
    return await street.group(*people)


class TestRungs:
    async def test_nobody_is_told_before_its_time(self, street: Street, people: list[UUID], room: UUID) -> None:
        line = await street.say(people[0], room)
        assert (await street.room(room)).tell_at == line.created_at + PUSH_AFTER
        await street.climb()
        assert (await street.work("push"), await street.work("digest")) == ({}, {})
        assert (await street.room(room)).tell_at == line.created_at + PUSH_AFTER

    async def test_who_has_not_read_is_told_by_push_now_and_by_mail_later(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        line = await street.say(anna, room)
        with later():
            begun = now()
            await street.climb()
            pushes, digests = await street.work("push"), await street.work("digest")
            assert all(begun <= due <= now() for due in pushes.values())
        assert pushes.keys() == {push_key(person, room) for person in (boris, clara)}
        assert digests == {digest_key(person): line.created_at + EMAIL_AFTER for person in (boris, clara)}
        for channel in ("push", "email"):
            assert await street.spans(room, boris, channel) == [(line.seq, line.seq, "pending", None)]
            assert await street.spans(room, anna, channel) == []
        told = await street.room(room)
        assert (told.tell_at, told.told_seq) == (None, line.seq)

    async def test_who_has_read_is_told_of_nothing(self, street: Street, people: list[UUID], room: UUID) -> None:
        line = await street.say(people[0], room)
        await street.read(people[1], room)
        with later():
            await street.climb()
        assert (await street.work("push")).keys() == {push_key(people[2], room)}
        assert await street.spans(room, people[1], "push") == []
        assert (await street.room(room)).told_seq == line.seq

    async def test_who_has_answered_is_told_of_what_came_after(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, _ = people
        await street.say(anna, room)
        await street.say(boris, room)
        line = await street.say(anna, room)
        with later():
            await street.climb()
        assert await street.spans(room, boris, "push") == [(line.seq, line.seq, "pending", None)]
        assert await street.spans(room, anna, "push") == []  # to write is to read

    async def test_whose_phone_has_just_rung_is_left_alone_for_as_long(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        line = await street.say(anna, room)
        with later():
            pushed_at = now() - PUSH_AFTER / 4
            async with street.database.transaction() as tx:
                shown = shown_of(boris, room, line.seq, [], pushed_at)
                await tx.outbox.hold(PUSH, [(shown_key(boris, room), shown, pushed_at + SHOWN_FOR)], pushed_at)
            await street.climb()
            pushes = await street.work(PUSH)
            assert pushes[push_key(boris, room)] == pushed_at + PUSH_AFTER
            assert pushes[push_key(clara, room)] <= now()

    async def test_a_line_that_comes_during_the_work_is_told_in_its_turn(
        self, street: Street, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris, _ = people
        await street.say(anna, room)
        finish, newer = street.ladder._finish, []

        async def meanwhile(told: dict[UUID, int]) -> None:
            newer.append(await street.say(anna, room))
            await finish(told)

        with later():
            monkeypatch.setattr(street.ladder, "_finish", meanwhile)
            await street.ladder.work()
            assert (await street.room(room)).tell_at == newer[0].created_at + PUSH_AFTER
            monkeypatch.undo()
            await street.climb()
            assert (await street.room(room)).told_seq == newer[0].seq - 1
        with later(2 * PUSH_AFTER + MINUTE):
            await street.climb()
        assert await street.spans(room, boris, "push") == [(newer[0].seq - 1, newer[0].seq, "pending", None)]
        told = await street.room(room)
        assert (told.tell_at, told.told_seq) == (None, newer[0].seq)

    async def test_a_deleted_line_and_one_of_the_house_are_told_to_nobody(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        line = await street.say(people[0], room)
        await street.edits.delete(people[0], line.id)
        with later():
            await street.climb()
        assert await street.work("push") == {}
        assert (await street.room(room)).tell_at is None

    async def test_more_lines_than_are_read_at_once_are_told_all(
        self, street: Street, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.services.ladder.LINES_AT_ONCE", 3)
        monkeypatch.setattr("src.services.ladder.Ladder._rest", timedelta())
        sent = [await street.say(people[0], room) for _ in range(10)]
        with later():
            await street.climb()
        assert await street.spans(room, people[1], "push") == [(sent[0].seq, sent[-1].seq, "pending", None)]
        assert (await street.room(room)).told_seq == sent[-1].seq

    async def test_more_members_than_are_told_at_once_are_told_all(
        self, street: Street, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.services.ladder.MEMBERS_AT_ONCE", 1)
        other = await street.group(*people)
        for each in (room, other):
            await street.say(people[0], each)
        with later():
            await street.climb()
        assert (await street.work("push")).keys() == {
            push_key(person, each) for person in people[1:] for each in (room, other)
        }

    async def test_who_has_left_the_direct_room_is_told_of_nothing(self, street: Street, people: list[UUID]) -> None:
        anna, boris, _ = people
        room, _ = await street.rooms.open_direct(anna, boris)
        await street.say(anna, room.id)
        await street.leaving.leave(boris, room.id)
        with later():
            await street.climb()
        assert await street.work("push") == {}


class TestReasons:
    """Each is said for both channels where it concerns both."""

    async def told(self, street: Street, people: list[UUID], room: UUID, **fields: object) -> list[str | None]:
        """What became of a line of Anna's for Boris by push and by mail: why not, or `status`."""
        line = await street.say(people[0], room, **fields)
        with later():
            await street.climb()
        found = []
        for channel in ("push", "email"):
            ((first, last, status, reason),) = await street.spans(room, people[1], channel)
            assert (first, last) == (line.seq, line.seq)
            found.append(f"{status} {reason}" if reason else status)
        waiting = {key for kind in ("push", "digest") for key in await street.work(kind)}
        assert (push_key(people[1], room) in waiting) == found[0].startswith("pending")
        assert (digest_key(people[1]) in waiting) == found[1].startswith("pending")
        return found

    async def test_muted(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.mute(people[1], room)
        assert await self.told(street, people, room) == ["skipped muted"] * 2

    async def test_a_mention_in_a_muted_room_is_told(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.mute(people[1], room)
        assert await self.told(street, people, room, mentions=[people[1]]) == ["pending"] * 2

    async def test_but_to_who_does_not_want_mentions(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.mute(people[1], room)
        await street.prefer(people[1], mention={"push": False})
        assert await self.told(street, people, room, mentions=[people[1]]) == ["skipped muted", "pending"]

    async def test_who_wants_no_messages_is_told_of_mentions(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await street.prefer(people[1], message={"push": False, "email": False})
        assert await self.told(street, people, room, mentions=[people[1]]) == ["pending"] * 2

    async def test_preference(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.prefer(people[1], message={"push": False})
        assert await self.told(street, people, room) == ["skipped preference", "pending"]

    async def test_active(self, street: Street, people: list[UUID], room: UUID) -> None:
        with later():
            await street.come(people[1])
        assert await self.told(street, people, room) == ["pending active", "pending"]

    async def test_who_was_here_until_the_node_died_is_not(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await street.come(people[1])  # its node was last seen 21 s ago
        assert await self.told(street, people, room) == ["pending"] * 2

    async def test_no_subscription(self, street: Street, people: list[UUID]) -> None:
        boris = await street.join("Fedor", subscribed=False)
        people = [people[0], *boris]
        assert await self.told(street, people, await street.group(*people)) == ["skipped no_subscription", "pending"]

    @pytest.mark.parametrize("ended", ["revoked_at", "expires_at"])
    async def test_a_subscription_of_a_session_that_has_ended_is_none(
        self, street: Street, people: list[UUID], ended: str
    ) -> None:
        (fedor,) = await street.join("Fedor", subscribed=False)
        await street.subscribe(fedor, **{ended: now()})
        people = [people[0], fedor]
        assert await self.told(street, people, await street.group(*people)) == ["skipped no_subscription", "pending"]

    async def test_no_address(self, street: Street, people: list[UUID]) -> None:
        people = [people[0], *await street.join("Fedor", email=False)]
        assert await self.told(street, people, await street.group(*people)) == ["pending", "skipped no_address"]

    async def test_unverified(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.set(User, people[1], email_verified_at=None)
        assert await self.told(street, people, room) == ["pending", "skipped unverified"]

    async def test_bounced(self, street: Street, people: list[UUID], room: UUID) -> None:
        await street.set(User, people[1], email_bounced_at=now())
        assert await self.told(street, people, room) == ["pending", "skipped bounced"]

    @pytest.mark.parametrize("by", [0, 1], ids=["by the sender", "by the reader"])
    async def test_blocked(self, street: Street, people: list[UUID], room: UUID, by: int) -> None:
        await Blocks(street.database).block(people[by], people[1 - by])
        assert await self.told(street, people, room) == ["skipped blocked"] * 2

    async def test_a_mention_by_somebody_across_a_block_is_blocked(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await Blocks(street.database).block(people[1], people[0])
        assert await self.told(street, people, room, mentions=[people[1]]) == ["skipped blocked"] * 2

    async def test_lines_of_others_are_told_beside_blocked_ones(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, clara = people
        await Blocks(street.database).block(boris, anna)
        first = (await street.say(anna, room)).seq
        await street.say(clara, room)
        await street.say(anna, room)
        await street.say(anna, room)
        with later():
            await street.climb()
        assert await street.spans(room, boris, "push") == [
            (first, first, "skipped", "blocked"),
            (first + 1, first + 1, "pending", None),
            (first + 2, first + 3, "skipped", "blocked"),
        ]

    async def test_quiet_hours_put_both_off_to_their_end(self, street: Street, people: list[UUID], room: UUID) -> None:
        clock = now() + timedelta(hours=2)
        end = clock.replace(second=0, microsecond=0)
        begin = (now() - timedelta(hours=1)).strftime("%H:%M")
        await street.prefer(people[1], quiet=(begin, end.strftime("%H:%M")))
        assert await self.told(street, people, room) == ["pending quiet_hours"] * 2
        assert (await street.work("push"))[push_key(people[1], room)] == end
        assert (await street.work("digest"))[digest_key(people[1])] == end

    async def test_a_mail_that_is_due_in_quiet_hours_that_have_not_begun_waits_too(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        begin, end = now() + timedelta(minutes=10), (now() + timedelta(hours=3)).replace(second=0, microsecond=0)
        await street.prefer(people[1], quiet=(begin.strftime("%H:%M"), end.strftime("%H:%M")))
        assert await self.told(street, people, room) == ["pending", "pending quiet_hours"]
        assert (await street.work("digest"))[digest_key(people[1])] == end


class TestAgain:
    """A worker may die at any point, and another one may do the same."""

    async def test_what_was_told_before_the_end_is_told_again_without_harm(
        self, street: Street, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await street.mute(people[2], room)
        line = await street.say(people[0], room)

        async def dies(told: dict[UUID, int]) -> None:
            raise KeyboardInterrupt

        with later():
            monkeypatch.setattr(street.ladder, "_finish", dies)
            with pytest.raises(KeyboardInterrupt):
                await street.ladder.work()
            monkeypatch.undo()
            before = await street.work("push")
            newer = await street.say(people[0], room)
            await street.climb()  # the lease holds
            assert (await street.room(room)).told_seq == 0
        with later(timedelta(minutes=2)):
            await street.climb()
        assert await street.work("push") == before
        assert await street.spans(room, people[1], "push") == [(line.seq, newer.seq, "pending", None)]
        assert await street.spans(room, people[2], "push") == [(line.seq, newer.seq, "skipped", "muted")]
        assert (await street.room(room)).told_seq == newer.seq

    async def test_what_is_told_again_does_not_undo_what_was_sent(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        line = await street.say(people[0], room)
        with later():
            await street.climb()
            async with street.database.transaction() as tx:
                await tx.deliveries.record([Span(room, people[1], "push", line.seq, line.seq, "sent", None, now())])
            for _ in range(2):
                newer = await street.say(people[0], room)
        with later(timedelta(minutes=2)):
            await street.climb()
        assert await street.spans(room, people[1], "push") == [
            (line.seq, line.seq, "sent", None),
            (line.seq + 1, newer.seq, "pending", None),
        ]

    async def test_what_was_read_while_it_was_decided_has_one_outcome(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        anna, boris, _ = people

        async def record(first: int, last: int, status: DeliveryStatus) -> None:
            async with street.database.transaction() as tx:
                await tx.deliveries.record([Span(room, boris, "push", first, last, status, None, now())])

        lines = [await street.say(anna, room) for _ in range(6)]
        first, *_, last = (line.seq for line in lines)
        await record(first, last - 1, "pending")
        await street.read(boris, room, last)
        await record(first + 2, last - 1, "sent")
        await record(first + 1, last, "failed")
        assert await street.spans(room, boris, "push") == [
            (first, first, "pending", None),
            (first + 1, first + 1, "failed", None),
            (first + 2, last - 1, "sent", None),
            (last, last, "failed", None),
        ]

    async def test_who_dies_between_two_portions_is_followed_by_another(
        self, street: Street, people: list[UUID], room: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.services.ladder.MEMBERS_AT_ONCE", 1)
        monkeypatch.setattr("src.services.ladder.REST_SECONDS", 60)
        line = await street.say(people[0], room)
        with later():
            dying = asyncio.create_task(street.ladder.work())
            async with asyncio.timeout(5):
                while not await street.work("push"):
                    await asyncio.sleep(0.01)
            dying.cancel()
            await asyncio.wait([dying])
            assert len(await street.work("push")) == 1
        monkeypatch.undo()
        other = Ladder(street.database, RUNGS)
        with later():
            assert not await other.work()
        with later(timedelta(minutes=2)):
            assert await other.work()
        assert (await street.work("push")).keys() == {push_key(person, room) for person in people[1:]}
        for person in people[1:]:
            assert await street.spans(room, person, "push") == [(line.seq, line.seq, "pending", None)]

    async def test_two_workers_at_once_tell_each_once(self, street: Street, people: list[UUID]) -> None:
        rooms = [await street.group(*people) for _ in range(12)]
        sent = {room: await street.say(people[0], room) for room in rooms}
        workers = [street.ladder, Ladder(street.database, RUNGS)]

        async def climb(worker: Ladder) -> None:
            while await worker.work():
                pass

        with later(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("src.services.ladder.ROOMS_AT_ONCE", 2)
            await asyncio.gather(*(climb(worker) for worker in workers))
        keys = {push_key(person, room) for person in people[1:] for room in rooms}
        assert (await street.work("push")).keys() == keys
        for room, line in sent.items():
            assert await street.spans(room, people[1], "push") == [(line.seq, line.seq, "pending", None)]
            assert (await street.room(room)).told_seq == line.seq

    async def test_who_write_of_the_same_people_do_not_wait_for_each_other_in_a_circle(
        self, street: Street, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        people = await street.join(*(f"P{number}" for number in range(10)))
        room = await street.group(*people)
        without_extended = Deliveries._without_extended

        async def slowly(self: Deliveries, decided: Collection[Span]) -> Collection[Span]:
            left = await without_extended(self, decided)
            await asyncio.sleep(0.1 if len(left) < len(decided) else 0)
            return left

        async def record(people: list[UUID], *decided: tuple[Channel, int, int, DeliveryStatus]) -> None:
            async with street.database.transaction() as tx:
                spans = [Span(room, person, *each, None, now()) for each in decided for person in people]
                await tx.deliveries.record(spans)

        await record(people, ("push", 1, 5, "sent"))
        await record(people, ("push", 6, 9, "pending"))
        monkeypatch.setattr(Deliveries, "_without_extended", slowly)
        await asyncio.gather(
            record(people, ("push", 10, 10, "pending"), ("email", 5, 10, "pending")),
            record(people[:1], ("push", 1, 9, "sent")),
        )

    async def test_what_is_wrong_with_one_room_does_not_hold_up_the_others(
        self, street: Street, people: list[UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = [await street.group(*people) for _ in range(3)]
        for room in rooms:
            await street.say(people[0], room)
        some = street.ladder._tell_some

        async def fails(found: dict[UUID, RoomLines], after: Place | None) -> Place | None:
            if rooms[1] in found:
                raise ZeroDivisionError
            return await some(found, after)

        monkeypatch.setattr(street.ladder, "_tell_some", fails)
        with later():
            await street.climb()
        assert [(await street.room(room)).told_seq > 0 for room in rooms] == [True, False, True]


class TestLargeRooms:
    async def test_a_thousand_members_are_told_in_few_statements(
        self, street: Street, people: list[UUID], room: UUID
    ) -> None:
        await crowd(street, room, 1000)
        line = await street.say(people[0], room)
        with later():
            await street.climb()
        assert len(await street.work("digest")) == 2  # the crowd has no addresses
        assert (await street.room(room)).told_seq == line.seq
        asked: list[str] = []
        engine = street.database._writer.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        newer = await street.say(people[0], room)
        with later(timedelta(minutes=2)):
            await street.climb()
        assert len(asked) < 6 * 20, len(asked)
        async with street.database.snapshot() as reads:
            of_room = (
                select(Delivery.last_seq, func.count()).where(Delivery.room_id == room).group_by(Delivery.last_seq)
            )
            counts = (await reads._connection.execute(of_room)).all()
        assert [tuple(row) for row in counts] == [(newer.seq, 2 * 1002)]


async def crowd(street: Street, room: UUID, count: int) -> None:
    """So many more members."""
    at, ids = now(), [new_id() for _ in range(count)]
    plain = {"nickname": "x", "nickname_key": "x", "nickname_initials": "x", "intro": "", "language": "ko"}
    member = {"role": "member", "first_seq": 1, "read_seq": 0, "read_ordinal": 0, "joined_at": at, "listed_at": at}
    async with street.database.transaction() as tx:
        rows = [{**plain, "id": each, "theme": "system", "created_at": at} for each in ids]
        await tx._connection.execute(insert(User), rows)
        joined = [{**member, "room_id": room, "user_id": each} for each in ids]
        await tx._connection.execute(insert(Member), joined)


async def test_other_quiet_hours_hold_no_pushes_till_the_end_of_the_former_ones(
    street: Street, people: list[UUID], room: UUID
) -> None:
    anna, boris = people[:2]
    preferences, at = Preferences(street.database), now()
    quiet = {"from": f"{at - timedelta(hours=1):%H:%M}", "to": f"{at + timedelta(hours=8):%H:%M}", "time_zone": "UTC"}
    await preferences.change(boris, PreferencesDraft.model_validate({"quiet_hours": quiet}))
    await street.say(anna, room)
    with later():
        await street.climb()
    key = push_key(boris, room)
    assert (await street.work("push"))[key] > at + timedelta(hours=7)
    await preferences.change(boris, PreferencesDraft(hide_content=True))
    assert (await street.work("push"))[key] > at + timedelta(hours=7)
    await preferences.change(boris, PreferencesDraft(quiet_hours=None))
    assert (await street.work("push"))[key] < at + timedelta(minutes=1)
