"""Uploads that survive a broken connection (docs/decisions/0017-resumable-uploads.md): begun, continued, given up."""

import asyncio
from typing import NamedTuple
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.file_views import file_view
from ..db.ids import new_id
from ..db.repositories import Repositories
from ..db.rows import Row
from ..errors import ChattyError, Conflict, FieldError, Gone, Invalid, Malformed, NotFound, TooLarge, Unauthorized
from ..file_settings import MIB, FileSettings
from ..schemas.files import ResumableUpload
from ..storage.staging import Part, Staging
from .assembly import FIELD, Assembly, locked_at
from .cuts import PART_BYTES, Body, Cuts
from .file_names import usable_name
from .files import refuse_unless_writable
from .incoming import new_key
from .keeping import Keeping
from .quotas import Quotas
from .removals import Wake, remove_objects

MOST_PARTS = 1000
"""Beyond those that its size needs: each costs an object, and reading it again."""


class NewUpload(NamedTuple):
    """What somebody is about to send; `name` and `content_type` are their words."""

    size: int
    name: str
    content_type: str


class Resumable:
    """`wake`: called after a COMMIT that left objects to be removed."""

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        *,
        database: Database,
        staging: Staging,
        keeping: Keeping,
        quotas: Quotas,
        assembly: Assembly,
        settings: FileSettings,
        wake: Wake,
    ) -> None:
        self._database = database
        self._staging = staging
        self._keeping = keeping
        self._quotas = quotas
        self._assembly = assembly
        self._settings = settings
        self._wake = wake

    async def create(self, user_id: UUID, room_id: UUID, new: NewUpload, body: Body | None) -> ResumableUpload:
        """Begin an upload into a room of mine; what is announced counts as mine at once. `body`: its first bytes.

        Raises NotFound, Blocked, Invalid, TooLarge, QuotaExceeded; and what `append` raises, which leaves no upload.
        """
        self._refuse_size(new.size)
        upload_id, at = new_id(), now()
        row = {
            "id": upload_id, "uploader_id": user_id, "room_id": room_id, "name": usable_name(new.name),
            "content_type": new.content_type, "size": new.size, "created_at": at,
            "expires_at": at + self._settings.kept_unsent,
        }  # fmt: skip
        async with self._database.patient_transaction() as tx:
            if await tx.users.lock(user_id) is None:
                raise Unauthorized
            await refuse_unless_writable(tx, user_id, room_id)
            await self._quotas.refuse_beyond(tx, user_id, new.size)
            await tx.uploads.add(row)
        if body:
            await self._begin(user_id, upload_id, body)
        return await self.find(user_id, upload_id)

    async def find(self, user_id: UUID, upload_id: UUID) -> ResumableUpload:
        """An upload of mine, in a room where I am. Raises NotFound, and Gone if it, or what it became, is no more."""
        async with self._database.snapshot() as reads:
            upload, offset, _ = await _found(reads, user_id, upload_id)
            file = await reads.files.readable(user_id, upload.file_id) if upload.file_id else None
        if upload.finished_at and file is None:
            raise Gone
        return ResumableUpload(
            id=upload.id,
            room_id=upload.room_id,
            offset=offset,
            size=upload.size,
            file=file_view(file) if file else None,
            expires_at=upload.expires_at,
        )

    async def append(self, user_id: UUID, upload_id: UUID, offset: int, body: Body) -> ResumableUpload:
        """Continue an upload of mine at `offset`, with as much of `body` as comes; with the last byte it is a file.

        Raises NotFound, Gone, Blocked; Conflict where the next byte is another; TooLarge for more than was announced;
        Malformed where it breaks off, when what came has been kept; what `Assembly.complete` raises.
        """
        async with self._database.snapshot() as reads:
            upload, received, parts = await _found(reads, user_id, upload_id)
            await refuse_unless_writable(reads, user_id, upload.room_id)
        if received != offset:
            raise Conflict(f"The next byte of this upload is number {received}.")
        if (body.announced or 0) > upload.size - offset:
            raise TooLarge("This is more than was announced.")
        if parts >= MOST_PARTS + upload.size // PART_BYTES:
            raise TooLarge("This upload has come in too many parts; begin anew.")
        await asyncio.to_thread(self._staging.refuse_if_full, body.announced or 0)
        await self._take(upload, offset, body)
        return await self.find(user_id, upload_id)

    async def terminate(self, user_id: UUID, upload_id: UUID) -> None:
        """Give up an upload of mine; a file that it has become stays. Raises NotFound."""
        async with self._database.patient_transaction() as tx:
            if await tx.uploads.locked(user_id, upload_id) is None:
                raise NotFound
            await remove_objects(tx, await tx.uploads.forget(upload_id), now())
        self._wake()

    def _refuse_size(self, size: int) -> None:
        most = self._settings.max_bytes
        if not size:
            raise Invalid(errors=[FieldError(FIELD, "empty_file", "must not be empty")])
        if size > most:
            sentence = f"A file may have at most {most / MIB:g} MiB."
            raise TooLarge(sentence, errors=[FieldError(FIELD, "file_too_large", sentence)])

    async def _begin(self, user_id: UUID, upload_id: UUID, body: Body) -> None:
        """Whoever is refused is told of no upload, so none is left."""
        try:
            await self.append(user_id, upload_id, 0, body)
        except Malformed:  # it broke off, and may go on
            return
        except ChattyError:
            await self._give_up(user_id, upload_id)
            raise

    async def _give_up(self, user_id: UUID, upload_id: UUID) -> None:
        try:
            await self.terminate(user_id, upload_id)
        except NotFound:  # what refused it has ended it
            return

    async def _take(self, upload: Row, offset: int, body: Body) -> None:
        cuts = Cuts(body, upload.size - offset)
        while not cuts.ended:
            async with self._staging.part() as part:
                await cuts.fill(part)
                await part.finish()
                if offset + part.size == upload.size and part.size:
                    await self._assembly.complete(upload, offset, part)
                    return
                if part.size:
                    await self._keep(upload, offset, part)
                offset += part.size
        if cuts.failure:
            raise cuts.failure

    async def _keep(self, upload: Row, start: int, part: Part) -> None:
        key = new_key("chat/parts", "")
        async with self._keeping.stored({key: part.path}) as kept, self._database.patient_transaction() as tx:
            await locked_at(tx, upload, start)
            await tx.uploads.add_part(upload.id, start, part.size, key)
            await kept.claim(tx)


async def _found(reads: Repositories, user_id: UUID, upload_id: UUID) -> tuple[Row, int, int]:
    """An upload of mine, how many bytes of it are here, in how many parts. Raises NotFound, and Gone if it expired."""
    upload = await reads.uploads.of(user_id, upload_id)
    if upload is None:
        raise NotFound
    if upload.expires_at <= now():
        raise Gone("This upload has expired; begin anew.")
    received, parts = await reads.uploads.received(upload_id)
    return upload, upload.size if upload.finished_at else received, parts
