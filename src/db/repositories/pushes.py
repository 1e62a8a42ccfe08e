"""What a push asks that nobody else does, and the work that waits for something to be read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...clock import now
from ..ids import new_id
from ..models import Delivery, Member, Message, Notification, OutboxItem, Room, User
from ..rows import Row
from ..spans import Span
from ..upsert import insert_if_absent
from ..visible_notifications import FOUND, UNREAD, VISIBLE

_USER, _ROOM = (bindparam(name, type_=Member.user_id.type) for name in ("user_id", "room_id"))
_NEWEST_MENTION = (
    FOUND.where(Notification.user_id == _USER, Notification.room_id == _ROOM, Notification.kind == "mention")
    .where(VISIBLE, UNREAD)
    .order_by(Notification.seq.desc())
    .limit(1)
)
_SPANS = (
    select(*Delivery.__table__.columns)
    .outerjoin(Member, and_(Member.room_id == Delivery.room_id, Member.user_id == Delivery.user_id))
    .where(Delivery.room_id == _ROOM, Delivery.user_id == _USER, Delivery.channel == "push")
    .where(or_(Delivery.status == "pending", Delivery.last_seq > Member.read_seq))
    .order_by(Delivery.first_seq)
)
_CURSOR = (
    select(Member.read_seq, Member.read_ordinal, Member.notified_ordinal, Member.listed_at)
    .join(User, User.id == Member.user_id)
    .where(Member.room_id == _ROOM, Member.user_id == _USER, User.deleted_at.is_(None))
)
_CURSOR_HELD = _CURSOR.with_for_update(read=True, of=Member)
_STANDING_LINE = (
    select(Message.id)
    .join(Member, and_(Member.room_id == Message.room_id, Member.user_id == _USER))
    .where(Message.room_id == _ROOM, Message.seq > Member.read_seq, Message.seq >= Member.first_seq)
    .where(Message.kind != "system", Message.deleted_at.is_(None), Message.sender_id != _USER)
    .limit(1)
)
_HELD = select(OutboxItem.payload).where(OutboxItem.key == bindparam("held_key"))
_AGAIN = (
    update(OutboxItem)
    .where(OutboxItem.key == bindparam("held_key"))
    .values(payload=bindparam("content", type_=OutboxItem.payload.type), due_at=bindparam("until"))
)
_KEYS_AT_ONCE = 1000
_AFTER_ALL = "~"  # what keys are made of


class Pushes:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def newest_mention(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The last of somebody's mentions in a room that they may see and have not read: a row of `FOUND`."""
        of = {"user_id": user_id, "room_id": room_id, "at": now()}
        return (await self._connection.execute(_NEWEST_MENTION, of)).one_or_none()

    async def spans(self, user_id: UUID, room_id: UUID) -> list[Span]:
        """What was decided of pushing the lines that somebody has not read, or that are still to be decided."""
        rows = (await self._connection.execute(_SPANS, {"user_id": user_id, "room_id": room_id})).all()
        return [Span(*row) for row in rows]

    async def cursor(self, user_id: UUID, room_id: UUID) -> Row | None:
        """Up to where a member has read, and has marked read; None for who is none, or has deleted the account."""
        return (await self._connection.execute(_CURSOR, {"user_id": user_id, "room_id": room_id})).one_or_none()

    async def hold_cursor(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The same, and nobody reads on until COMMIT: who does then finds what this transaction has left to do."""
        return (await self._connection.execute(_CURSOR_HELD, {"user_id": user_id, "room_id": room_id})).one_or_none()

    async def hold_notification(self, notification_id: UUID) -> bool:
        """Is a stored one still there and not marked read? It stays as it is until COMMIT."""
        one = select(Notification.read_at).where(Notification.id == notification_id).with_for_update(read=True)
        row = (await self._connection.execute(one)).one_or_none()
        return row is not None and row.read_at is None

    async def has_standing_lines(self, user_id: UUID, room_id: UUID) -> bool:
        """Has a member not read a line that was not deleted, whoever wrote it?"""
        of = {"user_id": user_id, "room_id": room_id}
        return (await self._connection.execute(_STANDING_LINE, of)).first() is not None

    async def held(self, key: str) -> dict[str, Any] | None:
        """What the work of this key is about, while it waits."""
        found: dict[str, Any] | None = await self._connection.scalar(_HELD, {"held_key": key})
        return found

    async def pushed_at(self, keys: Collection[str]) -> Mapping[str, datetime]:
        """When that was pushed which is shown under these keys."""
        shown = select(OutboxItem.key, OutboxItem.payload).where(OutboxItem.key.in_(keys))
        rows = (await self._connection.execute(shown)).all()
        return {row.key: datetime.fromisoformat(row.payload["at"]) for row in rows}

    async def hold(self, kind: str, key: str, payload: Mapping[str, Any], moment: datetime, until: datetime) -> None:
        """Have work wait until then, or until it is released; instead of what waits under the same key."""
        again = await self._connection.execute(_AGAIN, {"held_key": key, "content": payload, "until": until})
        if not again.rowcount:
            row = {"id": new_id(), "kind": kind, "key": key, "payload": payload, "attempts": 0}
            add = insert_if_absent(self._connection.dialect.name, OutboxItem)
            await self._connection.execute(add, [{**row, "created_at": moment, "due_at": until}])

    async def unread_subjects(self, user_ids: Collection[UUID], since: datetime) -> Sequence[tuple[UUID, UUID]]:
        """Of these people: their rooms with something unread, and what they were told since and have not read."""
        rooms = (
            select(Member.user_id, Member.room_id)
            .join(Room, Room.id == Member.room_id)
            .where(Member.user_id.in_(user_ids), Member.listed_at.is_not(None))
            .where(Room.last_ordinal > Member.read_ordinal)
        )
        stored = (
            select(Notification.user_id, Notification.id)
            .where(Notification.user_id.in_(user_ids), Notification.read_at.is_(None))
            .where(Notification.created_at > since)
        )
        found = [row for of in (rooms, stored) for row in (await self._connection.execute(of)).all()]
        return [(user_id, subject_id) for user_id, subject_id in found]

    async def waiting(self, keys: Collection[str]) -> Sequence[str]:
        """Those of these keys under which work waits."""
        found = select(OutboxItem.key).where(OutboxItem.key.in_(keys))
        return [str(key) for key in (await self._connection.scalars(found)).all()]

    async def waiting_under(self, beginning: str) -> Sequence[str]:
        """The keys under which work waits that begin so."""
        found = select(OutboxItem.key).where(OutboxItem.key >= beginning, OutboxItem.key < f"{beginning}{_AFTER_ALL}")
        return [str(key) for key in (await self._connection.scalars(found)).all()]

    async def release(self, keys: Collection[str], moment: datetime) -> bool:
        """Have what waits under these keys for longer, however many, done then. False if nothing does."""
        released, ordered = 0, sorted(keys)
        for first in range(0, len(ordered), _KEYS_AT_ONCE):
            some = OutboxItem.key.in_(ordered[first : first + _KEYS_AT_ONCE])
            later = update(OutboxItem).where(some, OutboxItem.due_at > moment).values(due_at=moment)
            released += (await self._connection.execute(later)).rowcount
        return released > 0

    async def drop(self, keys: Collection[str]) -> None:
        """Forget what waits under these keys."""
        if keys:
            await self._connection.execute(delete(OutboxItem).where(OutboxItem.key.in_(keys)))
