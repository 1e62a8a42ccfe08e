"""Rooms that nobody is in any more: found, and deleted some rows at a time."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Message, ReadMark, Room
from ..rows import Row

_NEXT = select(Room.id).where(Room.abandoned_at.is_not(None)).order_by(Room.abandoned_at).limit(1)
_NEXT_LOCKED = _NEXT.with_for_update(skip_locked=True)  # another node may be at work on the one before


class Abandoned:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def next_room(self) -> UUID | None:
        """The room that was abandoned first, locked, if there is one that nobody else is deleting."""
        found: UUID | None = await self._connection.scalar(_NEXT_LOCKED)
        return found

    async def lines(self, room_id: UUID, limit: int) -> Sequence[Row]:
        """Its first lines, rows of `messages`."""
        lines = select(Message.__table__).where(Message.room_id == room_id).order_by(Message.seq).limit(limit)
        return (await self._connection.execute(lines)).all()

    async def delete_lines(self, lines: Sequence[Row]) -> None:
        """Delete these lines, with their reactions."""
        await self._connection.execute(delete(Message).where(Message.id.in_([line.id for line in lines])))

    async def delete_marks(self, room_id: UUID, limit: int) -> bool:
        """Delete some of what its people had read. False if there is nothing of that."""
        key = (ReadMark.user_id, ReadMark.seq)
        some = select(*key).where(ReadMark.room_id == room_id).order_by(*key).limit(limit)
        marks = (await self._connection.execute(some)).all()
        if marks:
            up_to = tuple_(*key) <= tuple(marks[-1])
            await self._connection.execute(delete(ReadMark).where(ReadMark.room_id == room_id, up_to))
        return bool(marks)

    async def delete_room(self, room_id: UUID) -> None:
        """Delete the room itself, and with it all that is in it."""
        await self._connection.execute(delete(Room).where(Room.id == room_id))
