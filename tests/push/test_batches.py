"""Pushes of many people at once: planned and noted together, and each as it would be alone."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from src.clock import now
from src.config import Settings
from src.db.ids import new_id
from src.db.models import Member, Message
from src.db.repositories import Repositories
from src.db.snapshots import SnapshotReads
from src.services import pushes
from src.services.notices import push_of, push_of_room
from src.services.push_closing import shown_key
from src.services.push_errands import Errand, errand_of
from src.services.push_notes import Done, note
from src.services.push_plans import Plan, plans_for
from src.services.push_rounds import Result
from tests.cast import Person
from tests.ladder import Street
from tests.people import House

from .service import Browser, status
from .stage import Stage
from .test_pushes import mute

WAIT = timedelta(minutes=15)
NAMES = [f"Person {number}" for number in range(30)]


def row(payload: dict[str, Any]) -> Any:
    return SimpleNamespace(id=new_id(), payload=payload)


def of_room(person: Person, room: str) -> Any:
    return row(push_of_room(UUID(person.id), UUID(room)))


def errands(people: Sequence[UUID], *rooms: UUID) -> list[Errand]:
    return [errand_of(push_of_room(person, room), now()) for person in people for room in rooms]


def taken(errand: Errand, plan: Any) -> Done:
    """Its push was taken by every browser."""
    assert isinstance(plan, Plan), plan
    return Done(errand, plan, {each.id: Result("sent") for each in plan.subscriptions})


async def done(street: Street, some: Sequence[Errand]) -> list[Done]:
    async with street.database.snapshot() as reads:
        plans = await plans_for(reads, some, now(), WAIT)
    return [taken(*each) for each in zip(some, plans, strict=True)]


@pytest.fixture
def street(house: House) -> Street:
    return Street(house)


class TestStatements:
    """They are as many for thirty as for three."""

    async def test_that_plan_do_not_grow_with_the_people(self, street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
        anna, *others = await street.join("Anna", *NAMES)
        room = await street.group(anna, *others)
        await street.say(anna, room, mentions=others)
        asked: list[Any] = []
        execute = SnapshotReads.execute

        async def counted(self: SnapshotReads, statement: Any, parameters: Any = None) -> Any:
            asked.append(statement)
            return await execute(self, statement, parameters)

        monkeypatch.setattr(SnapshotReads, "execute", counted)
        counts = []
        for people in (others[:3], others):
            asked.clear()
            plans = await done(street, errands(people, room))
            assert {each.decision.matter.told.kind for each in plans if isinstance(each.decision, Plan)} == {"mention"}
            counts.append(len(asked))
        assert counts[0] == counts[1] < 20

    async def test_that_note_do_not_grow_with_the_people(self, street: Street) -> None:
        anna, *others = await street.join("Anna", *NAMES)
        room = await street.group(anna, *others)
        await street.say(anna, room)
        asked: list[Any] = []
        event.listen(street.database._writer.sync_engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        counts = []
        for people in (others[:3], others[3:]):
            some = await done(street, errands(people, room))
            asked.clear()
            async with street.database.transaction() as tx:
                assert all(await note(tx, some, now()))
            counts.append(len(asked))
        assert counts[0] == counts[1] < 15
        assert {each[2] for other in others for each in await street.spans(room, other, "push")} == {"sent"}


class TestWhatIsWrongWithOne:
    """Boris's push fails, and those beside it do not."""

    @pytest.fixture
    async def three(self, stage: Stage) -> tuple[list[Person], str, list[Browser], list[Any]]:
        anna, *others = await stage.friends("Anna", "Boris", "Clara", "Dora")
        room = await stage.group(anna, *others)
        browsers = [await stage.browser(each) for each in others]
        await stage.say(anna, room)
        return others, room, browsers, [of_room(each, room) for each in others]

    async def test_cannot_be_planned(
        self, stage: Stage, three: tuple[list[Person], str, list[Browser], list[Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (boris, *_), _, browsers, rows = three

        async def planned(reads: Repositories, some: Sequence[Errand], *how: Any) -> Any:
            if UUID(boris.id) in {each.user_id for each in some}:
                raise ValueError
            return await plans_for(reads, some, *how)

        monkeypatch.setattr(pushes, "plans_for", planned)
        failures = await stage.service.parts.notifying.pushes.carry_out_some(rows)
        assert [*failures] == [rows[0].id]
        assert [len(each.pushes) for each in browsers] == [0, 1, 1]

    async def test_cannot_be_noted(
        self, stage: Stage, three: tuple[list[Person], str, list[Browser], list[Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (boris, *others), room, browsers, rows = three

        async def noted(tx: Any, some: Sequence[Done], at: Any, **how: Any) -> Any:
            result = await note(tx, some, at, **how)
            if UUID(boris.id) in {each.errand.user_id for each in some}:
                raise ValueError
            return result

        monkeypatch.setattr(pushes, "note", noted)
        failures = await stage.service.parts.notifying.pushes.carry_out_some(rows)
        assert [*failures] == [rows[0].id]
        assert [len(each.pushes) for each in browsers] == [1, 1, 1]
        assert {*await stage.waiting()} == {shown_key(UUID(each.id), UUID(room)) for each in others}
        assert [span[2] for each in others for span in await stage.spans(each, room)] == ["sent", "sent"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_mixture_ends_as_each_does_alone(stage: Stage, together: bool) -> None:
    people = anna, boris, clara, dora, emil, fay, gina, hugo = await stage.friends(
        "Anna", "Boris", "Clara", "Dora", "Emil", "Fay", "Gina", "Hugo"
    )
    room = await stage.group(anna, *people[1:])
    browsers = {each.user["nickname"]: await stage.browser(each) for each in people}
    reacted = await stage.say(gina, room, "funny")
    await anna.put(f"/messages/{reacted['id']}/reactions/👍")
    (reaction,) = (await stage.waiting()).values()
    await stage.forget()
    await mute(clara, room)
    begin, end = now() - timedelta(minutes=1), now() + timedelta(minutes=5)
    await stage.prefer(emil, quiet_from=f"{begin:%H:%M}", quiet_to=f"{end:%H:%M}", time_zone="UTC")
    line = await stage.say(anna, room, "look", mentions=[clara.id])
    await fay.post(f"/rooms/{room}/read", {"seq": line["seq"]})
    browsers["Hugo"].answer = status(500)
    await stage.forget()
    rows = [
        *(of_room(each, room) for each in (boris, clara, emil, fay, hugo)),
        row(errand_of(push_of_room(UUID(dora.id), UUID(room)), now()).again(await the_browser(stage, dora))),
        row(reaction.payload),
        row(push_of(UUID(gina.id), new_id())),
    ]
    for some in [rows] if together else [[each] for each in rows]:
        assert await stage.service.parts.notifying.pushes.carry_out_some(some) == {}
    told = {name: [push.json["kind"] for push in browser.pushes] for name, browser in browsers.items()}
    assert {name: kinds for name, kinds in told.items() if kinds} == {
        "Boris": ["message"],
        "Clara": ["mention"],
        "Dora": ["message"],
        "Gina": ["reaction"],
    }
    spans = {each.user["nickname"]: [span[2:] for span in await stage.spans(each, room)] for each in people}
    sent: list[tuple[str, str | None]] = [("sent", None)]
    assert {name: fates for name, fates in spans.items() if fates} == {
        "Boris": sent,
        "Clara": sent,
        "Dora": sent,
        "Emil": [("pending", "quiet_hours")],
    }
    names = {UUID(each.id).hex: each.user["nickname"] for each in people}
    await stage.work()  # what Clara has muted is looked at once more
    waiting = {(what, names[whose]) for what, whose, *_ in (key.split(":") for key in await stage.waiting())}
    shown = {("shown", name) for name in ("Boris", "Clara", "Dora", "Gina")}
    assert waiting == shown | {("push", "Emil"), ("push", "Hugo")}


async def the_browser(stage: Stage, person: Person) -> UUID:
    """The id of the only subscription of somebody's."""
    async with stage.service.parts.database.snapshot() as reads:
        (row,) = (await reads.push_subscriptions.living([UUID(person.id)], now()))[UUID(person.id)]
    return UUID(str(row.id))


class TestManyWhoNote:
    """Two workers note what became of the same pushes while people read, write and are told."""

    async def test_never_wait_for_each_other_in_a_circle(self, street: Street, settings: Settings) -> None:
        anna, *others = await street.join("Anna", *NAMES[:12])
        rooms = [await street.group(anna, *others) for _ in range(3)]
        lines = {room: await street.say(anna, room) for room in rooms}
        some = await done(street, errands(others, *rooms))
        second = Street(House(settings.database_url))

        async def work(of: Street) -> None:
            for _ in range(6):
                mixed = random.sample(some, len(some))
                for first in range(0, len(mixed), 10):
                    portion = mixed[first : first + 10]
                    async with of.database.transaction() as tx:
                        noted = await note(tx, portion, now())
                    for each in [each for each, well in zip(portion, noted, strict=True) if not well]:
                        async with of.database.transaction() as tx:
                            assert await note(tx, [each], now(), wait=True) == [True]

        async def read(person: UUID, number: int) -> None:
            for room in random.sample(rooms, len(rooms)):
                await asyncio.sleep(random.random() / 5)
                if number % 2:
                    await street.read(person, room, lines[room].seq)
                else:
                    await street.say(person, room)
                    async with street.database.transaction() as tx:  # as the closer does, which hears of it
                        await tx.pushes.release([shown_key(person, room)], now())

        await asyncio.gather(work(street), work(second), *(read(each, number) for number, each in enumerate(others)))
        await second.database.close()
        left = await street.work("push")
        for person in others:
            for room in rooms:
                assert left[shown_key(person, room)] <= now(), "it was read, so it is closed"
                first, last, *fate = (await street.spans(room, person, "push"))[0]
                assert first <= lines[room].seq <= last
                assert fate == ["sent", None]

    async def test_do_not_wait_for_whoever_is_just_reading(self, street: Street, database: str) -> None:
        if database == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        anna, boris, clara = await street.join("Anna", "Boris", "Clara")
        room = await street.group(anna, boris, clara)
        await street.say(anna, room)
        some = await done(street, errands([boris, clara], room))
        async with street.database.transaction() as reading:
            mine = (Member.room_id == room, Member.user_id == boris)
            await reading._connection.execute(update(Member).where(*mine).values(read_ordinal=1, read_seq=2))
            async with street.database.transaction() as tx, asyncio.timeout(2):
                assert await note(tx, some, now()) == [False, True]
            alone = asyncio.create_task(self.alone(street, some[0]))
            await asyncio.sleep(0.1)
            assert not alone.done()
        await alone
        left = await street.work("push")
        assert left[shown_key(boris, room)] <= now() < left[shown_key(clara, room)]

    async def alone(self, street: Street, one: Done) -> None:
        async with street.database.transaction() as tx:
            assert await note(tx, [one], now(), wait=True) == [True]


class TestWhoNeverReads:
    async def test_is_planned_without_all_that_was_ever_pushed(self, street: Street) -> None:
        anna, boris = await street.join("Anna", "Boris")
        room = await street.group(anna, boris)
        for _ in range(5):
            await street.say(anna, room)
            async with street.database.transaction() as tx:
                assert all(await note(tx, await done(street, errands([boris], room)), now()))
        async with street.database.snapshot() as reads:
            newest = await reads._connection.scalar(select(Message.seq).order_by(Message.seq.desc()).limit(1))
            found = (await reads.push_matters.spans({(boris, room): newest}))[boris, room]
            none = (await reads.push_matters.spans({(boris, room): None}))[boris, room]
        assert len(await street.spans(room, boris, "push")) == 5
        assert [span.last_seq for span in found] == [span.last_seq for span in none] == [newest]
