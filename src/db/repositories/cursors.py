"""What moved since somebody looked: lines by `rev`, cursors, counts of unread, the rooms' heads."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from ..models import Block, Member, Message, ReadMark, Room
from ..room_list import JOINED, UNREAD_TOTAL
from ..rows import Row

_ME, _THEM = aliased(Member), aliased(Member)
_BETWEEN_US = select(Block).where(
    or_(
        and_(Block.blocker_id == _ME.user_id, Block.blocked_id == _THEM.user_id),
        and_(Block.blocker_id == _THEM.user_id, Block.blocked_id == _ME.user_id),
    )
)
_SEEN_TYPING_BY = (
    select(_THEM.user_id, Room.kind)
    .select_from(_ME)
    .join(Room, Room.id == _ME.room_id)
    .join(_THEM, _THEM.room_id == _ME.room_id)
    .where(_ME.room_id == bindparam("room_id"), _ME.user_id == bindparam("user_id"))
    .where(
        or_(
            _THEM.user_id == _ME.user_id,
            and_(
                _ME.listed_at.is_not(None),
                _THEM.listed_at.is_not(None),
                or_(Room.kind == "group", ~_BETWEEN_US.exists()),
            ),
        )
    )
)
_HEADS = (
    select(Room.id, Room.rev, Room.changed_at, Member.first_rev)
    .join(Member, Member.room_id == Room.id)
    .where(Member.user_id == bindparam("user_id"), Member.listed_at.is_not(None))
    .order_by(Room.active_at.desc(), Room.id.desc())
)
_TOUCHED = (
    select(_THEM.room_id)
    .distinct()
    .select_from(_ME)
    .join(_THEM, _THEM.room_id == _ME.room_id)
    .where(_ME.user_id == bindparam("user_id"), _ME.listed_at.is_not(None))
)
_LINES = (
    select(*Message.__table__.columns)
    .join(Room, Room.id == Message.room_id)
    .join(Member, and_(Member.room_id == Room.id, Member.user_id == bindparam("user_id")))
    .where(Message.seq >= Member.first_seq)
    .order_by(Message.room_id, Message.rev)
)
_UNREAD = Room.last_ordinal - Member.read_ordinal
_STATE = (
    select(Member.read_seq, _UNREAD.label("unread_count"), UNREAD_TOTAL.scalar_subquery().label("unread_total"))
    .join(Room, Room.id == Member.room_id)
    .where(Member.room_id == bindparam("room_id"), Member.user_id == bindparam("user_id"))
)


class Unread(NamedTuple):
    """How much is unread for somebody, in one room and over all in their list."""

    in_room: int
    total: int


class Cursors:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def move(self, room_id: UUID, user_id: UUID, seq: int, at: datetime) -> bool:
        """Set somebody's cursor to the line `seq`, which there is, and write down when.

        False if it was there already, or beyond, or if the line is from before what they may read. The member's row is
        locked before the mark refers to the room: senders lock the room and then the member.
        """
        ordinal = select(Message.ordinal).where(Message.room_id == room_id, Message.seq == seq).scalar_subquery()
        forward = (
            update(Member)
            .where(Member.room_id == room_id, Member.user_id == user_id)
            .where(Member.read_seq < seq, Member.first_seq <= seq)
            .values(read_seq=seq, read_ordinal=ordinal, touched_at=at)
        )
        moved = (await self._connection.execute(forward)).rowcount == 1
        if moved:
            mark = {"room_id": room_id, "user_id": user_id, "seq": seq, "at": at}
            await self._connection.execute(insert(ReadMark), mark)
        return moved

    async def state_of(self, user_id: UUID, room_id: UUID) -> Row | None:
        """A member's `read_seq`, `unread_count` and, over all rooms in their list, `unread_total`: of one moment."""
        return (await self._connection.execute(_STATE, {"room_id": room_id, "user_id": user_id})).one_or_none()

    async def unread_of(self, pairs: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Unread]:
        """For each (person, room): how much is unread. A room that is not in their list has nothing unread."""
        people = {user_id for user_id, _ in pairs}
        listed = select(Member.user_id).join(Room, Room.id == Member.room_id).where(Member.listed_at.is_not(None))
        totals = listed.add_columns(func.sum(_UNREAD)).where(Member.user_id.in_(people)).group_by(Member.user_id)
        total = {user_id: int(count) for user_id, count in await self._connection.execute(totals)}
        # Not (user_id, room_id) IN (…): SQLite reads the whole table for that. Not simply the column: for rooms and
        # people it would try each with each, where these people's rows are few.
        in_rooms = func.coalesce(Member.room_id, Member.user_id).in_({room_id for _, room_id in pairs})
        counts = listed.add_columns(Member.room_id, _UNREAD).where(Member.user_id.in_(people), in_rooms)
        count = {(user_id, room_id): n for user_id, room_id, n in await self._connection.execute(counts)}
        return {pair: Unread(count.get(pair, 0), total.get(pair[0], 0)) for pair in pairs}

    async def heads(self, user_id: UUID) -> Sequence[Row]:
        """The rooms in somebody's list, the latest active first: `id`, `rev`, `changed_at`, `first_rev`."""
        return (await self._connection.execute(_HEADS, {"user_id": user_id})).all()

    async def touched_rooms_of(self, user_id: UUID, since: datetime) -> frozenset[UUID]:
        """The rooms in somebody's list where what has no `rev` changed since: anybody's cursor, or settings."""
        touched = _TOUCHED.where(_THEM.touched_at >= since)
        return frozenset((await self._connection.scalars(touched, {"user_id": user_id})).all())

    async def rooms(self, user_id: UUID, room_ids: Collection[UUID]) -> Sequence[Row]:
        """These rooms with somebody's membership in them, as `rooms.joined_by` has them; in any order."""
        mine = JOINED.where(Member.user_id == user_id, Room.id.in_(room_ids))
        return (await self._connection.execute(mine)).all()

    async def lines_since(self, user_id: UUID, since: Mapping[UUID, int]) -> Sequence[Row]:
        """All lines above `since[room_id]` of rooms of somebody's, as far as they may read them, by room and `rev`."""
        above = [and_(Message.room_id == room_id, Message.rev > rev) for room_id, rev in since.items()]
        return (await self._connection.execute(_LINES.where(or_(*above)), {"user_id": user_id})).all()

    async def first_lines_since(self, user_id: UUID, room_id: UUID, rev: int, limit: int) -> Sequence[Row]:
        """The first lines of one room above `rev`, by `rev`."""
        lines = _LINES.where(Message.room_id == room_id, Message.rev > rev).limit(limit)
        return (await self._connection.execute(lines, {"user_id": user_id})).all()

    async def latest_lines(self, user_id: UUID, room_ids: Collection[UUID], limit: int) -> Sequence[Row]:
        """The last `limit` lines of each room that somebody is in, as far as they may read them, by room and `rev`."""
        latest = _LINES.where(Room.id.in_(room_ids), Message.seq > Room.last_seq - limit)
        return (await self._connection.execute(latest, {"user_id": user_id})).all()

    async def changed_rooms_of(self, user_ids: Collection[UUID], since: datetime) -> Sequence[Row]:
        """The rooms in these people's lists whose `rev` moved since: `room_id`, `rev` and `user_id`, by room."""
        recent = (
            select(Room.id.label("room_id"), Room.rev, Member.user_id)
            .join(Member, Member.room_id == Room.id)
            .where(Member.user_id.in_(user_ids), Member.listed_at.is_not(None), Room.changed_at >= since)
            .order_by(Room.id)
        )
        return (await self._connection.execute(recent)).all()

    async def seen_typing_by(self, room_id: UUID, user_id: UUID) -> Sequence[Row]:
        """Who sees this member type, and the member: `user_id`, and the room's `kind`. Empty for who is not in it.

        Who has the room in their list, if the member has; in a direct room nobody across a block.
        """
        return (await self._connection.execute(_SEEN_TYPING_BY, {"room_id": room_id, "user_id": user_id})).all()
