"""An upload that came in parts becomes a file: the last part makes it one, and is never kept by itself.

So as many bytes are here as were announced if and only if the file is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import aiofiles

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import Conflict, Gone, Invalid, NotFound, TooLarge, Unavailable, UnsupportedType
from ..file_settings import MIB
from ..storage.received import Received
from ..storage.staging import Part, Staging
from ..storage.store import ObjectMissing, Store
from .files import Files
from .keeping import RETRY_MS
from .removals import Wake, remove_objects

FIELD = "file"
"""What refusals call the file that is coming in."""


class Assembly:
    """`wake`: called after a COMMIT that left objects to be removed."""

    def __init__(self, database: Database, staging: Staging, store: Store, files: Files, wake: Wake) -> None:
        self._database = database
        self._staging = staging
        self._store = store
        self._files = files
        self._wake = wake

    async def complete(self, upload: Row, start: int, last: Part) -> None:
        """Make a file of the parts of an upload and its last, which begins at the byte `start`.

        Raises Conflict where another has just done so, and what `Files.keep` raises: what refuses the file for good
        ends the upload.
        """
        async with self._whole(upload, start, last) as path:
            received = Received(FIELD, upload.name, upload.content_type, upload.size, path)
            try:
                await self._files.keep(upload.uploader_id, upload.room_id, [received], _Forerunner(upload, start))
            except (Invalid, TooLarge, UnsupportedType):
                await self.discard(upload, start)
                raise
        self._wake()

    async def discard(self, upload: Row, start: int) -> None:
        """End an upload of which so many bytes are here. Raises Conflict, NotFound where it is not so any more."""
        async with self._database.patient_transaction() as tx:
            await locked_at(tx, upload, start)
            await remove_objects(tx, await tx.uploads.forget(upload.id), now())
        self._wake()

    @asynccontextmanager
    async def _whole(self, upload: Row, start: int, last: Part) -> AsyncIterator[Path]:
        """The file that its parts are, one after another."""
        if not start:
            yield last.path
            return
        async with self._staging.part() as whole:
            await self._copy_parts(upload, start, whole)
            async with aiofiles.open(last.path, "rb") as file:
                while piece := await file.read(MIB):
                    await whole.write(piece)
            await whole.finish()
            yield whole.path

    async def _copy_parts(self, upload: Row, start: int, whole: Part) -> None:
        async with self._database.snapshot() as reads:
            parts = await reads.uploads.parts(upload.id)
        try:
            for part in parts:
                async for piece in self._store.read(part.key):
                    await whole.write(piece)
        except ObjectMissing:
            await self.discard(upload, start)  # unless the other one of two at once has finished it, and they are gone
            raise Gone("A part of this upload is lost; begin anew.") from None
        except OSError as error:
            raise Unavailable("The storage cannot be reached; try again.", retry_after_ms=RETRY_MS) from error
        if whole.size != start:
            raise Conflict("Another request has continued this upload.")


class _Forerunner:
    """The upload whose place the file takes, while so many of its bytes are here."""

    def __init__(self, upload: Row, start: int) -> None:
        self._upload = upload
        self._start = start

    async def leave(self, tx: Transaction) -> None:
        at = now()
        await locked_at(tx, self._upload, self._start)
        await tx.uploads.finish(self._upload.id, at)
        await remove_objects(tx, await tx.uploads.forget_parts(self._upload.id), at)

    async def leave_to(self, tx: Transaction, file_id: UUID) -> None:
        await tx.uploads.became(self._upload.id, file_id)


async def locked_at(tx: Transaction, upload: Row, offset: int) -> None:
    """Lock an upload that is to be continued at `offset`.

    Raises NotFound where it has gone, Conflict where it is finished or its next byte is another one.
    """
    found = await tx.uploads.locked(upload.uploader_id, upload.id)
    if found is None:
        raise NotFound
    received, _ = await tx.uploads.received(upload.id)
    if found.finished_at or received != offset:
        raise Conflict("Another request has continued this upload.")
