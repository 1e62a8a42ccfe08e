"""Work left in the outbox, done in batches and one by one: what is said of it, and what becomes of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.models import OutboxItem
from src.db.repositories.outbox import Outbox
from src.errors import Unavailable
from src.services import outbox
from src.services.outbox import BatchHandler, OutboxWorker
from src.services.outcomes import Later, Outcome, Undeliverable

KIND = "digest"
SECOND = timedelta(seconds=1)


class Busy(Exception):
    code = 429
    retry_after_seconds = 900


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    made = Database(settings.database_url, lambda events: None)
    yield made
    await made.close()


async def leave(db: Database, count: int, kind: str = KIND) -> list[UUID]:
    """Leave work in the outbox, each with its number."""
    async with db.transaction() as tx:
        return [await tx.outbox.add(kind, {"number": number}, now()) for number in range(count)]


async def rows(db: Database) -> dict[int, Any]:
    """What is there, by its number; None for the number of what was given up."""
    async with db.snapshot() as reads:
        found = (await reads._connection.execute(select(OutboxItem.__table__))).all()
    return {row.payload.get("number", -1): row for row in found}


async def make_due(db: Database) -> None:
    async with db.transaction() as tx:
        await tx._connection.execute(update(OutboxItem).values(due_at=now()))


def worker(db: Database, handler: BatchHandler, *, at_once: int = 100, **how: Any) -> OutboxWorker:
    made = OutboxWorker(db, {})
    made.in_batches(KIND, handler, at_once=at_once, **how)
    return made


class Handler:
    """A batch handler that remembers what it was given. `say`: what becomes of a row, by its number."""

    def __init__(self, say: Callable[[int], Outcome] = lambda number: None) -> None:
        self.batches: list[list[int]] = []
        self._say = say

    async def __call__(self, items: Sequence[Any]) -> Mapping[UUID, Outcome]:
        self.batches.append([item.payload["number"] for item in items])
        said = {item.id: self._say(item.payload["number"]) for item in items}
        return {item_id: outcome for item_id, outcome in said.items() if outcome}


class TestABatch:
    async def test_is_what_is_due_in_one_call_and_no_more_than_may_be(self, db: Database) -> None:
        await leave(db, 7)
        handler = Handler()
        made = worker(db, handler, at_once=5)
        assert [await made.work() for _ in range(3)] == [5, 2, 0]
        assert [len(batch) for batch in handler.batches] == [5, 2] and await rows(db) == {}

    async def test_each_row_comes_to_what_is_said_of_it(self, db: Database) -> None:
        tomorrow = now() + timedelta(days=1)
        said = {1: Undeliverable("550"), 2: Later(tomorrow), 3: TimeoutError(), 4: Busy(), 5: None}
        await leave(db, 7)
        await worker(db, Handler(said.get)).work()
        left = await rows(db)
        assert set(left) == {-1, 2, 3, 4}, "0, 5 and 6 are done"
        assert left[-1].failed_at and left[-1].last_error == "550" and left[-1].payload == {}
        assert (left[2].attempts, left[2].due_at, left[2].last_error) == (0, tomorrow, None)
        assert (left[3].attempts, left[3].last_error) == (1, "TimeoutError")
        assert 20 * SECOND < left[3].due_at - now() < 40 * SECOND
        assert (left[4].attempts, left[4].last_error) == (1, "Busy 429")
        assert 890 * SECOND < left[4].due_at - now() <= 900 * SECOND

    async def test_is_noted_as_a_whole_or_not_at_all(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        async def fail(repository: Outbox, items: Any, moment: datetime) -> None:
            raise Unavailable

        monkeypatch.setattr(Outbox, "give_up", fail)
        await leave(db, 3)
        await worker(db, Handler({1: Undeliverable("550")}.get)).work()
        assert [row.attempts for row in (await rows(db)).values()] == [1, 1, 1], "leased still, to come again"

    async def test_that_raises_has_failed_as_a_whole(self, db: Database) -> None:
        async def stumble(items: Sequence[Any]) -> Mapping[UUID, Outcome]:
            raise Unavailable

        await leave(db, 3)
        await worker(db, stumble).work()
        left = (await rows(db)).values()
        assert [(row.attempts, row.last_error) for row in left] == [(1, "Unavailable unavailable")] * 3
        assert all(row.due_at - now() > 20 * SECOND for row in left)

    async def test_that_takes_too_long_has_failed(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outbox, "WORK_SECONDS", 0.1)

        async def hang(items: Sequence[Any]) -> Mapping[UUID, Outcome]:
            await asyncio.Event().wait()
            return {}

        await leave(db, 2)
        await worker(db, hang).work()
        assert [row.last_error for row in (await rows(db)).values()] == ["TimeoutError"] * 2

    async def test_whoever_spoils_it_takes_nobody_along_for_long(self, db: Database) -> None:
        done: set[int] = set()

        async def stumble_over_three(items: Sequence[Any]) -> Mapping[UUID, Outcome]:
            numbers = {item.payload["number"] for item in items}
            if 3 in numbers:
                raise KeyError
            assert not done & numbers, "nobody is done twice"
            done.update(numbers)
            return {}

        await leave(db, 40)
        made = worker(db, stumble_over_three, at_once=40)
        for _ in range(outbox.MAX_ATTEMPTS):
            await made.work()
            await make_due(db)
        assert done == {*range(40)} - {3}
        (left,) = (await rows(db)).values()
        assert left.failed_at and left.last_error == "KeyError" and left.attempts == outbox.MAX_ATTEMPTS

    async def test_goes_without_those_that_no_worker_has_survived(self, db: Database) -> None:
        await leave(db, 3)
        async with db.transaction() as tx:
            deadly = update(OutboxItem).where(OutboxItem.payload["number"].as_integer() == 1)
            await tx._connection.execute(deadly.values(attempts=outbox.MAX_ATTEMPTS))
        handler = Handler()
        await worker(db, handler).work()
        assert handler.batches == [[0, 2]]
        (left,) = (await rows(db)).values()
        assert left.failed_at and left.last_error == "The worker did not survive it."

    async def test_of_a_worker_that_dies_is_done_by_another_one_when_its_lease_is_over(self, db: Database) -> None:
        begun = asyncio.Event()

        async def hang(items: Sequence[Any]) -> Mapping[UUID, Outcome]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        await leave(db, 3)
        dying = asyncio.create_task(worker(db, hang).run())
        await asyncio.wait_for(begun.wait(), 5)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        handler = Handler()
        assert await worker(db, handler).work() == 0, "they are leased still"
        await make_due(db)
        await worker(db, handler, at_once=100).work()
        assert sorted(itertools.chain(*handler.batches)) == [0, 1, 2] and await rows(db) == {}

    async def test_is_never_given_to_two_workers(self, db: Database) -> None:
        await leave(db, 60)
        handlers = [Handler(), Handler()]

        async def work(handler: Handler) -> None:
            made = worker(db, handler, at_once=7)
            while await made.work():
                pass

        await asyncio.gather(*map(work, handlers))
        worked = [number for handler in handlers for batch in handler.batches for number in batch]
        assert sorted(worked) == [*range(60)]


class TestOneByOne:
    async def test_what_is_put_off_waits_and_counts_no_attempt(self, db: Database) -> None:
        moment = now() + timedelta(hours=8)

        async def put_off(item: Any) -> None:
            raise Later(moment)

        await leave(db, 1)
        made = OutboxWorker(db, {KIND: put_off})
        for _ in range(3):
            assert await made.work() == 1
            (left,) = (await rows(db)).values()
            assert (left.attempts, left.due_at, left.failed_at) == (0, moment, None)
            await make_due(db)

    async def test_what_is_put_off_to_the_past_does_not_spin(self, db: Database) -> None:
        async def put_off(item: Any) -> None:
            raise Later(now() - timedelta(days=1))

        await leave(db, 1)
        made = OutboxWorker(db, {KIND: put_off})
        assert [await made.work() for _ in range(2)] == [1, 0]

    @pytest.mark.parametrize(("told", "least", "most"), [(0, 0, 2), (30, 28, 31), (10**9, 14_000, 14_401)])
    async def test_whoever_failed_us_says_when_to_come_again_within_reason(
        self, db: Database, told: int, least: int, most: int
    ) -> None:
        async def fail(item: Any) -> None:
            error = Busy()
            error.retry_after_seconds = told
            raise error

        await leave(db, 1)
        await OutboxWorker(db, {KIND: fail}).work()
        (left,) = (await rows(db)).values()
        assert least * SECOND <= left.due_at - now() <= most * SECOND and left.attempts == 1


class TestAKind:
    @pytest.mark.parametrize("together", [True, False])
    async def test_may_be_given_up_sooner_than_others(self, db: Database, together: bool) -> None:
        async def fail(item: Any) -> Any:
            raise TimeoutError

        made = OutboxWorker(db, {})
        if together:
            made.in_batches(KIND, fail, at_once=10, max_attempts=2)
        else:
            made.also(KIND, fail, max_attempts=2)
        await leave(db, 1)
        for _ in range(3):
            await make_due(db)
            await made.work()
        (left,) = (await rows(db)).values()
        assert left.failed_at and left.attempts == 2

    async def test_may_be_looked_for_more_often_than_others(self, db: Database) -> None:
        handler, slow = Handler(), Handler()
        made = worker(db, handler, poll_seconds=0.05)
        made.in_batches("slow", slow, at_once=10)
        running = asyncio.create_task(made.run())
        await asyncio.sleep(0.2)  # both have looked, and found nothing
        await leave(db, 1)
        await leave(db, 1, "slow")
        async with asyncio.timeout(3):
            while not handler.batches:
                await asyncio.sleep(0.02)
        assert slow.batches == []
        made.wake()
        async with asyncio.timeout(3):
            while not slow.batches:
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class TestAKey:
    """Of work with a key, only some waits at a time; what is being done has none any more."""

    async def add(self, db: Database, number: int, due_at: datetime | None = None) -> None:
        async with db.transaction() as tx:
            await tx.outbox.add_each(KIND, [("digest:anna", {"number": number})], now(), due_at or now())

    @pytest.mark.parametrize("why", [Later(now() + timedelta(hours=8)), TimeoutError()])
    async def test_is_given_back_to_what_is_put_off(self, db: Database, why: Exception) -> None:
        await self.add(db, 1)
        await worker(db, Handler({1: why}.get)).work()
        (left,) = (await rows(db)).values()
        assert left.key == "digest:anna" and left.attempts == (0 if isinstance(why, Later) else 1)
        await self.add(db, 2)
        assert set(await rows(db)) == {1}, "it is waiting already"
        await make_due(db)
        handler = Handler()
        await worker(db, handler).work()
        assert handler.batches == [[1]] and await rows(db) == {}

    @pytest.mark.parametrize("why", [Later(now() + timedelta(hours=8)), TimeoutError()])
    async def test_stays_with_what_was_added_meanwhile(self, db: Database, why: Exception) -> None:
        async def handle(items: Sequence[Any]) -> Mapping[UUID, Outcome]:
            await self.add(db, 2)
            return {item.id: why for item in items}

        await self.add(db, 1)
        await leave(db, 1)
        await worker(db, handle).work()
        left = await rows(db)
        assert {number: row.key for number, row in left.items()} == {0: None, 2: "digest:anna"}
        assert left[2].attempts == 0

    async def test_is_not_waited_for_in_a_circle(self, db: Database, settings: Settings) -> None:
        if settings.is_sqlite:
            pytest.skip("SQLite has one writer at a time")

        async def add(keys: list[str]) -> None:
            async with db.transaction() as tx:
                await tx.outbox.add_each(KIND, [(key, {"number": 1}) for key in keys], now(), now())

        for time in range(10):
            keys = [f"digest:{time}:{number}" for number in range(500)]
            await asyncio.gather(add(keys), add(keys[::-1]))

    async def test_whose_work_waits_is_held_by_who_adds_it_again(self, db: Database, settings: Settings) -> None:
        if settings.is_sqlite:
            pytest.skip("SQLite has one writer at a time")
        await self.add(db, 1)
        handler = Handler()
        async with db.transaction() as tx:
            await tx.outbox.add_each(KIND, [("digest:anna", {"number": 2})], now(), now())
            await worker(db, handler).work()
            assert handler.batches == [], "what this transaction writes it would not see"
        await worker(db, handler).work()
        assert handler.batches == [[1]] and await rows(db) == {}


async def test_a_batch_is_cleared_away_by_one_statement(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await leave(db, 200)
    honest, asked = Outbox.done, list[Sequence[UUID]]()

    async def done(repository: Outbox, item_ids: Sequence[UUID]) -> None:
        asked.append(item_ids)
        await honest(repository, item_ids)

    monkeypatch.setattr(Outbox, "done", done)
    await worker(db, Handler(), at_once=200).work()
    assert [sorted(each) for each in asked] == [sorted(ids)] and await rows(db) == {}
