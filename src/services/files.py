"""Files in rooms: taken from who may write there, given to who may read the message that shows them (contract §6)."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Protocol
from uuid import UUID

from ..db import cursors
from ..db.database import Database, Transaction
from ..db.file_views import file_view, room_file_view
from ..db.repositories import Repositories
from ..db.rows import Row
from ..db.views import user_view
from ..errors import Blocked, Gone, NotFound, Unauthorized
from ..schemas.common import Items, Page
from ..schemas.files import File, GalleryQuery, RoomFile
from ..storage.download import Download
from ..storage.received import Receive, Received
from .incoming import Incoming
from .keeping import Keeping
from .quotas import Quotas
from .rooms import refuse_across_block


class Forerunner(Protocol):
    """What a file takes the place of, in the transaction that keeps it."""

    async def leave(self, tx: Transaction) -> None:
        """Before the file is there: from now on it counts no longer. Raises where it is no more."""

    async def leave_to(self, tx: Transaction, file_id: UUID) -> None:
        """When the file is there."""


class Files:
    def __init__(self, database: Database, incoming: Incoming, keeping: Keeping, quotas: Quotas) -> None:
        self._database = database
        self._incoming = incoming
        self._keeping = keeping
        self._quotas = quotas

    async def upload(self, user_id: UUID, room_id: UUID, receive: Receive) -> Items[File]:
        """Take files into a room of mine, where nobody else sees them until a message has them; all of them or none.

        Raises NotFound, Blocked and Gone where I may not write, before anything is read; what `receive` and
        `Incoming.prepared` raise; QuotaExceeded, StorageFull, Unavailable.
        """
        async with self._database.snapshot() as reads:
            await refuse_unless_writable(reads, user_id, room_id)
            await self._quotas.refuse_beyond(reads, user_id, 1)
        async with receive() as received:
            rows = await self.keep(user_id, room_id, received)
        return Items(items=rows)

    async def keep(
        self, user_id: UUID, room_id: UUID, received: Sequence[Received], forerunner: Forerunner | None = None
    ) -> list[File]:
        """The same with what has been received. Whether I may is asked again: it took its time.

        `forerunner`: what a single file takes the place of.
        """
        async with self._incoming.prepared(received) as prepared:
            objects = {key: path for each in prepared for key, path in each.objects.items()}
            async with self._keeping.stored(objects) as kept, self._database.patient_transaction() as tx:
                if await tx.users.lock(user_id) is None:
                    raise Unauthorized
                if forerunner:
                    await forerunner.leave(tx)
                await refuse_unless_writable(tx, user_id, room_id)
                await self._quotas.refuse_beyond(tx, user_id, sum(each.size for each in prepared))
                await tx.files.add([{**each.row, "uploader_id": user_id, "room_id": room_id} for each in prepared])
                await kept.claim(tx)
                if forerunner:
                    await forerunner.leave_to(tx, prepared[0].row["id"])
        return [file_view(SimpleNamespace(**each.row)) for each in prepared]

    async def open(self, user_id: UUID, file_id: UUID, *, thumbnail: bool = False) -> Download:
        """A file of a message that I may read, or one that I have uploaded and not yet sent.

        Raises NotFound, also for the thumbnail of what has none; Blocked for another's in a direct room across a
        block.
        """
        async with self._database.single_read() as reads:
            file = await reads.files.readable(user_id, file_id)
        if file is None or (thumbnail and not file.thumbnail_key):
            raise NotFound
        if file.barred:
            raise Blocked
        return _thumbnail(file) if thumbnail else _whole(file)

    async def gallery(self, user_id: UUID, room_id: UUID, query: GalleryQuery) -> Page[RoomFile]:
        """The files of a room of mine, the newest first. Raises NotFound, and Invalid for a faulty cursor."""
        before = cursors.decode(query.cursor, int, int)
        async with self._database.snapshot() as reads:
            room = await reads.rooms.joined_by(user_id, room_id)
            if room is None:
                raise NotFound
            rows = await reads.files.gallery(room_id, room.first_seq, query.kind, before, query.limit)
            rows, following = cursors.cut(rows, query.limit, lambda row: (row.seq, row.position))
            people = await reads.people.shown({row.sender_id for row in rows})
        senders = {user_id: user_view(row) for user_id, row in people.items()}
        return Page(items=[room_file_view(row, senders.get(row.sender_id)) for row in rows], next_cursor=following)


async def refuse_unless_writable(reads: Repositories, user_id: UUID, room_id: UUID) -> None:
    """Raise NotFound for a room of others; Blocked and Gone where the partner of a direct room cannot be written to."""
    room = await reads.rooms.joined_by(user_id, room_id)
    if room is None:
        raise NotFound
    await refuse_across_block(reads, room)
    if room.kind == "direct":
        partner_id = room.low_id if room.high_id == user_id else room.high_id
        if (await reads.people.shown({partner_id}))[partner_id].nickname is None:
            raise Gone("This person has deleted their account.")


def _whole(file: Row) -> Download:
    return Download(
        key=file.key,
        size=file.size,
        content_type=file.content_type,
        name=file.name,
        inline=file.kind == "image",
        etag=file.id.hex,
        cache="private",
    )


def _thumbnail(file: Row) -> Download:
    return Download(
        key=file.thumbnail_key,
        size=file.thumbnail_size,
        content_type="image/webp",
        name=f"{file.name}.webp",
        inline=True,
        etag=f"{file.id.hex}-thumbnail",
        cache="private",
    )
