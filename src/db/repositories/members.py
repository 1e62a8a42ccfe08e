"""Who is in a room, and how far each has read."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Member, User
from ..rows import Row

SHOWN = 100
"""How many members a room shows; the others are paged through."""

_PEOPLE = (
    select(
        *(getattr(User, name) for name in ("id", "nickname", "intro", "avatar", "deleted_at")),
        *(getattr(Member, name) for name in ("room_id", "role", "first_seq", "read_seq", "joined_at", "listed_at")),
        func.count().over(partition_by=Member.room_id).label("member_count"),
        func.row_number().over(partition_by=Member.room_id, order_by=(Member.joined_at, Member.user_id)).label("place"),
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
)


class Members:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def everybody(self, room_id: UUID) -> Sequence[Row]:
        """All members of the room, with who they are; the earliest first."""
        return (await self._connection.execute(_PEOPLE.where(Member.room_id == room_id).order_by("place"))).all()

    async def first_of(self, room_ids: Collection[UUID]) -> Sequence[Row]:
        """The first 100 members of each room, with who they are and the room's `member_count`; the earliest first."""
        people = _PEOPLE.where(Member.room_id.in_(room_ids)).subquery()
        first = select(people).where(people.c.place <= SHOWN).order_by(people.c.room_id, people.c.place)
        return (await self._connection.execute(first)).all()

    async def hearing(self, room_id: UUID, seq: int = 0) -> frozenset[UUID]:
        """Who hears of the room: it is in their list. Of the line `seq`: and they may read it."""
        ids = select(Member.user_id).where(Member.room_id == room_id, Member.listed_at.is_not(None))
        if seq:
            ids = ids.where(Member.first_seq <= seq)
        return frozenset((await self._connection.scalars(ids)).all())

    async def set_read(self, room_id: UUID, user_id: UUID, seq: int, ordinal: int) -> bool:
        """Move somebody's cursor; never back. True if it moved."""
        forward = (
            update(Member)
            .where(Member.room_id == room_id, Member.user_id == user_id, Member.read_seq < seq)
            .values(read_seq=seq, read_ordinal=ordinal)
        )
        return (await self._connection.execute(forward)).rowcount == 1
