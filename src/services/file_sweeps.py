"""Forgetting files that nobody sent, and what those left behind who died while something came in."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from ..clock import now
from ..db.database import Database
from ..storage.staging import Staging
from .removals import remove_objects

log = structlog.get_logger("chatty.files")

EVERY_SECONDS = 600
ROWS_AT_ONCE = 100
REST_SECONDS = 0.05


class FileSweeps:
    """`kept_unsent`: for how long a file waits to be sent. `wake`: called after a COMMIT that left work."""

    def __init__(self, database: Database, staging: Staging, kept_unsent: timedelta, wake: Callable[[], None]) -> None:
        self._database = database
        self._staging = staging
        self._kept_unsent = kept_unsent
        self._wake = wake

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
        while await self._forget_some():  # noqa: ASYNC110 - it rests, and waits for nothing
            await asyncio.sleep(REST_SECONDS)
        while await self._forget_some_uploads():  # noqa: ASYNC110
            await asyncio.sleep(REST_SECONDS)
        self._wake()

    async def _forget_some(self) -> bool:
        at = now()
        async with self._database.transaction() as tx:
            keys = await tx.files.forget_unsent(at - self._kept_unsent, ROWS_AT_ONCE)
            await remove_objects(tx, keys, at)
        return bool(keys)

    async def _forget_some_uploads(self) -> bool:
        at = now()
        async with self._database.transaction() as tx:
            count, keys = await tx.uploads.forget_expired(at, ROWS_AT_ONCE)
            await remove_objects(tx, keys, at)
        return count > 0
