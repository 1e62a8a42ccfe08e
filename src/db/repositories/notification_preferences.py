"""How people want to be told. Who has no row has the defaults."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, or_, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...schemas.notifications import KINDS
from ..models import Member, Message, Notification, ReadMark, Room
from ..models import NotificationPreferences as Table
from ..rows import Row
from ..snapshots import DIRECT, any_of
from ..upsert import insert_if_absent, insert_or_set

_COLUMNS = tuple(Table.__table__.columns)
_OF = select(*_COLUMNS).where(any_of(Table.user_id, "user_ids")).execution_options(**DIRECT)
_LOCKED = select(*_COLUMNS).where(Table.user_id == bindparam("of_user", type_=Table.user_id.type)).with_for_update()
_SINCE = Table.mailed_at
_THERE = (ReadMark.room_id == Member.room_id, ReadMark.user_id == Member.user_id, ReadMark.seq == Member.read_seq)
_WROTE = (Message.room_id == Member.room_id, Message.seq == Member.read_seq, Message.sender_id == Member.user_id)
_READ_A_ROOM = (
    select(Table.user_id)
    .join(Member, Member.user_id == Table.user_id)
    .join(Room, Room.id == Member.room_id)
    .where(any_of(Table.user_id, "user_ids"), or_(Member.touched_at > _SINCE, Room.active_at > _SINCE))
    .where(
        or_(
            select(ReadMark.at).where(*_THERE, ReadMark.at > _SINCE).exists(),
            select(Message.id).where(*_WROTE, Message.created_at > _SINCE).exists(),
        )
    )
)
_READ_A_NOTIFICATION = (
    select(Table.user_id)
    .join(Notification, and_(Notification.user_id == Table.user_id, Notification.read_at > _SINCE))
    .where(any_of(Table.user_id, "user_ids"))
)
_READ_SINCE = union(_READ_A_ROOM, _READ_A_NOTIFICATION)


class NotificationPreferences:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, user_ids: Collection[UUID]) -> dict[UUID, Row]:
        """The rows of these people, by their ids; without who has chosen nothing."""
        rows = (await self._connection.execute(_OF, {"user_ids": [*user_ids]})).all()
        return {row.user_id: row for row in rows}

    async def locked(self, user_id: UUID) -> Row:
        """Somebody's row, made if need be; nobody else changes it until COMMIT."""
        await self._add_absent([user_id])
        return (await self._connection.execute(_LOCKED, {"of_user": user_id})).one()

    async def change(self, user_id: UUID, values: Mapping[str, Any]) -> None:
        """Write these columns of a row that is `locked`."""
        await self._connection.execute(update(Table).where(Table.user_id == user_id).values(**values))

    async def turn_off_email(self, user_id: UUID, at: datetime) -> None:
        """No mail tells this person of anything any more, nor, if they turn it on again, of what was before `at`."""
        row = await self.locked(user_id)
        kinds = {kind: {**row.kinds.get(kind, {}), "email": False} for kind in KINDS}
        await self.change(user_id, {"kinds": kinds, "mailed_at": at})

    async def read_since_mailed(self, user_ids: Collection[UUID]) -> frozenset[UUID]:
        """Who of these people has read anything since the last digest went out to them.

        A cursor stands at a mark that they set then, or at a line that they wrote then.
        """
        return frozenset((await self._connection.scalars(_READ_SINCE, {"user_ids": [*user_ids]})).all())

    async def set_mailed(self, user_ids: Collection[UUID], at: datetime) -> None:
        """Write that a digest went out to these people."""
        rows = [{**row, "mailed_at": at} for row in _untouched(user_ids)]
        if rows:
            await self._connection.execute(insert_or_set(self._connection.dialect.name, Table, "mailed_at"), rows)

    async def _add_absent(self, user_ids: Collection[UUID]) -> None:
        await self._connection.execute(insert_if_absent(self._connection.dialect.name, Table), _untouched(user_ids))


def _untouched(user_ids: Collection[UUID]) -> list[dict[str, Any]]:
    """Rows of who has chosen nothing, in the order of their ids: two who write several never wait for each other."""
    return [{"user_id": user_id, "kinds": {}, "hide_content": False} for user_id in sorted(user_ids)]
