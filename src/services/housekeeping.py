"""Forgetting what nobody can use any more."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from .removals import remove_objects

log = structlog.get_logger("chatty.housekeeping")

EVERY_SECONDS = 3600
ROWS_AT_ONCE = 100
"""Of an abandoned room: SQLite deletes in the loop that serves, and others wait for the transaction."""
REST_SECONDS = 0.05
KEPT = timedelta(days=30)


class Housekeeping:
    """`notified`: for how long notifications are kept, and what became of messages."""

    def __init__(self, database: Database, notified: timedelta) -> None:
        self._database = database
        self._notified = notified

    async def run(self) -> None:
        """Run until cancelled: sweep every hour, first an hour from now."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.sweep()
            except Exception as error:
                log.warning("Sweeping failed; it waits an hour.", error=type(error).__name__)

    async def sweep(self) -> None:
        """Forget what has expired, what was over or failed a month ago, and rooms that nobody is in any more."""
        moment = now()
        async with self._database.transaction() as tx:
            await tx.email_tokens.sweep(moment)
            await tx.sign_in_attempts.sweep(moment)
            await tx.push_subscriptions.sweep(moment)
            await tx.sessions.sweep(moment - KEPT)
            await tx.outbox.sweep(moment - KEPT)
        for work in (self._forget_some_notified, self._forget_some_of_a_room):
            while await work():  # noqa: ASYNC110 - it rests, and waits for nothing
                await asyncio.sleep(REST_SECONDS)

    async def _forget_some_notified(self) -> bool:
        """Delete some of what is kept no longer. False if there is none."""
        before = now() - self._notified
        async with self._database.transaction() as tx:
            swept = await tx.notifications.sweep(before, ROWS_AT_ONCE)
            return await tx.deliveries.sweep(before, ROWS_AT_ONCE) or swept

    async def _forget_some_of_a_room(self) -> bool:
        """Delete some rows of an abandoned room, or at last the room. False if there is none."""
        async with self._database.transaction() as tx:
            room_id = await tx.abandoned.next_room()
            if room_id is None:
                return False
            if lines := await tx.abandoned.lines(room_id, ROWS_AT_ONCE):
                await tx.search.forget(lines)
                await tx.abandoned.delete_lines(lines)
            elif keys := await _forget_some_objects(tx, room_id):
                await remove_objects(tx, keys, now())
            elif not (
                await tx.abandoned.delete_marks(room_id, ROWS_AT_ONCE)
                or await tx.deliveries.forget_some_of_room(room_id, ROWS_AT_ONCE)
            ):
                await tx.abandoned.delete_room(room_id)
            return True


async def _forget_some_objects(tx: Transaction, room_id: UUID) -> list[str]:
    """The keys of some parts or files of a room, whose rows are gone."""
    parts = await tx.uploads.forget_some_of_room(room_id, ROWS_AT_ONCE)
    return parts or await tx.files.forget_some_of_room(room_id, ROWS_AT_ONCE)
