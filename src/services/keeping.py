"""Objects come into the storage so that there is never one of which no row knows (docs/decisions/0015-files.md).

Before they are stored the outbox is told to remove them; the transaction that makes them somebody's takes that back.
Whoever dies in between leaves them to the outbox.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from ..db.uninterrupted import uninterrupted
from ..errors import Unavailable
from ..storage.store import Store
from .removals import remove_unless_kept

log = structlog.get_logger("chatty.files")

TO_BE_CLAIMED_WITHIN = timedelta(minutes=15)
TO_BE_STORED_WITHIN_SECONDS = 13 * 60
"""Before they are removed: what is stored after that would be of no row's knowledge."""
RETRY_MS = 1000


class Kept:
    """Objects that are stored, and nobody's yet."""

    def __init__(self, removal_id: UUID) -> None:
        self._removal_id = removal_id

    async def claim(self, tx: Transaction) -> None:
        """With the COMMIT they stay. Raises Unavailable when it took so long that they are being removed."""
        if not await tx.outbox.cancel(self._removal_id):
            raise Unavailable("Storing this took too long; try again.", retry_after_ms=RETRY_MS)


class Keeping:
    """`wake`: called when the outbox has something to remove."""

    def __init__(self, database: Database, store: Store, wake: Callable[[], None]) -> None:
        self._database = database
        self._store = store
        self._wake = wake

    @contextlib.asynccontextmanager
    async def stored(self, objects: Mapping[str, Path]) -> AsyncIterator[Kept]:
        """Store these files under these keys, for as long as the block lasts; from then on those that it has claimed.

        Raises StorageFull, and Unavailable when the storage does not take them.
        """
        async with self._database.patient_transaction() as tx:
            at = now()  # not before: one may stand in line for this
            removal_id = await remove_unless_kept(tx, [*objects], at, at + TO_BE_CLAIMED_WITHIN)
        await self._put(objects)  # if it fails, S3 may still store it in a moment: it is removed when it is due
        try:
            yield Kept(removal_id)
        except BaseException:
            await uninterrupted(self._take_back(removal_id))
            raise

    async def _put(self, objects: Mapping[str, Path]) -> None:
        try:
            async with asyncio.timeout(TO_BE_STORED_WITHIN_SECONDS):
                for key, path in objects.items():
                    await self._store.put(key, path)
        except OSError as error:
            log.error("The storage does not take a file.", error=repr(error))
            raise Unavailable("The storage cannot be reached; try again.", retry_after_ms=RETRY_MS) from error

    async def _take_back(self, removal_id: UUID) -> None:
        """Now rather than later; where that fails, later. What was claimed and committed stays: its row is gone."""
        with contextlib.suppress(Exception):
            async with self._database.patient_transaction() as tx:
                await tx.outbox.hasten(removal_id, now())
            self._wake()
