"""Uploads that come in pieces: found by whoever began them, while they are in the room.

How much of one is here is counted from its parts, never kept. Parts come and go under the lock of their upload's row.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Member, Upload, UploadPart
from ..rows import Row

_IS_MEMBER = and_(Member.room_id == Upload.room_id, Member.user_id == Upload.uploader_id)
_HAS_PARTS = exists().where(UploadPart.upload_id == Upload.id)


class Uploads:
    """An upload is a row of `uploads`, a part one of `upload_parts`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, row: Mapping[str, Any]) -> None:
        """A new upload, of which nothing is here."""
        await self._connection.execute(insert(Upload), row)

    async def of(self, user_id: UUID, upload_id: UUID) -> Row | None:
        """The upload, if this person began it and is in its room."""
        return (await self._connection.execute(_mine(user_id, upload_id))).one_or_none()

    async def locked(self, user_id: UUID, upload_id: UUID) -> Row | None:
        """The same, held against everybody else's changes until COMMIT. What its parts are is to be asked after it."""
        held = _mine(user_id, upload_id).with_for_update(of=Upload)
        return (await self._connection.execute(held)).one_or_none()

    async def received(self, upload_id: UUID) -> tuple[int, int]:
        """How many bytes its parts have, and how many parts there are."""
        counted = select(func.coalesce(func.sum(UploadPart.size), 0), func.count())
        row = (await self._connection.execute(counted.where(UploadPart.upload_id == upload_id))).one()
        return int(row[0]), int(row[1])

    async def parts(self, upload_id: UUID) -> Sequence[Row]:
        """Its parts, in order."""
        parts = select(*UploadPart.__table__.columns).where(UploadPart.upload_id == upload_id)
        return (await self._connection.execute(parts.order_by(UploadPart.start))).all()

    async def add_part(self, upload_id: UUID, start: int, size: int, key: str) -> None:
        """Raises Conflict where there is one that begins there."""
        row = {"upload_id": upload_id, "start": start, "size": size, "key": key}
        await self._connection.execute(insert(UploadPart), row)

    async def forget_parts(self, upload_id: UUID) -> list[str]:
        """The keys of its parts, which are forgotten."""
        gone = delete(UploadPart).where(UploadPart.upload_id == upload_id).returning(UploadPart.key)
        return [*(await self._connection.scalars(gone)).all()]

    async def finish(self, upload_id: UUID, at: datetime) -> None:
        """Say that it is whole: what it announced counts no longer."""
        await self._set(upload_id, finished_at=at)

    async def became(self, upload_id: UUID, file_id: UUID) -> None:
        """Say which file it became."""
        await self._set(upload_id, file_id=file_id)

    async def forget(self, upload_id: UUID) -> list[str]:
        """Forget an upload; the keys of its parts."""
        return await self._forget([upload_id])

    async def forget_expired(self, moment: datetime, limit: int) -> tuple[int, list[str]]:
        """Forget some uploads that have expired: how many, and the keys of their parts."""
        old = select(Upload.id).where(Upload.expires_at <= moment).order_by(Upload.expires_at).limit(limit)
        ids = (await self._connection.scalars(old.with_for_update(skip_locked=True))).all()
        return len(ids), await self._forget(ids)

    async def forget_of(self, user_id: UUID) -> list[str]:
        """Forget all of a person; the keys of the parts."""
        return await self._forget_each(select(Upload.id).where(Upload.uploader_id == user_id))

    async def forget_some_of_room(self, room_id: UUID, limit: int) -> list[str]:
        """Forget some of a room that have parts; their keys. What has none goes with the room."""
        return await self._forget_each(select(Upload.id).where(Upload.room_id == room_id, _HAS_PARTS).limit(limit))

    async def forget_with_parts(self, keys: Collection[str]) -> list[str]:
        """Forget the uploads that have one of these parts; the keys of all their parts."""
        which = select(UploadPart.upload_id).where(UploadPart.key.in_(keys))
        return await self._forget_each(select(Upload.id).where(Upload.id.in_(which)))

    async def _forget_each(self, ids: Any) -> list[str]:
        return await self._forget((await self._connection.scalars(ids.with_for_update())).all())

    async def _forget(self, upload_ids: Collection[UUID]) -> list[str]:
        if not upload_ids:
            return []
        parts = delete(UploadPart).where(UploadPart.upload_id.in_(upload_ids)).returning(UploadPart.key)
        keys = [*(await self._connection.scalars(parts)).all()]
        await self._connection.execute(delete(Upload).where(Upload.id.in_(upload_ids)))
        return keys

    async def _set(self, upload_id: UUID, **fields: Any) -> None:
        await self._connection.execute(update(Upload).where(Upload.id == upload_id).values(fields))


def _mine(user_id: UUID, upload_id: UUID) -> Any:
    mine = select(*Upload.__table__.columns).join(Member, _IS_MEMBER)
    return mine.where(Upload.id == upload_id, Upload.uploader_id == user_id)
