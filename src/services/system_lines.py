"""What happens to a room, told: the line that the house writes, then what has changed (contract §4, §7)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..db.database import Transaction
from ..db.ids import new_id
from ..db.message_views import message_views
from ..db.rows import Row
from ..events import MessageSent, RoomChanged
from ..schemas.messages import Message, SystemType
from ..schemas.rooms import RoomChange

TARGETS_NAMED = 100


async def add_system_line(  # noqa: PLR0913, PLR0917 - what a line tells
    tx: Transaction,
    room: Row,
    at: datetime,
    type: SystemType,
    actor_id: UUID | None,
    targets: Sequence[UUID] = (),
    **told: Any,
) -> Message:
    """Store a line and announce it to all who may read it.

    `room`: a row of `rooms.joined_by_and_locked`. `told`: `name` of a renaming, `seq` of what was pinned.
    """
    line = await store_system_line(tx, room.id, at, type, actor_id, targets, **told)
    tx.announce(MessageSent(await tx.members.hearing(room.id, line.seq), line))
    return line


async def store_system_line(  # noqa: PLR0913, PLR0917 - what a line tells
    tx: Transaction,
    room_id: UUID,
    at: datetime,
    type: SystemType,
    actor_id: UUID | None,
    targets: Sequence[UUID] = (),
    **told: Any,
) -> Message:
    """The same for who has something to announce before it. At most 100 targets are named."""
    numbers = await tx.rooms.next_line(room_id, at, unread=False)
    system = {"type": type, "actor": str(actor_id) if actor_id else None, **told}
    await tx.messages.add(
        id=new_id(),
        room_id=room_id,
        seq=numbers.last_seq,
        rev=numbers.rev,
        ordinal=numbers.last_ordinal,
        kind="system",
        system={**system, "targets": [str(each) for each in targets[:TARGETS_NAMED]]},
        created_at=numbers.active_at,
    )
    rows = await tx.messages.at([(room_id, numbers.last_seq)])
    (line,) = await message_views(tx, rows, {room_id: 1})
    return line


async def announce_change(tx: Transaction, room_id: UUID, at: datetime, **changed: Any) -> None:
    """Count the room up and tell its members what has changed: fields of `RoomChange`."""
    change = RoomChange(room_id=room_id, rev=await tx.rooms.next_rev(room_id, at), **changed)
    tx.announce(RoomChanged(await tx.members.hearing(room_id), change))


async def announce_notice(tx: Transaction, room_id: UUID, at: datetime, pinned: Row) -> None:
    """The same of a new notice, a row of `messages`: each member sees as much of it as they may read."""
    rev = await tx.rooms.next_rev(room_id, at)
    (notice,) = await message_views(tx, [pinned], {room_id: 1})
    everybody = await tx.members.hearing(room_id)
    readers = await tx.members.hearing(room_id, pinned.seq)
    of_all = await tx.members.hearing(room_id, pinned.reply_to_seq) if pinned.reply_to_seq else readers
    unquoted = notice.model_copy(update={"reply_to": None})
    for audience, seen in ((of_all, notice), (readers - of_all, unquoted), (everybody - readers, None)):
        if audience:
            tx.announce(RoomChanged(audience, RoomChange(room_id=room_id, rev=rev, notice=seen)))
