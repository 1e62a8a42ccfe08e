"""What the ladder asks: which rooms have lines to tell of, which members have not read them, and how those are told."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import (
    Member,
    Message,
    OutboxItem,
    PushSubscription,
    Room,
    Session,
    User,
    UtcDateTime,
)
from ..rows import Row
from ..snapshots import DIRECT, any_of

Place = tuple[UUID, UUID]
"""A room and a member of it: where in the list of all of them a portion ends."""
_START: Place = (UUID(int=0), UUID(int=0))

_MOMENT = bindparam("moment", type_=UtcDateTime())
_ROOMS = any_of(Room.id, "room_ids")
_ANY_DUE = select(Room.id).where(Room.tell_at <= _MOMENT).limit(1)
_DUE = (
    select(Room.id)
    .where(Room.tell_at <= _MOMENT)
    .order_by(Room.tell_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, key_share=True)
    .cte("due")
)
_CLAIM = (
    update(Room)
    .where(Room.id.in_(select(_DUE.c.id)))
    .values(tell_at=bindparam("until", type_=UtcDateTime()))
    .returning(Room.id)
)
_LINES = (
    select(Room.id.label("room_id"), Room.told_seq)
    .add_columns(Message.seq, Message.kind, Message.sender_id, Message.mentions, Message.created_at, Message.deleted_at)
    .join(Message, Message.room_id == Room.id)
    .where(_ROOMS, Message.seq > Room.told_seq, Message.seq <= Room.told_seq + bindparam("limit"))
    .where(Message.created_at <= _MOMENT)
    .order_by(Room.id, Message.seq)
    .execution_options(**DIRECT)
)
# Not simply the column: for this SQLite would read all members of all rooms that there are.
_AFTER_ROOM, _AFTER_USER = bindparam("after_room", type_=Uuid()), bindparam("after_user", type_=Uuid())
_MEMBERS = (
    select(Member.room_id, Member.user_id, Member.first_seq, Member.read_seq, Member.muted_until)
    .add_columns(User.email, User.email_verified_at, User.email_bounced_at)
    .join(User, User.id == Member.user_id)
    .join(Room, Room.id == Member.room_id)
    .where(any_of(Member.room_id, "room_ids"), Member.listed_at.is_not(None), User.deleted_at.is_(None))
    .where(Member.read_seq < Room.last_seq)
    .where(or_(func.coalesce(Member.room_id, Member.user_id) != _AFTER_ROOM, Member.user_id > _AFTER_USER))
    .order_by(Member.room_id, Member.user_id)
    .limit(bindparam("limit"))
    .execution_options(**DIRECT)
)
_SUBSCRIBED = (
    select(PushSubscription.user_id)
    .distinct()
    .join(Session, Session.id == PushSubscription.session_id)
    .where(any_of(PushSubscription.user_id, "user_ids"), Session.revoked_at.is_(None), Session.expires_at > _MOMENT)
)
_LOCK = select(Room.id).where(_ROOMS).order_by(Room.id)
_NEWER = (
    select(Room.id, func.min(Message.created_at).label("at"))
    .outerjoin(Message, (Message.room_id == Room.id) & (Message.seq == Room.told_seq + 1))
    .where(_ROOMS)
    .group_by(Room.id)
)
_TOLD = (
    update(Room)
    .where(Room.id == bindparam("the_room", type_=Room.id.type), Room.told_seq < bindparam("up_to"))
    .values(told_seq=bindparam("up_to"))
)
_NEXT = (
    update(Room)
    .where(Room.id == bindparam("the_room", type_=Room.id.type))
    .values(tell_at=bindparam("then", type_=UtcDateTime()))
)


class Ladder:
    """The row of a room says when to look (`tell_at`) and which lines were told of (`told_seq`)."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def has_due(self, moment: datetime) -> bool:
        """Is it time to look at any room? One statement."""
        return (await self._connection.execute(_ANY_DUE, {"moment": moment})).first() is not None

    async def claim(self, moment: datetime, until: datetime, limit: int) -> Sequence[UUID]:
        """Rooms at which it is time to look, for this worker alone until then; if it dies, for another one after.

        Rooms that somebody holds are passed over. One statement, so that nobody waits for it long.
        """
        due = {"moment": moment, "until": until, "limit": limit}
        return (await self._connection.scalars(_CLAIM, due)).all()

    async def lines(self, room_ids: Collection[UUID], moment: datetime, limit: int) -> Sequence[Row]:
        """The first `limit` lines of each room that nobody was told of, no younger than `moment`; by room, ascending.

        With `told_seq` of the room.
        """
        of = {"room_ids": room_ids, "moment": moment, "limit": limit}
        return (await self._connection.execute(_LINES, of)).all()

    async def members(self, room_ids: Collection[UUID], after: Place | None, limit: int) -> Sequence[Row]:
        """Some who have these rooms in their list and have not read all, by room and person, with where mail goes."""
        room_id, user_id = after or _START
        to_come = [each for each in room_ids if each >= room_id]
        of = {"room_ids": to_come, "after_room": room_id, "after_user": user_id, "limit": limit}
        return (await self._connection.execute(_MEMBERS, of)).all()

    async def subscribed(self, user_ids: Collection[UUID], moment: datetime) -> frozenset[UUID]:
        """Those of them who have a browser that takes pushes, in a session that has not ended."""
        of = {"user_ids": user_ids, "moment": moment}
        return frozenset((await self._connection.scalars(_SUBSCRIBED, of)).all())

    async def waiting(self, keys: Collection[str]) -> Mapping[str, datetime]:
        """Of which of these keys work waits in the outbox that nobody has begun, and until when."""
        waiting = select(OutboxItem.key, OutboxItem.due_at).where(OutboxItem.key.in_(keys))
        return {row.key: row.due_at for row in (await self._connection.execute(waiting)).all() if row.key}

    async def lock(self, room_ids: Collection[UUID], *, skip_locked: bool) -> Sequence[UUID]:
        """Lock these rooms, in the order of their ids, or those of them that nobody holds: which they are."""
        locked = _LOCK.with_for_update(skip_locked=skip_locked, key_share=True)
        return (await self._connection.scalars(locked, {"room_ids": room_ids})).all()

    async def finish(self, told: Mapping[UUID, int], after: timedelta, not_before: datetime) -> None:
        """These rooms, locked by an earlier statement, were told up to these lines.

        Look again `after` the next line, and `not_before` then; where there is none, whoever sends one says when.
        """
        if not told:
            return
        rooms = [{"the_room": room_id, "up_to": seq} for room_id, seq in told.items()]
        await self._connection.execute(_TOLD, rooms)
        newer = (await self._connection.execute(_NEWER, {"room_ids": [*told]})).all()
        await self._connection.execute(
            _NEXT, [{"the_room": row.id, "then": max(row.at + after, not_before) if row.at else None} for row in newer]
        )
