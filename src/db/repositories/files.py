"""Files: found through the message that shows them, counted by it, and forgotten with it.

Whether a message has a file changes under its room's lock alone. Who waits for several locks them in the order of
their ids.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Uuid, and_, bindparam, delete, exists, func, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Block, File, Member, Message, MessageFile, Room, Upload, User
from ..rows import Row
from ..snapshots import DIRECT, any_of

_COLUMNS = tuple(File.__table__.columns)
_ME: BindParameter[UUID] = bindparam("user_id", type_=Uuid())
_SHOWN = exists().where(MessageFile.file_id == File.id)
_SHOWN_TO_ME = (
    select(MessageFile.file_id)
    .join(Member, and_(Member.room_id == MessageFile.room_id, Member.first_seq <= MessageFile.seq))
    .where(MessageFile.file_id == File.id, Member.user_id == _ME)
    .exists()
)
_BARRED = (
    select(Room.id)
    .join(
        Block,
        or_(
            and_(Block.blocker_id == Room.low_id, Block.blocked_id == Room.high_id),
            and_(Block.blocker_id == Room.high_id, Block.blocked_id == Room.low_id),
        ),
    )
    .where(Room.id == File.room_id, File.uploader_id != _ME)
    .exists()
)
_READABLE = select(*_COLUMNS, _BARRED.label("barred")).where(
    File.id == bindparam("file_id"),
    select(User.id).where(User.id == _ME, User.deleted_at.is_(None)).exists(),
    or_(_SHOWN_TO_ME, and_(File.uploader_id == _ME, ~_SHOWN)),
)
_OF_MESSAGES = (
    select(MessageFile.message_id, *_COLUMNS)
    .join(MessageFile, MessageFile.file_id == File.id)
    .where(any_of(MessageFile.message_id, "message_ids"))
    .order_by(MessageFile.message_id, MessageFile.position)
    .execution_options(**DIRECT)
)

_STORED = select(func.coalesce(func.sum(File.size + File.thumbnail_size), 0)).where(File.uploader_id == _ME)
_COMING = select(func.coalesce(func.sum(Upload.size), 0)).where(Upload.uploader_id == _ME, Upload.finished_at.is_(None))
_HELD_BY = select((_STORED.scalar_subquery() + _COMING.scalar_subquery()).label("bytes"))
_ADD = insert(File)


class Files:
    """A file is a row of `files`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """New files, which no message has yet."""
        await self._connection.execute(_ADD, rows)

    async def readable(self, user_id: UUID, file_id: UUID) -> Row | None:
        """The file, if this person may read a message that has it, or has uploaded and not yet sent it.

        `barred`: it is another's, in a direct room with a block between the two.
        """
        return (await self._connection.execute(_READABLE, {"user_id": user_id, "file_id": file_id})).one_or_none()

    async def held(self, file_ids: Collection[UUID], uploader_ids: Collection[UUID]) -> dict[UUID, Row]:
        """Those of these files that these people have uploaded, by id; none goes before this transaction ends."""
        theirs = File.uploader_id.in_(uploader_ids)
        files = select(*_COLUMNS).where(File.id.in_(file_ids), theirs).order_by(File.id)
        rows = await self._connection.execute(files.with_for_update(read=True, key_share=True))
        return {row.id: row for row in rows.all()}

    async def attach(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say which messages have which files: rows of `message_files`."""
        await self._connection.execute(insert(MessageFile), rows)

    async def of_messages(self, message_ids: Collection[UUID]) -> Sequence[Row]:
        """Their files with `message_id`, of each message in order."""
        return (await self._connection.execute(_OF_MESSAGES, {"message_ids": [*message_ids]})).all()

    async def detach(self, message_ids: Collection[UUID]) -> list[str]:
        """Take the files off these messages; the keys of the objects that nobody needs any more, their rows gone."""
        off = delete(MessageFile).where(MessageFile.message_id.in_(message_ids)).returning(MessageFile.file_id)
        file_ids = set((await self._connection.scalars(off)).all())
        return await self._delete(File.id.in_(file_ids), ~_SHOWN) if file_ids else []

    async def gallery(
        self, room_id: UUID, first_seq: int, kind: str | None, before: Key | None, limit: int
    ) -> Sequence[Row]:
        """The files of a room's lines from `first_seq` on, the newest first, one more than `limit`.

        With `message_id`, `seq`, `position` and `sent_at` of the line, and `sender_id`.
        """
        place = tuple_(MessageFile.seq, MessageFile.position)
        page = (
            select(*_COLUMNS, MessageFile.message_id, MessageFile.seq, MessageFile.position)
            .add_columns(Message.sender_id, Message.created_at.label("sent_at"))
            .join(MessageFile, MessageFile.file_id == File.id)
            .join(Message, Message.id == MessageFile.message_id)
            .where(MessageFile.room_id == room_id, MessageFile.seq >= first_seq)
            .order_by(MessageFile.seq.desc(), MessageFile.position.desc())
            .limit(limit + 1)
        )
        page = page.where(MessageFile.kind == kind) if kind else page
        page = page.where(place < before) if before else page
        return (await self._connection.execute(page)).all()

    async def held_by(self, user_id: UUID) -> int:
        """How many bytes this person has here, those included that unfinished uploads have announced."""
        return int((await self._connection.execute(_HELD_BY, {"user_id": user_id})).scalar() or 0)

    async def forget_old_unsent(self, after: datetime | None, before: datetime, limit: int) -> list[str]:
        """Forget some files that were uploaded between these moments and never sent; the keys of their objects.

        Looks at every file of that time. `after`: None for ever.
        """
        old = select(File.id).where(File.created_at < before, ~_SHOWN).order_by(File.created_at).limit(limit)
        old = old.where(File.created_at >= after) if after else old
        return await self._forget(old.with_for_update(skip_locked=True))

    async def forget_unsent_of(self, user_id: UUID) -> list[str]:
        """Forget what this person has uploaded and never sent; the keys of the objects."""
        unsent = select(File.id).where(File.uploader_id == user_id, ~_SHOWN)
        return await self._forget(unsent.order_by(File.id).with_for_update())

    async def forget_unsent_among(self, keys: Collection[str]) -> list[str]:
        """Forget the files with these keys that no message has; the keys of all their objects."""
        unsent = select(File.id).where(File.key.in_(keys), ~_SHOWN)
        return await self._forget(unsent.order_by(File.id).with_for_update())

    async def forget_some_of_room(self, room_id: UUID, limit: int) -> list[str]:
        """Forget some files of a room whose lines are gone; the keys of their objects."""
        some = select(File.id).where(File.room_id == room_id).order_by(File.id).limit(limit)
        return await self._forget(some.with_for_update())

    async def _forget(self, ids: Any) -> list[str]:
        """Asked a second time once they are locked: one of them may have been sent while we waited."""
        file_ids = (await self._connection.scalars(ids)).all()
        return await self._delete(File.id.in_(file_ids), ~_SHOWN) if file_ids else []

    async def _delete(self, *which: Any) -> list[str]:
        gone = await self._connection.execute(delete(File).where(*which).returning(File.key, File.thumbnail_key))
        return [key for row in gone.all() for key in row if key]
