"""What an account that is deleted takes with it, and what stays without a name. The person's row is locked."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import (
    Block,
    Delivery,
    EmailToken,
    Friendship,
    Member,
    NameGram,
    NotificationPreferences,
    Online,
    PushSubscription,
    Room,
    Session,
    User,
)

_NO_PLACE = {"client": "", "address": "", "network": ""}
_NO_SETTINGS: dict[str, Any] = {
    "listed_at": None, "muted_until": None, "pinned": False, "alias": None, "alias_key": None, "alias_initials": None,
}  # fmt: skip
_NOBODY: dict[str, Any] = {
    "nickname": None, "nickname_key": "", "nickname_initials": "", "intro": "", "avatar": None,
    "password_hash": None, "last_seen_at": None,
}  # fmt: skip
_NO_ADDRESS = {"email": None, "email_key": None, "email_verified_at": None}


class Departures:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def end_friendships(self, user_id: UUID) -> frozenset[UUID]:
        """End all friendships and requests, with their aliases; who they were with."""
        theirs = or_(Friendship.low_id == user_id, Friendship.high_id == user_id)
        other = case((Friendship.low_id == user_id, Friendship.high_id), else_=Friendship.low_id)
        return frozenset((await self._connection.scalars(delete(Friendship).where(theirs).returning(other))).all())

    async def end_blocks(self, user_id: UUID) -> frozenset[UUID]:
        """End all blocks by this person and against them; who had blocked them."""
        theirs = delete(Block).where(or_(Block.blocker_id == user_id, Block.blocked_id == user_id))
        blockers = (await self._connection.scalars(theirs.returning(Block.blocker_id))).all()
        return frozenset(blockers) - {user_id}

    async def groups_of(self, user_id: UUID, limit: int) -> Sequence[UUID]:
        """The first groups that this person is in, in the order of their ids."""
        groups = select(Room.id).join(Member, Member.room_id == Room.id).where(Member.user_id == user_id)
        first = groups.where(Room.kind == "group").order_by(Room.id).limit(limit)
        return (await self._connection.scalars(first)).all()

    async def lock_rooms(self, user_id: UUID, group_ids: Collection[UUID]) -> None:
        """Lock these groups and all direct rooms of this person, in the order of their ids, as all who lock several."""
        rooms = select(Room.id).where(or_(Room.low_id == user_id, Room.high_id == user_id, Room.id.in_(group_ids)))
        await self._connection.execute(rooms.order_by(Room.id).with_for_update(key_share=True))

    async def leave_direct_rooms(self, user_id: UUID, at: datetime) -> None:
        """Their direct rooms are in their list no more, with nothing that they had set; nobody writes there any more.

        `touched_at` has the devices of the others that were away ask for the room, whose name has changed.
        """
        theirs = or_(Room.low_id == user_id, Room.high_id == user_id)
        await self._connection.execute(update(Room).where(theirs).values(roster=Room.roster + 1))
        direct = Member.room_id.in_(select(Room.id).where(theirs))
        mine = update(Member).where(Member.user_id == user_id, direct)
        await self._connection.execute(mine.values(touched_at=at, **_NO_SETTINGS))

    async def forget(self, user_id: UUID) -> None:
        """Forget how they were found, mailed and notified, and from where they signed in."""
        for table in (NameGram, EmailToken, Online, NotificationPreferences, PushSubscription, Delivery):
            await self._connection.execute(delete(table).where(table.user_id == user_id))
        await self._connection.execute(update(Session).where(Session.user_id == user_id).values(**_NO_PLACE))

    async def make_nameless(self, user_id: UUID, at: datetime) -> None:
        """The row stays, for what they have written: it is nobody's."""
        await self._connection.execute(update(User).where(User.id == user_id).values(deleted_at=at, **_NOBODY))

    async def free_address(self, user_id: UUID) -> None:
        """Their address is anybody's. The last statement of all: on PostgreSQL a unique key is changed under a lock
        for which who refers to the row, a sender say, is waited for, and must not wait for us.
        """
        await self._connection.execute(update(User).where(User.id == user_id).values(**_NO_ADDRESS))
