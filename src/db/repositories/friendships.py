"""Friendships and the requests before them: one row per pair, whoever asked. Change them under `people.lock_pair`."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, delete, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Friendship, User
from ..rows import Row

_SHOWN = (User.id, User.nickname, User.intro, User.avatar)


class Friendships:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def between(self, one_id: UUID, other_id: UUID) -> Row | None:
        """The row of this pair, if they have one."""
        return (
            await self._connection.execute(select(Friendship.__table__).where(_pair(one_id, other_id)))
        ).one_or_none()

    async def with_others(self, user_id: UUID, other_ids: Collection[UUID]) -> Sequence[Row]:
        """The rows of this person with any of the others."""
        theirs = or_(
            and_(Friendship.low_id == user_id, Friendship.high_id.in_(other_ids)),
            and_(Friendship.high_id == user_id, Friendship.low_id.in_(other_ids)),
        )
        return (await self._connection.execute(select(Friendship.__table__).where(theirs))).all()

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
        """Friends by nickname, one more than `limit`, each with `since`, `alias` and `last_seen_at`."""
        friends = _friends(user_id).order_by(User.nickname_key, User.id).limit(limit + 1)
        if after:
            friends = friends.where(tuple_(User.nickname_key, User.id) > after)
        return (await self._connection.execute(friends)).all()

    async def friend_of(self, user_id: UUID, friend_id: UUID) -> Row | None:
        """One friend, as `friends_of` has them."""
        return (await self._connection.execute(_friends(user_id).where(User.id == friend_id))).one_or_none()

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


def _friends(user_id: UUID) -> Select[*tuple[Any, ...]]:
    alias = case((Friendship.low_id == user_id, Friendship.low_alias), else_=Friendship.high_alias)
    return (
        select(
            *_SHOWN, User.nickname_key, User.last_seen_at, Friendship.accepted_at.label("since"), alias.label("alias")
        )
        .join_from(Friendship, User, User.id == _other(user_id))
        .where(_of(user_id), Friendship.accepted_at.is_not(None), User.deleted_at.is_(None))
    )
