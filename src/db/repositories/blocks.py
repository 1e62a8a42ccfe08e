"""Who has blocked whom. Change them under `people.lock_pair`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Block, User
from ..rows import Row
from ..snapshots import any_of
from ..upsert import insert_if_absent

_ONE, _OTHER = bindparam("one_id", type_=Block.blocker_id.type), bindparam("other_id", type_=Block.blocker_id.type)
_BETWEEN = select(Block.created_at).where(
    or_(
        and_(Block.blocker_id == _ONE, Block.blocked_id == _OTHER),
        and_(Block.blocker_id == _OTHER, Block.blocked_id == _ONE),
    )
)

_HAS = select(Block.blocked_id).where(
    Block.blocker_id == bindparam("blocker_id"), Block.blocked_id == bindparam("blocked_id")
)

_AMONG = select(Block.blocker_id, Block.blocked_id).where(
    any_of(Block.blocker_id, "user_ids"), any_of(Block.blocked_id, "user_ids")
)


class Blocks:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def between(self, one_id: UUID, other_id: UUID) -> bool:
        """Has either of them blocked the other?"""
        ids = {"one_id": one_id, "other_id": other_id}
        return (await self._connection.execute(_BETWEEN, ids)).first() is not None

    async def among(self, user_ids: Collection[UUID]) -> frozenset[tuple[UUID, UUID]]:
        """Which two of these people have a block between them: both ways round, whoever made it."""
        rows = (await self._connection.execute(_AMONG, {"user_ids": user_ids})).all()
        return frozenset(pair for one, other in rows for pair in ((one, other), (other, one)))

    async def has(self, blocker_id: UUID, blocked_id: UUID) -> bool:
        """Has the one blocked the other?"""
        of = {"blocker_id": blocker_id, "blocked_id": blocked_id}
        return (await self._connection.execute(_HAS, of)).first() is not None

    async def add(self, blocker_id: UUID, blocked_id: UUID, at: datetime) -> bool:
        """Add a block. False if there is one already."""
        row = {"blocker_id": blocker_id, "blocked_id": blocked_id, "created_at": at}
        add = insert_if_absent(self._connection.dialect.name, Block).returning(Block.blocked_id)
        return (await self._connection.execute(add.values(**row))).one_or_none() is not None

    async def remove(self, blocker_id: UUID, blocked_id: UUID) -> bool:
        """Take a block away. False if there is none."""
        gone = await self._connection.execute(delete(Block).where(_by(blocker_id), Block.blocked_id == blocked_id))
        return gone.rowcount == 1

    async def list_of(self, blocker_id: UUID, before: Key | None, limit: int) -> Sequence[Row]:
        """Whom this person has blocked, the newest first, one more than `limit`."""
        blocks = (
            select(User.id, User.nickname, User.intro, User.avatar, Block.created_at)
            .join_from(Block, User, User.id == Block.blocked_id)
            .where(_by(blocker_id))
            .order_by(Block.created_at.desc(), User.id.desc())
            .limit(limit + 1)
        )
        if before:
            blocks = blocks.where(tuple_(Block.created_at, User.id) < before)
        return (await self._connection.execute(blocks)).all()


def _by(blocker_id: UUID) -> ColumnElement[bool]:
    return Block.blocker_id == blocker_id
