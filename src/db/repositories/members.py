"""Who is in a room, and how far each has read."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Member, Room, User
from ..pairs import DIALECTS, Pair, as_pairs, pairs_in
from ..rows import Row
from ..snapshots import DIRECT, any_of

SHOWN = 100
"""How many members a room shows; the others are paged through."""

_PEOPLE = (
    select(
        *(getattr(User, name) for name in ("id", "nickname", "intro", "avatar", "deleted_at")),
        *(getattr(Member, name) for name in ("room_id", "role", "first_seq", "read_seq", "joined_at", "listed_at")),
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .order_by(Member.joined_at, Member.user_id)
)
_OF_ROOMS = any_of(Member.room_id, "room_ids")
_COUNTS = (
    select(Member.room_id, func.count().label("members"))
    .where(_OF_ROOMS)
    .group_by(Member.room_id)
    .execution_options(**DIRECT)
)
_SHOWN = (
    select(
        *(getattr(User, name) for name in ("id", "nickname", "intro", "avatar")),
        *(getattr(Member, name) for name in ("room_id", "role", "read_seq", "joined_at")),
    )
    .select_from(Member)
    .join(User, User.id == Member.user_id)
    .where(_OF_ROOMS)
)
_ALL_OF = _SHOWN.order_by(Member.room_id, Member.joined_at, Member.user_id).execution_options(**DIRECT)


def _named(dialect: str) -> Any:
    pairs = pairs_in(dialect)
    these = and_(Member.user_id == pairs.c.user_id, Member.room_id == pairs.c.room_id)
    names = select(Member.user_id, Member.room_id, Member.alias, Room.name).join(Room, Room.id == Member.room_id)
    return names.join(pairs, these).execution_options(**DIRECT)


_NAMED = {dialect: _named(dialect) for dialect in DIALECTS}
_PLACE = func.row_number().over(partition_by=Member.room_id, order_by=(Member.joined_at, Member.user_id))
_RANKED = _SHOWN.add_columns(_PLACE.label("place")).subquery()
_FIRST_OF = select(_RANKED).where(_RANKED.c.place <= SHOWN).order_by(_RANKED.c.room_id, _RANKED.c.place)


class Members:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def first_of(self, counts: Mapping[UUID, int]) -> Sequence[Row]:
        """The first 100 members of each room, with who they are; the earliest first. `counts`: as `counts` has them.

        To rank members, PostgreSQL and SQLite sort them: only where there are too many.
        """
        small = [room_id for room_id, count in counts.items() if count <= SHOWN]
        large = [room_id for room_id, count in counts.items() if count > SHOWN]
        rows = (await self._connection.execute(_ALL_OF, {"room_ids": small})).all() if small else []
        if large:
            rows = [*rows, *(await self._connection.execute(_FIRST_OF, {"room_ids": large})).all()]
        return rows

    async def counts(self, room_ids: Collection[UUID]) -> dict[UUID, int]:
        """How many are in each of these rooms."""
        rows = await self._connection.execute(_COUNTS, {"room_ids": list(room_ids)})
        return {row.room_id: row.members for row in rows.all()}

    async def names(self, pairs: Collection[Pair]) -> dict[Pair, str | None]:
        """What each of these (person, room) has been named: by the person, or for all. Without who is no member."""
        rows = (await self._connection.execute(_NAMED[self._connection.dialect.name], {"pairs": as_pairs(pairs)})).all()
        return {(row.user_id, row.room_id): row.alias or row.name for row in rows}

    async def some(self, room_id: UUID, user_ids: Collection[UUID]) -> Sequence[Row]:
        """Those of these people who are members, with who they are; the earliest first."""
        some = _PEOPLE.where(Member.room_id == room_id, Member.user_id.in_(user_ids))
        return (await self._connection.execute(some)).all()

    async def page(self, room_id: UUID, after: Key | None, limit: int) -> Sequence[Row]:
        """Members with who they are, the earliest first, one more than `limit`."""
        page = _PEOPLE.where(Member.room_id == room_id).limit(limit + 1)
        if after:
            page = page.where(tuple_(Member.joined_at, Member.user_id) > after)
        return (await self._connection.execute(page)).all()

    async def one(self, room_id: UUID, user_id: UUID) -> Row | None:
        """Somebody's membership, if they are in the room."""
        one = select(Member.__table__).where(_of(room_id, user_id))
        return (await self._connection.execute(one)).one_or_none()

    async def count(self, room_id: UUID) -> int:
        """How many are in the room."""
        everybody = select(func.count()).select_from(Member).where(Member.room_id == room_id)
        return int(await self._connection.scalar(everybody) or 0)

    async def add(self, room_id: UUID, roles: Mapping[UUID, str], **joined: Any) -> None:
        """Add these people to the room. `joined`: what else is in their rows, alike for all."""
        rows = [{"room_id": room_id, "user_id": user_id, "role": role, **joined} for user_id, role in roles.items()]
        await self._connection.execute(insert(Member), rows)

    async def change(self, room_id: UUID, user_id: UUID, **values: Any) -> None:
        """Write these columns of somebody's membership."""
        await self._connection.execute(update(Member).where(_of(room_id, user_id)).values(**values))

    async def remove(self, room_id: UUID, user_id: UUID) -> None:
        """End somebody's membership."""
        await self._connection.execute(delete(Member).where(_of(room_id, user_id)))

    async def next_owner(self, room_id: UUID) -> UUID | None:
        """Who follows the owner: the longest-serving admin, else member."""
        first = case((Member.role == "admin", 0), else_=1)
        following = select(Member.user_id).where(Member.room_id == room_id)
        found: UUID | None = await self._connection.scalar(
            following.order_by(first, Member.joined_at, Member.user_id).limit(1)
        )
        return found

    async def hearing(self, room_id: UUID, seq: int = 0) -> frozenset[UUID]:
        """Who hears of the room: it is in their list. Of the line `seq`: and they may read it."""
        ids = select(Member.user_id).where(Member.room_id == room_id, Member.listed_at.is_not(None))
        if seq:
            ids = ids.where(Member.first_seq <= seq)
        return frozenset((await self._connection.scalars(ids)).all())


def _of(room_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    return and_(Member.room_id == room_id, Member.user_id == user_id)
