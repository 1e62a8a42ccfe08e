"""Who has a socket on which node, and which nodes are alive.

In one transaction a node's row is locked before people's rows are: two nodes never wait for each other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Uuid, and_, bindparam, delete, func, insert, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from ..models import Block, Friendship, Member, Node, Online, Room, User
from ..rows import Row
from ..upsert import insert_if_absent

ALIVE_FOR = timedelta(seconds=20)
"""For how long a node counts as alive after it was last seen."""


_ALL = bindparam("user_ids", type_=Uuid(), expanding=True)
_mine, _theirs = aliased(Member), aliased(Member)
_FRIENDS = [
    select(one.label("user_id"), other.label("hearer_id")).where(one.in_(_ALL), Friendship.accepted_at.is_not(None))
    for one, other in ((Friendship.low_id, Friendship.high_id), (Friendship.high_id, Friendship.low_id))
]
_PARTNERS = (
    select(_mine.user_id.label("user_id"), _theirs.user_id.label("hearer_id"))
    .join(Room, Room.id == _mine.room_id)
    .join(_theirs, and_(_theirs.room_id == _mine.room_id, _theirs.user_id != _mine.user_id))
    .where(_mine.user_id.in_(_ALL), Room.kind == "direct")
    .where(_mine.listed_at.is_not(None), _theirs.listed_at.is_not(None))
)
_PAIRS = union(*_FRIENDS, _PARTNERS).subquery()
_BLOCKED = select(Block).where(
    or_(
        and_(Block.blocker_id == _PAIRS.c.user_id, Block.blocked_id == _PAIRS.c.hearer_id),
        and_(Block.blocker_id == _PAIRS.c.hearer_id, Block.blocked_id == _PAIRS.c.user_id),
    )
)
_HEARERS = select(_PAIRS).where(~_BLOCKED.exists())


class Presence:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def beat(self, node_id: UUID, at: datetime) -> bool:
        """Say that this node is alive. False if it is not known: new, or taken for dead."""
        seen = update(Node).where(Node.id == node_id).values(seen_at=at)
        return (await self._connection.execute(seen)).rowcount == 1

    async def add_node(self, node_id: UUID, at: datetime) -> None:
        await self._connection.execute(insert(Node).values(id=node_id, seen_at=at))

    async def remove_node(self, node_id: UUID) -> None:
        """Forget a node, and who is online there."""
        await self._connection.execute(delete(Node).where(Node.id == node_id))

    async def lock_dead_node(self, seen_before: datetime, except_id: UUID) -> Row | None:
        """A node not seen since, which nobody else sweeps at the moment."""
        dead = select(Node.id, Node.seen_at).where(Node.seen_at < seen_before, Node.id != except_id).limit(1)
        return (await self._connection.execute(dead.with_for_update(skip_locked=True))).one_or_none()

    async def people_on(self, node_id: UUID, limit: int) -> frozenset[UUID]:
        """Some of those who are online on a node."""
        people = select(Online.user_id).where(Online.node_id == node_id).limit(limit)
        return frozenset((await self._connection.scalars(people)).all())

    async def add(self, node_id: UUID, user_ids: Iterable[UUID]) -> None:
        """These people are online on this node; they may have been before."""
        rows = [{"user_id": user_id, "node_id": node_id} for user_id in user_ids]
        if rows:
            await self._connection.execute(insert_if_absent(self._connection.dialect.name, Online), rows)

    async def remove(self, node_id: UUID, user_ids: Collection[UUID]) -> None:
        """These people are no longer online on this node."""
        await self._connection.execute(delete(Online).where(Online.node_id == node_id, Online.user_id.in_(user_ids)))

    async def heartbeats(self, user_ids: Collection[UUID], except_on: UUID | None = None) -> dict[UUID, datetime]:
        """Of those who are online on any node: when the latest of those nodes was seen. Not necessarily alive."""
        latest = (
            select(Online.user_id, func.max(Node.seen_at).label("seen_at"))
            .join(Node, Node.id == Online.node_id)
            .where(
                Online.user_id.in_(user_ids), Online.node_id != except_on if except_on else Online.user_id.is_not(None)
            )
            .group_by(Online.user_id)
        )
        return {row.user_id: row.seen_at for row in await self._connection.execute(latest)}

    async def set_last_seen(self, user_ids: Collection[UUID], at: datetime) -> frozenset[UUID]:
        """Write when these people were last seen; those of them who were not seen since."""
        moved = (
            update(User)
            .where(User.id.in_(user_ids), or_(User.last_seen_at.is_(None), User.last_seen_at <= at))
            .values(last_seen_at=at)
            .returning(User.id)
        )
        return frozenset((await self._connection.scalars(moved)).all())

    async def hearers_of(self, user_ids: Collection[UUID]) -> dict[UUID, frozenset[UUID]]:
        """Who hears of the presence of each of these people.

        Friends, and partners in a direct room that both have in their list; nobody across a block.
        """
        hearers: defaultdict[UUID, set[UUID]] = defaultdict(set)
        for row in await self._connection.execute(_HEARERS, {"user_ids": list(user_ids)}):
            hearers[row.user_id].add(row.hearer_id)
        return {user_id: frozenset(those) for user_id, those in hearers.items()}
