"""Lines that the house writes: who came and went, what a room is called, what is pinned (contract §4)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from ..db.database import Transaction
from ..db.ids import new_id
from ..db.message_views import message_views
from ..db.rows import Row
from ..events import MessageSent
from ..schemas.messages import Message, SystemType

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
        created_at=at,
    )
    rows = await tx.messages.at([(room_id, numbers.last_seq)])
    (line,) = await message_views(tx, rows, {room_id: 1})
    return line
