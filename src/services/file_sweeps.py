"""Forgetting files that nobody sent, and what those left behind who died while something came in."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from ..clock import now
from ..db.database import Database
from ..storage.staging import Staging
from .removals import remove_objects

log = structlog.get_logger("chatty.files")

EVERY_SECONDS = 600
ROWS_AT_ONCE = 100
REST_SECONDS = 0.05
LOOKED_AT_AGAIN = timedelta(days=1)
"""What was sent stays sent. But somebody may have held a file, and not sent it after all."""


class FileSweeps:
    """`kept_unsent`: for how long a file waits to be sent. `wake`: called after a COMMIT that left work."""

    def __init__(self, database: Database, staging: Staging, kept_unsent: timedelta, wake: Callable[[], None]) -> None:
        self._database = database
        self._staging = staging
        self._kept_unsent = kept_unsent
        self._wake = wake
        self._swept_to: datetime | None = None

    async def run(self) -> None:
        """Run until cancelled: sweep now, and every ten minutes."""
        while True:
            try:
                await self.sweep()
            except Exception as error:
                log.warning("Sweeping files failed; it waits ten minutes.", error=type(error).__name__)
            await asyncio.sleep(EVERY_SECONDS)

    async def sweep(self) -> None:
        """Remove what came in half, and forget what was not sent, or not sent whole, in time."""
        await self._staging.sweep()
        before = now() - self._kept_unsent
        while await self._forget_some(before):  # noqa: ASYNC110 - it rests, and waits for nothing
            await asyncio.sleep(REST_SECONDS)
        self._swept_to = before
        while await self._forget_some_uploads():  # noqa: ASYNC110
            await asyncio.sleep(REST_SECONDS)
        self._wake()

    async def _forget_some(self, before: datetime) -> bool:
        """Not through all files that there ever were, every ten minutes: SQLite would look in the loop that serves."""
        after = self._swept_to - LOOKED_AT_AGAIN if self._swept_to else None
        async with self._database.transaction() as tx:
            keys = await tx.files.forget_old_unsent(after, before, ROWS_AT_ONCE)
            await remove_objects(tx, keys, now())
        return bool(keys)

    async def _forget_some_uploads(self) -> bool:
        at = now()
        async with self._database.transaction() as tx:
            count, keys = await tx.uploads.forget_expired(at, ROWS_AT_ONCE)
            await remove_objects(tx, keys, at)
        return count > 0
