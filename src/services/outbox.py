"""The worker that does what transactions left in the outbox: after COMMIT, at least once, later again if it fails.

A row is leased by a short transaction that moves its `due_at` forward; a worker that dies leaves it to be found again.
"""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database
from ..db.repositories.outbox import GivenUp, PutOff
from ..db.rows import Row
from .outcomes import Later, Outcome, Undeliverable, verdict

log = structlog.get_logger("chatty.outbox")

Handler = Callable[[Row], Awaitable[None]]
"""Does what a row asks for, or raises an `Outcome`."""
BatchHandler = Callable[[Sequence[Row]], Awaitable[Mapping[UUID, Outcome]]]
"""Does what some rows ask for, within WORK_SECONDS. Each is done unless something else is said of its id.

If it raises, all have failed: those that had been done are done again.
"""

POLL_SECONDS = 5
AT_ONCE = 4
WORK_SECONDS = 60
LEASE = timedelta(seconds=120)
MAX_ATTEMPTS = 12
SHARES = 8


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of work is done: `at_once` rows are leased, at most `together` of them given to one call."""

    name: str
    handle: BatchHandler
    at_once: int
    together: int
    poll_seconds: float
    max_attempts: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class OutboxWorker:
    """`handlers`: what to do with a row, by its kind. `never_given_up`: kinds that are tried until it is done."""

    def __init__(
        self, database: Database, handlers: Mapping[str, Handler], *, never_given_up: Collection[str] = ()
    ) -> None:
        self._database = database
        self._kinds: dict[str, _Kind] = {}
        for kind, handler in handlers.items():
            self.also(kind, handler, max_attempts=math.inf if kind in never_given_up else None)

    def also(
        self, kind: str, handler: Handler, *, poll_seconds: float = POLL_SECONDS, max_attempts: float | None = None
    ) -> None:
        """One more kind, of somebody who has to know this worker first. Before it runs.

        `poll_seconds`: how often to look for what is due, or was left by others. `max_attempts`: then it is given up.
        """
        attempts = max_attempts or MAX_ATTEMPTS
        self._kinds[kind] = _Kind(kind, partial(_one_by_one, handler), AT_ONCE, 1, poll_seconds, attempts)

    def in_batches(
        self,
        kind: str,
        handler: BatchHandler,
        *,
        at_once: int,
        poll_seconds: float = POLL_SECONDS,
        max_attempts: float | None = None,
    ) -> None:
        """The same for a kind of which many rows are better done together, at most `at_once` of them."""
        attempts = max_attempts or MAX_ATTEMPTS
        self._kinds[kind] = _Kind(kind, handler, at_once, at_once, poll_seconds, attempts)

    def wake(self) -> None:
        """Look at once: something has been committed."""
        for kind in self._kinds.values():
            kind.woken.set()

    async def run(self) -> None:
        """Run until cancelled. What was under way then is done again after its lease.

        Each kind by itself: a provider that does not answer must not hold up the mail.
        """
        async with asyncio.TaskGroup() as group:
            for name in self._kinds:
                group.create_task(self._run(name))

    async def work(self) -> int:
        """Do what is due, some rows of each kind; how many they were."""
        return sum([await self._work(name) for name in self._kinds])

    async def _run(self, name: str) -> None:
        kind = self._kinds[name]
        while True:
            kind.woken.clear()
            try:
                while await self._work(name):
                    pass
            except Exception as error:
                log.warning("The outbox waits; what was leased comes again.", error=type(error).__name__)
            with suppress(TimeoutError):
                # wait_for of 3.11 loses a cancellation that meets a wake.
                async with asyncio.timeout(kind.poll_seconds):
                    await kind.woken.wait()

    async def _work(self, name: str) -> int:
        kind, moment = self._kinds[name], now()
        async with self._database.single_read() as reads:
            if not await reads.outbox.has_due(name, moment):
                return 0
        async with self._database.transaction() as tx:
            rows = await tx.outbox.lease(name, kind.at_once, moment, moment + LEASE)
        async with asyncio.TaskGroup() as group:
            for portion in _portions(rows, kind.together):
                group.create_task(self._do(kind, portion))
        return len(rows)

    async def _do(self, kind: _Kind, rows: Sequence[Row]) -> None:
        outcomes = await _outcomes(kind, rows)
        try:
            await self._note(kind, rows, outcomes)
        except Exception as error:  # the database's: it must not cancel the rows beside these
            log.warning("What became of work could not be noted; it comes again.", error=type(error).__name__)

    async def _note(self, kind: _Kind, rows: Sequence[Row], outcomes: Mapping[UUID, Outcome]) -> None:
        """Write down what became of them, in one transaction."""
        moment = now()
        verdicts = {row.id: verdict(row, outcomes.get(row.id), kind.max_attempts, moment) for row in rows}
        put_off = [each for each in verdicts.values() if isinstance(each, PutOff)]
        given_up = [each for each in verdicts.values() if isinstance(each, GivenUp)]
        _tell(kind, [each for each in put_off if not isinstance(outcomes[each.row.id], Later)], given_up)
        async with self._database.transaction() as tx:
            await tx.outbox.done([item_id for item_id, each in verdicts.items() if each is None])
            await tx.outbox.put_off(put_off)
            await tx.outbox.give_up(given_up, moment)


async def _one_by_one(handler: Handler, rows: Sequence[Row]) -> Mapping[UUID, Outcome]:
    for row in rows:
        await handler(row)
    return {}


def _portions(rows: Sequence[Row], together: int) -> Iterator[Sequence[Row]]:
    """Rows in portions for one call each.

    One row may have spoiled it for all beside it. So those that were tried before go in SHARES, each time with others:
    whoever has done nothing gets through.
    """
    fresh = [row for row in rows if row.attempts == 0]
    tried = [row for row in rows if row.attempts]
    random.shuffle(tried)
    for each, size in ((fresh, together), (tried, min(together, len(tried) // SHARES + 1))):
        yield from (each[first : first + size] for first in range(0, len(each), size))


async def _outcomes(kind: _Kind, rows: Sequence[Row]) -> Mapping[UUID, Outcome]:
    # Each attempt of these ended the worker: nobody was left to note a failure.
    deadly = {row.id: row.last_error for row in rows if row.attempts >= kind.max_attempts}
    given_up = {item_id: Undeliverable(error or "The worker did not survive it.") for item_id, error in deadly.items()}
    hopeful = [row for row in rows if row.id not in given_up]
    if not hopeful:
        return given_up
    try:
        async with asyncio.timeout(WORK_SECONDS):
            return {**await kind.handle(hopeful), **given_up}
    except Exception as error:
        return {**{row.id: error for row in hopeful}, **given_up}


def _tell(kind: _Kind, failed: Sequence[PutOff], given_up: Sequence[GivenUp]) -> None:
    for error, count in Counter(each.error for each in failed).items():
        log.warning("Work of the outbox failed; it is tried again.", kind=kind.name, rows=count, error=error)
    for each in given_up:
        log.error("Work of the outbox failed for good.", kind=kind.name, id=str(each.item_id), error=each.error)
