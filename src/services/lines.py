"""A line that somebody may read, found and changed under its room's lock, and told (contract §5)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ..db.database import Transaction
from ..db.message_views import message_views
from ..db.repositories import Repositories
from ..db.rows import Row
from ..errors import Forbidden, Gone, NotFound
from ..events import MessageChanged
from ..schemas.messages import Message
from .rooms import locked


async def readable(reads: Repositories, user_id: UUID, message_id: UUID) -> tuple[Row, Row]:
    """The line and its room, if this person may read it. Raises NotFound."""
    room_id = await reads.messages.room_of(message_id)
    room = await reads.rooms.joined_by(user_id, room_id) if room_id else None
    return await _line_in(reads, room, message_id)


async def lock_readable(tx: Transaction, user_id: UUID, message_id: UUID) -> tuple[Row, Row]:
    """The same with the room locked: the line is as it will be found by nobody else till COMMIT."""
    room_id = await tx.messages.room_of(message_id)
    if room_id is None:
        raise NotFound
    return await _line_in(tx, await locked(tx, user_id, room_id), message_id)


async def _line_in(reads: Repositories, room: Row | None, message_id: UUID) -> tuple[Row, Row]:
    line = await reads.messages.in_room(room.id, message_id) if room else None
    if room is None or line is None or line.seq < room.first_seq:
        raise NotFound
    return line, room


def refuse_unless_own(line: Row, user_id: UUID) -> None:
    """Raise Forbidden for another's line, and for one of nobody's."""
    if line.sender_id != user_id:
        raise Forbidden("This is not your message.")


def refuse_tombstone(line: Row) -> None:
    """Raise Gone for a line that was deleted."""
    if line.deleted_at is not None:
        raise Gone("This message was deleted.")


async def change_line(tx: Transaction, room: Row, line: Row, at: datetime, **values: Any) -> Message:
    """Give the line these values and its room's next `rev`, and tell who may read it; the line as `room`'s member does.

    `room`: a row of `lock_readable`. Reactions change no value of the line.
    """
    rev = await tx.rooms.next_rev(room.id, at)
    changed = await tx.messages.change(line.id, rev=rev, **values)
    (message,) = await message_views(tx, [changed], {room.id: 1})
    readers = await tx.members.hearing(room.id, changed.seq)
    of_all = readers
    if message.reply_to:
        of_all = await tx.members.hearing(room.id, message.reply_to.seq)
        unquoted = message.model_copy(update={"reply_to": None})
        if readers - of_all:
            tx.announce(MessageChanged(readers - of_all, unquoted))
    tx.announce(MessageChanged(of_all, message))
    return await seen(tx, changed, room)


async def seen(reads: Repositories, line: Row, room: Row) -> Message:
    """The line, as the member sees it whose membership is in `room`."""
    (message,) = await message_views(reads, [line], {room.id: room.first_seq})
    return message
