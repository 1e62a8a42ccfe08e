"""Rooms and who is in them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Installation, Member, Room, User
from ..rows import Row
from ..upsert import insert_if_absent

_MINE = (
    select(
        *Room.__table__.columns,
        Member.user_id,
        Member.role,
        Member.first_seq,
        Member.read_seq,
        Member.read_ordinal,
        Member.listed_at,
    )
    .select_from(Room)
    .join(Member, Member.room_id == Room.id)
    .where(Room.id == bindparam("room_id"), Member.user_id == bindparam("user_id"))
)
_MINE_LOCKED = _MINE.with_for_update(of=Room)
_MEMBERS = (
    select(
        *(getattr(User, name) for name in ("id", "nickname", "intro", "avatar", "deleted_at")),
        *(getattr(Member, name) for name in ("role", "read_seq", "joined_at", "listed_at")),
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .where(Member.room_id == bindparam("room_id"))
    .order_by(Member.joined_at, Member.user_id)
)
_UNREAD_TOTAL = (
    select(func.coalesce(func.sum(Room.last_ordinal - Member.read_ordinal), 0))
    .select_from(Room)
    .join(Member, Member.room_id == Room.id)
    .where(Member.user_id == bindparam("user_id"), Member.listed_at.is_not(None))
)
_NEXT_LINE = (
    update(Room)
    .where(Room.id == bindparam("the_room"))
    .values(last_seq=Room.last_seq + 1, rev=Room.rev + 1, last_ordinal=Room.last_ordinal + 1)
    .returning(Room.last_seq, Room.rev, Room.last_ordinal)
)


class Rooms:
    """A room is found through the membership of whoever asks, so that asking for another's finds nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def joined_by(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The room and this person's membership in it, or None if they are not in it."""
        return (await self._connection.execute(_MINE, {"room_id": room_id, "user_id": user_id})).one_or_none()

    async def joined_by_and_locked(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The same, with the room's row locked until COMMIT: nobody else adds a line or changes the room."""
        return (await self._connection.execute(_MINE_LOCKED, {"room_id": room_id, "user_id": user_id})).one_or_none()

    async def members(self, room_id: UUID) -> Sequence[Row]:
        """Everybody in the room, with who they are."""
        return (await self._connection.execute(_MEMBERS, {"room_id": room_id})).all()

    async def direct_room_of(self, low_id: UUID, high_id: UUID) -> UUID:
        """The room of this pair, who have one."""
        room = select(Room.id).where(Room.low_id == low_id, Room.high_id == high_id)
        return (await self._connection.execute(room)).scalar_one()

    async def add_direct(self, room_id: UUID, low_id: UUID, high_id: UUID, at: datetime) -> bool:
        """Add the room of this pair with both as members, listed for neither. False if they have one already."""
        room = {"id": room_id, "kind": "direct", "low_id": low_id, "high_id": high_id, "created_at": at}
        add = insert_if_absent(self._connection.dialect.name, Room).returning(Room.id)
        added = await self._connection.execute(add.values(**room, last_seq=0, rev=0, last_ordinal=0))
        if added.one_or_none() is None:
            return False
        member = {
            "room_id": room_id,
            "role": "member",
            "first_seq": 1,
            "read_seq": 0,
            "read_ordinal": 0,
            "joined_at": at,
        }
        await self._connection.execute(insert(Member), [{**member, "user_id": user} for user in (low_id, high_id)])
        return True

    async def list_for(self, room_id: UUID, user_ids: Sequence[UUID], at: datetime) -> None:
        """Put the room into these members' lists."""
        await self._connection.execute(
            update(Member)
            .where(Member.room_id == room_id, Member.user_id.in_(user_ids), Member.listed_at.is_(None))
            .values(listed_at=at)
        )

    async def next_line(self, room_id: UUID) -> Row:
        """Count the room up by one line that can be unread; its `last_seq`, `rev` and `last_ordinal` are the line's."""
        return (await self._connection.execute(_NEXT_LINE, {"the_room": room_id})).one()

    async def set_read(self, room_id: UUID, user_id: UUID, seq: int, ordinal: int) -> None:
        """Move somebody's cursor; never back."""
        await self._connection.execute(
            update(Member)
            .where(Member.room_id == room_id, Member.user_id == user_id, Member.read_seq < seq)
            .values(read_seq=seq, read_ordinal=ordinal)
        )

    async def unread_total(self, user_id: UUID) -> int:
        """How many messages this person has not read, over all rooms in their list."""
        return int(await self._connection.scalar(_UNREAD_TOTAL, {"user_id": user_id}) or 0)

    async def epoch(self) -> UUID:
        """The identity of this database's history; a restore from a backup gives a new one."""
        return (await self._connection.execute(select(Installation.epoch))).scalar_one()
