"""What people are told, row by row. What is computed from cursors is in room_notifications.py."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Notification
from ..rows import Row

OF_THE_ROOM = ("mention", "room_invite")
"""Kinds that are read with their room."""
OF_FRIENDS = ("friend_request", "friend_accepted")

_UNREAD_IN = (
    Notification.user_id == bindparam("of_user", type_=Notification.user_id.type),
    Notification.room_id == bindparam("in_room", type_=Notification.room_id.type),
    Notification.read_at.is_(None),
    Notification.kind.in_(OF_THE_ROOM),
    Notification.seq <= bindparam("up_to"),
)
_ANY_UNREAD_IN = select(Notification.id).where(*_UNREAD_IN).limit(1)
_READ_IN = (
    update(Notification)
    .where(*_UNREAD_IN)
    .values(read_at=bindparam("at", type_=Notification.read_at.type))
    .returning(Notification.id)
)

Gone = Mapping[UUID, Collection[UUID]]
"""Those that were unread, by whose they were."""


class Notifications:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store these rows of `notifications`, unread."""
        await self._connection.execute(insert(Notification), [*rows])

    async def has_unread_in(self, user_id: UUID, room_id: UUID, seq: int) -> bool:
        """Is one of this person's unread that reading the room up to `seq` reads?"""
        where = {"of_user": user_id, "in_room": room_id, "up_to": seq}
        return (await self._connection.execute(_ANY_UNREAD_IN, where)).first() is not None

    async def read_in(self, user_id: UUID, room_id: UUID, seq: int, at: datetime) -> frozenset[UUID]:
        """Write that those are read; which they were."""
        where = {"of_user": user_id, "in_room": room_id, "up_to": seq, "at": at}
        return frozenset((await self._connection.scalars(_READ_IN, where)).all())

    async def read_of(self, user_id: UUID, kind: str, actor_id: UUID, at: datetime) -> frozenset[UUID]:
        """Write that those are read which somebody has of a kind and because of an actor; which were not."""
        theirs = (Notification.user_id == user_id, Notification.kind == kind, Notification.actor_id == actor_id)
        read = update(Notification).where(*theirs, Notification.read_at.is_(None)).values(read_at=at)
        return frozenset((await self._connection.scalars(read.returning(Notification.id))).all())

    async def remove_reaction(self, message_id: UUID, actor_id: UUID, emoji: str) -> Gone:
        """Forget that somebody was told of a reaction."""
        of_it = (Notification.message_id == message_id, Notification.actor_id == actor_id)
        return await self._remove(*of_it, Notification.kind == "reaction", Notification.emoji == emoji)

    async def remove_of_message(self, message_id: UUID) -> Gone:
        """Forget what was told of a message."""
        return await self._remove(Notification.message_id == message_id)

    async def remove_between(self, pair: Collection[UUID]) -> Gone:
        """Forget what two people were told of their friendship, and of asking for it."""
        one, other = pair
        between = or_(_from_to(one, other), _from_to(other, one))
        return await self._remove(between, Notification.kind.in_(OF_FRIENDS))

    async def unread_from(self, user_id: UUID, actor_id: UUID) -> frozenset[UUID]:
        """What somebody has not read that an actor was the cause of."""
        unread = select(Notification.id).where(_from_to(actor_id, user_id), Notification.read_at.is_(None))
        return frozenset((await self._connection.scalars(unread)).all())

    async def forget(self, user_id: UUID) -> Gone:
        """Forget all that a person was told who deletes the account, and what others were told of their friendship."""
        caused = and_(Notification.actor_id == user_id, Notification.kind.in_(OF_FRIENDS))
        return await self._remove(or_(Notification.user_id == user_id, caused))

    async def sweep(self, before: datetime, limit: int) -> bool:
        """Forget some that are older. False if there was none."""
        old = select(Notification.id).where(Notification.created_at < before).limit(limit)
        swept = await self._connection.execute(delete(Notification).where(Notification.id.in_(old.scalar_subquery())))
        return swept.rowcount > 0

    async def _remove(self, *where: ColumnElement[bool]) -> Gone:
        removed = delete(Notification).where(*where)
        rows: Sequence[Row] = (
            await self._connection.execute(
                removed.returning(Notification.user_id, Notification.id, Notification.read_at)
            )
        ).all()
        gone: dict[UUID, set[UUID]] = {}
        for row in rows:
            if row.read_at is None:
                gone.setdefault(row.user_id, set()).add(row.id)
        return gone


def _from_to(actor_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    return and_(Notification.actor_id == actor_id, Notification.user_id == user_id)
