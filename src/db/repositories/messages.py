"""The lines of rooms."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Message, User
from ..rows import Row

_SENDER = (
    User.nickname.label("sender_nickname"),
    User.intro.label("sender_intro"),
    User.avatar.label("sender_avatar"),
    User.deleted_at.label("sender_deleted_at"),
)
_WITH_SENDER = (
    select(*Message.__table__.columns, *_SENDER).select_from(Message).outerjoin(User, User.id == Message.sender_id)
)
_BY_CLIENT_ID = _WITH_SENDER.where(
    Message.room_id == bindparam("room_id"),
    Message.sender_id == bindparam("sender_id"),
    Message.client_id == bindparam("client_id"),
)
_AT = _WITH_SENDER.where(Message.room_id == bindparam("room_id"), Message.seq == bindparam("seq"))


class Messages:
    """A line is a row of `messages` with its sender's name, introduction and picture beside it."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, **row: Any) -> None:
        """Store a line. Its `seq`, `rev` and `ordinal` come from `rooms.next_line` in the same transaction."""
        await self._connection.execute(insert(Message), row)

    async def by_client_id(self, room_id: UUID, sender_id: UUID, client_id: UUID) -> Row | None:
        """What this sender stored in this room under this `client_id`, ever."""
        key = {"room_id": room_id, "sender_id": sender_id, "client_id": client_id}
        return (await self._connection.execute(_BY_CLIENT_ID, key)).one_or_none()

    async def at(self, room_id: UUID, seq: int) -> Row:
        """The line with this number, from 1 to the room's `last_seq`."""
        return (await self._connection.execute(_AT, {"room_id": room_id, "seq": seq})).one()

    async def before(self, room_id: UUID, seq: int, first_seq: int, limit: int) -> list[Row]:
        """At most `limit` lines below `seq`, down to `first_seq`, ascending: the nearest."""
        query = self._in(room_id).where(Message.seq < seq, Message.seq >= first_seq).order_by(Message.seq.desc())
        return [*reversed(await self._all(query.limit(limit)))]

    async def after(self, room_id: UUID, seq: int, first_seq: int, limit: int) -> list[Row]:
        """At most `limit` lines above `seq`, from `first_seq`, ascending: the nearest."""
        query = self._in(room_id).where(Message.seq > seq, Message.seq >= first_seq).order_by(Message.seq)
        return [*await self._all(query.limit(limit))]

    def _in(self, room_id: UUID) -> Select[*tuple[Any, ...]]:
        return _WITH_SENDER.where(Message.room_id == room_id)

    async def _all(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row]:
        return (await self._connection.execute(query)).all()
