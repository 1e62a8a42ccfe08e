"""The lines of rooms: found, and added. What is seen of them is made in message_views.py."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Message, Reaction, Room
from ..rows import Row

REACTIONS_NAMED = 100

_LINES = select(*Message.__table__.columns)
_BY_CLIENT_ID = _LINES.where(
    Message.room_id == bindparam("room_id"),
    Message.sender_id == bindparam("sender_id"),
    Message.client_id == bindparam("client_id"),
)
_LAST_AND_PINNED = _LINES.join(Room, Room.id == Message.room_id).where(
    Room.id.in_(bindparam("room_ids", expanding=True)), Message.seq.in_((Room.last_seq, Room.notice_seq))
)
_RANKED = (
    select(
        Reaction.message_id,
        Reaction.emoji,
        Reaction.user_id,
        func.row_number()
        .over(partition_by=(Reaction.message_id, Reaction.emoji), order_by=(Reaction.created_at, Reaction.user_id))
        .label("place"),
        func.count().over(partition_by=(Reaction.message_id, Reaction.emoji)).label("count"),
        func.min(Reaction.created_at).over(partition_by=(Reaction.message_id, Reaction.emoji)).label("since"),
    )
    .where(Reaction.message_id.in_(bindparam("message_ids", expanding=True)))
    .subquery()
)
_REACTIONS = (
    select(_RANKED)
    .where(_RANKED.c.place <= REACTIONS_NAMED)
    .order_by(_RANKED.c.message_id, _RANKED.c.since, _RANKED.c.emoji, _RANKED.c.place)
)


class Messages:
    """A line is a row of `messages`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, **row: Any) -> None:
        """Store a line. Its `seq`, `rev` and `ordinal` come from `rooms.next_line` in the same transaction."""
        await self._connection.execute(insert(Message), row)

    async def by_client_id(self, room_id: UUID, sender_id: UUID, client_id: UUID) -> Row | None:
        """What this sender stored in this room under this `client_id`, ever."""
        key = {"room_id": room_id, "sender_id": sender_id, "client_id": client_id}
        return (await self._connection.execute(_BY_CLIENT_ID, key)).one_or_none()

    async def in_room(self, room_id: UUID, message_id: UUID) -> Row | None:
        """This line, if it is one of this room's."""
        line = _LINES.where(Message.id == message_id, Message.room_id == room_id)
        return (await self._connection.execute(line)).one_or_none()

    async def at(self, places: Collection[tuple[UUID, int]]) -> Sequence[Row]:
        """The lines with these numbers, each of a room: those that there are, in any order."""
        if not places:
            return []
        by_room: defaultdict[UUID, list[int]] = defaultdict(list)
        for room_id, seq in places:
            by_room[room_id].append(seq)
        # Not (room_id, seq) IN (…): SQLite reads the whole table for that.
        there = [and_(Message.room_id == room_id, Message.seq.in_(seqs)) for room_id, seqs in by_room.items()]
        return await self._all(_LINES.where(or_(*there)))

    async def last_and_pinned(self, room_ids: Collection[UUID]) -> Sequence[Row]:
        """The last line of each room and its notice, in any order, whoever may read them."""
        return (await self._connection.execute(_LAST_AND_PINNED, {"room_ids": [*room_ids]})).all()

    async def before(self, room_id: UUID, seq: int, first_seq: int, limit: int) -> list[Row]:
        """At most `limit` lines below `seq`, down to `first_seq`, ascending: the nearest."""
        lines = _LINES.where(Message.room_id == room_id, Message.seq < seq, Message.seq >= first_seq)
        return [*reversed(await self._all(lines.order_by(Message.seq.desc()).limit(limit)))]

    async def after(self, room_id: UUID, seq: int, first_seq: int, limit: int) -> list[Row]:
        """At most `limit` lines above `seq`, from `first_seq`, ascending: the nearest."""
        lines = _LINES.where(Message.room_id == room_id, Message.seq > seq, Message.seq >= first_seq)
        return [*await self._all(lines.order_by(Message.seq).limit(limit))]

    async def reactions_to(self, message_ids: Collection[UUID]) -> Sequence[Row]:
        """Reactions by message and emoji, the earliest emoji first: the first 100 people of each, and their `count`."""
        if not message_ids:
            return []
        return (await self._connection.execute(_REACTIONS, {"message_ids": list(message_ids)})).all()

    async def _all(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row]:
        return (await self._connection.execute(query)).all()
