"""Friendships and the requests before them: one row per pair, whoever asked. Change them under `people.lock_pair`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Friendship, Node, Online, User, UtcDateTime
from ..rows import Row

_SHOWN = (User.id, User.nickname, User.intro, User.avatar)
_VIEWER = bindparam("viewer_id", type_=Uuid())
_HEARTBEAT = (
    select(func.max(Node.seen_at))
    .join(Online, Online.node_id == Node.id)
    .where(Online.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
)
_ALL_FRIENDS = (
    select(
        *_SHOWN,
        User.nickname_key,
        User.last_seen_at,
        Friendship.accepted_at.label("since"),
        case((Friendship.low_id == _VIEWER, Friendship.low_alias), else_=Friendship.high_alias).label("alias"),
        type_coerce(_HEARTBEAT, UtcDateTime()).label("heartbeat"),
    )
    .join_from(
        Friendship, User, User.id == case((Friendship.low_id == _VIEWER, Friendship.high_id), else_=Friendship.low_id)
    )
    .where(
        or_(Friendship.low_id == _VIEWER, Friendship.high_id == _VIEWER),
        Friendship.accepted_at.is_not(None),
        User.deleted_at.is_(None),
    )
)
_FRIEND = _ALL_FRIENDS.where(User.id == bindparam("friend_id"))
_FRIENDS = _ALL_FRIENDS.order_by(User.nickname_key, User.id).limit(bindparam("most", type_=Integer()))
_AFTER = tuple_(bindparam("after_key", type_=String()), bindparam("after_id", type_=Uuid()))
_MORE_FRIENDS = _FRIENDS.where(tuple_(User.nickname_key, User.id) > _AFTER)


class Friendships:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def between(self, one_id: UUID, other_id: UUID) -> Row | None:
        """The row of this pair, if they have one."""
        return (
            await self._connection.execute(select(Friendship.__table__).where(_pair(one_id, other_id)))
        ).one_or_none()

    async def friends_among(self, user_id: UUID, others: Collection[UUID]) -> set[UUID]:
        """Those of these people who are friends of this person."""
        friends = or_(
            and_(Friendship.low_id == user_id, Friendship.high_id.in_(others)),
            and_(Friendship.high_id == user_id, Friendship.low_id.in_(others)),
        )
        ids = select(_other(user_id)).where(friends, Friendship.accepted_at.is_not(None))
        return set((await self._connection.scalars(ids)).all())

    async def ask(self, asking_id: UUID, asked_id: UUID, at: datetime) -> None:
        """Add a request."""
        low_id, high_id = sorted((asking_id, asked_id))
        row = {"low_id": low_id, "high_id": high_id, "requested_by": asking_id, "created_at": at}
        await self._connection.execute(insert(Friendship).values(**row))

    async def accept(self, one_id: UUID, other_id: UUID, at: datetime) -> None:
        """Make the pair's request a friendship."""
        await self._connection.execute(update(Friendship).where(_pair(one_id, other_id)).values(accepted_at=at))

    async def remove(self, one_id: UUID, other_id: UUID) -> None:
        """End whatever the pair has: request or friendship, and both aliases."""
        await self._connection.execute(delete(Friendship).where(_pair(one_id, other_id)))

    async def set_alias(self, user_id: UUID, friend_id: UUID, alias: str | None) -> bool:
        """Set this person's own name for a friend. False if they are no friends."""
        mine = "low_alias" if user_id < friend_id else "high_alias"
        friends = and_(_pair(user_id, friend_id), Friendship.accepted_at.is_not(None))
        return (await self._connection.execute(update(Friendship).where(friends).values({mine: alias}))).rowcount == 1

    async def friends_of(self, user_id: UUID, after: Key | None, limit: int) -> Sequence[Row]:
        """Friends by nickname, one more than `limit`, each with `since`, `alias`, `last_seen_at` and `heartbeat`.

        `heartbeat`: when the latest node was seen on which they are online. That node is not necessarily alive.
        """
        page = {"viewer_id": user_id, "most": limit + 1}
        if after is None:
            return (await self._connection.execute(_FRIENDS, page)).all()
        nickname_key, friend_id = after
        beyond = {"after_key": nickname_key, "after_id": friend_id}
        return (await self._connection.execute(_MORE_FRIENDS, page | beyond)).all()

    async def friend_of(self, user_id: UUID, friend_id: UUID) -> Row | None:
        """One friend, as `friends_of` has them."""
        of = {"viewer_id": user_id, "friend_id": friend_id}
        return (await self._connection.execute(_FRIEND, of)).one_or_none()

    async def requests_of(self, user_id: UUID, incoming: bool, before: Key | None, limit: int) -> Sequence[Row]:
        """Pending requests, the newest first, one more than `limit`: who asks this person, or whom they asked."""
        by_them = Friendship.requested_by != user_id if incoming else Friendship.requested_by == user_id
        requests = (
            select(*_SHOWN, Friendship.created_at)
            .join_from(Friendship, User, User.id == _other(user_id))
            .where(_of(user_id), Friendship.accepted_at.is_(None), by_them, User.deleted_at.is_(None))
            .order_by(Friendship.created_at.desc(), User.id.desc())
            .limit(limit + 1)
        )
        if before:
            requests = requests.where(tuple_(Friendship.created_at, User.id) < before)
        return (await self._connection.execute(requests)).all()


def _pair(one_id: UUID, other_id: UUID) -> ColumnElement[bool]:
    low_id, high_id = sorted((one_id, other_id))
    return and_(Friendship.low_id == low_id, Friendship.high_id == high_id)


def _of(user_id: UUID) -> ColumnElement[bool]:
    return or_(Friendship.low_id == user_id, Friendship.high_id == user_id)


def _other(user_id: UUID) -> ColumnElement[UUID]:
    return case((Friendship.low_id == user_id, Friendship.high_id), else_=Friendship.low_id)
