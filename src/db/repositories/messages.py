"""The lines of rooms: found, and added. What is seen of them is made in message_views.py."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Member, Message, Room, User
from ..read_times import mark_of, writers_after
from ..rows import Row
from ..snapshots import DIRECT, any_of

_LINES = select(*Message.__table__.columns)
_BY_CLIENT_ID = _LINES.where(
    Message.room_id == bindparam("room_id"),
    Message.sender_id == bindparam("sender_id"),
    Message.client_id == bindparam("client_id"),
)
_LAST_AND_PINNED = (
    _LINES.join(Room, Room.id == Message.room_id)
    .where(any_of(Room.id, "room_ids"), Message.seq.in_((Room.last_seq, Room.notice_seq)))
    .execution_options(**DIRECT)
)
_ROOM_OF = select(Message.room_id).where(Message.id == bindparam("message_id"))


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

    async def by_ids(self, message_ids: Collection[UUID]) -> dict[UUID, Row]:
        """These lines, by id, whoever may read them."""
        return {row.id: row for row in await self._all(_LINES.where(Message.id.in_(message_ids)))}

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

    async def room_of(self, message_id: UUID) -> UUID | None:
        """The room that a line is in, whoever may read it."""
        found: UUID | None = await self._connection.scalar(_ROOM_OF, {"message_id": message_id})
        return found

    async def change(self, message_id: UUID, **values: Any) -> Row:
        """Write these columns of a line, its room being locked; the whole line as it is then."""
        changed = update(Message).where(Message.id == message_id).values(**values)
        return (await self._connection.execute(changed.returning(*Message.__table__.columns))).one()

    async def readers_of(self, line: Row) -> Sequence[Row]:
        """Members but its sender who may read the line and have, with who they are, in any order.

        `marked_at`: when their cursor first passed it; `wrote_at`: when they first wrote after it; either may be null.
        With `joined_at`, for `read_at`.
        """
        wrote = writers_after(line)
        readers = (
            select(User.id, User.nickname, User.intro, User.avatar)
            .add_columns(mark_of(line).label("marked_at"), wrote.c.at.label("wrote_at"))
            .add_columns(Member.joined_at)
            .join_from(Member, User, User.id == Member.user_id)
            .join(Room, Room.id == Member.room_id)
            .outerjoin(wrote, wrote.c.sender_id == Member.user_id)
            .where(Member.room_id == line.room_id, Member.read_seq >= line.seq)
            .where(or_(Room.kind == "direct", Member.first_seq <= line.seq))  # to leave a direct room unreads nothing
        )
        return await self._all(readers.where(Member.user_id != line.sender_id) if line.sender_id else readers)

    async def _all(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row]:
        return (await self._connection.execute(query)).all()
