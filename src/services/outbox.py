"""The worker that does what transactions left in the outbox: after COMMIT, at least once, later again if it fails.

A row is leased by a short transaction that moves its `due_at` forward; a worker that dies leaves it to be found again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta

import structlog

from ..clock import now
from ..db.database import Database
from ..db.rows import Row
from .mailer import Undeliverable

log = structlog.get_logger("chatty.outbox")

Handler = Callable[[Row], Awaitable[None]]

POLL_SECONDS = 5
AT_ONCE = 4
WORK_SECONDS = 60
LEASE = timedelta(seconds=120)
FIRST_DELAY_SECONDS = 30
MAX_DELAY_SECONDS = 4 * 3600
MAX_ATTEMPTS = 12


class OutboxWorker:
    """`handlers`: what to do with a row, by its kind. `never_given_up`: kinds that are tried until it is done."""

    def __init__(
        self, database: Database, handlers: Mapping[str, Handler], *, never_given_up: Collection[str] = ()
    ) -> None:
        self._database = database
        self._handlers = dict(handlers)
        self._never_given_up = frozenset(never_given_up)
        self._woken = {kind: asyncio.Event() for kind in handlers}

    def also(self, kind: str, handler: Handler) -> None:
        """One more kind, of somebody who has to know this worker first. Before it runs."""
        self._handlers[kind] = handler
        self._woken[kind] = asyncio.Event()

    def wake(self) -> None:
        """Look at once: something has been committed."""
        for woken in self._woken.values():
            woken.set()

    async def run(self) -> None:
        """Run until cancelled. What was under way then is done again after its lease.

        Each kind by itself: a provider that does not answer must not hold up the mail.
        """
        async with asyncio.TaskGroup() as group:
            for kind, woken in self._woken.items():
                group.create_task(self._run(kind, woken))

    async def work(self) -> int:
        """Do what is due, some rows of each kind; how many they were."""
        return sum([await self._work(kind) for kind in self._handlers])

    async def _run(self, kind: str, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            try:
                while await self._work(kind):
                    pass
            except Exception as error:
                log.warning("The outbox waits; what was leased comes again.", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):  # wait_for of 3.11 loses a cancellation that meets a wake
                    await woken.wait()

    async def _work(self, kind: str) -> int:
        moment = now()
        async with self._database.single_read() as reads:
            if not await reads.outbox.has_due(kind, moment):
                return 0
        async with self._database.transaction() as tx:
            rows = await tx.outbox.lease(kind, AT_ONCE, moment, moment + LEASE)
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._do(row))
        return len(rows)

    async def _do(self, row: Row) -> None:
        try:
            await self._attempt(row)
        except Exception as error:  # the database's: it must not cancel the rows beside this one
            log.warning("What became of work could not be noted; it comes again.", error=type(error).__name__)

    async def _attempt(self, row: Row) -> None:
        if self._is_last(row, row.attempts):  # each of them ended the worker: nobody was left to note a failure
            await self._give_up(row, row.last_error or "The worker did not survive it.")
            return
        try:
            async with asyncio.timeout(WORK_SECONDS):
                await self._handlers[row.kind](row)
        except Undeliverable as error:
            await self._give_up(row, str(error))
        except Exception as error:
            await self._failed(row, error)
        else:
            async with self._database.transaction() as tx:
                await tx.outbox.done(row.id)

    async def _failed(self, row: Row, error: Exception) -> None:
        what = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        attempts = row.attempts + 1
        if self._is_last(row, attempts):
            await self._give_up(row, what)
            return
        log.warning("Work of the outbox failed; it is tried again.", kind=row.kind, attempts=attempts, error=what)
        async with self._database.transaction() as tx:
            await tx.outbox.put_off(row.id, what, now() + delay(attempts))

    def _is_last(self, row: Row, attempts: int) -> bool:
        return attempts >= MAX_ATTEMPTS and row.kind not in self._never_given_up

    async def _give_up(self, row: Row, what: str) -> None:
        log.error("Work of the outbox failed for good.", kind=row.kind, id=str(row.id), error=what)
        async with self._database.transaction() as tx:
            await tx.outbox.give_up(row.id, what, now())


def delay(attempts: int) -> timedelta:
    """How long to wait after so many failures: half a minute, doubled each time, at most four hours, give or take."""
    seconds = min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), MAX_DELAY_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))
