"""What pushes ask about rooms that nobody else does: for some (person, room) at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Select, Uuid, and_, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from ...clock import now
from ..models import Delivery, Member, Message, Notification, Room
from ..pairs import DIALECTS, Pair, as_pairs, pairs_in
from ..rows import Row
from ..snapshots import DIRECT
from ..spans import Span
from ..visible_notifications import JOINED, UNREAD, VISIBLE

_PLACES = {
    "sqlite": "SELECT value ->> 0 AS user_id, value ->> 1 AS room_id, value ->> 2 AS seq FROM json_each(:places)",
    "postgresql": "SELECT CAST(value ->> 0 AS uuid) AS user_id, CAST(value ->> 1 AS uuid) AS room_id,"
    " CAST(value ->> 2 AS bigint) AS seq FROM json_array_elements(CAST(:places AS json))",
}
_NO_LINE = 2**62
_STANDING_LINE = (
    select(Message.id)
    .join(Member, and_(Member.room_id == Message.room_id, Member.user_id == bindparam("user_id", type_=Uuid())))
    .where(Message.room_id == bindparam("room_id", type_=Uuid()))
    .where(Message.seq > Member.read_seq, Message.seq >= Member.first_seq)
    .where(Message.kind != "system", Message.deleted_at.is_(None), Message.sender_id != Member.user_id)
    .limit(1)
)


def _memberships(dialect: str) -> Select[*tuple[Any, ...]]:
    pairs = pairs_in(dialect)
    columns = select(
        *(getattr(Member, name) for name in ("user_id", "room_id", "alias", "listed_at", "first_seq", "read_seq")),
        *(getattr(Member, name) for name in ("read_ordinal", "notified_ordinal")),
        *(getattr(Room, name) for name in ("kind", "name", "last_ordinal")),
    )
    these = and_(Member.room_id == pairs.c.room_id, Member.user_id == pairs.c.user_id)
    return columns.join(Room, Room.id == Member.room_id).join(pairs, these).execution_options(**DIRECT)


def _newest_mentions(dialect: str) -> Select[*tuple[Any, ...]]:
    pairs = pairs_in(dialect)
    newest = (
        JOINED.with_only_columns(Notification.message_id)
        .where(Notification.user_id == pairs.c.user_id, Notification.room_id == pairs.c.room_id)
        .where(Notification.kind == "mention", VISIBLE, UNREAD)
        .order_by(Notification.seq.desc())
        .limit(1)
        .correlate(pairs)
    )
    found = select(pairs.c.user_id, pairs.c.room_id, newest.scalar_subquery().label("message_id"))
    return found.execution_options(**DIRECT)


def _spans(dialect: str) -> Select[*tuple[Any, ...]]:
    """Of who does not read there is a span for each push: those long past are left where they are."""
    places = text(_PLACES[dialect]).columns(user_id=Uuid(), room_id=Uuid(), seq=BigInteger()).subquery("places")
    later = aliased(Delivery)
    last = (
        select(func.max(later.first_seq))
        .where(later.room_id == places.c.room_id, later.user_id == places.c.user_id, later.channel == "push")
        .correlate(places)
    )
    since = select(places, last.scalar_subquery().label("last")).cte("since").prefix_with("MATERIALIZED")
    return (
        select(*Delivery.__table__.columns)
        .join(since, and_(since.c.room_id == Delivery.room_id, since.c.user_id == Delivery.user_id))
        .where(Delivery.channel == "push")
        .where(
            or_(Delivery.status == "pending", Delivery.last_seq >= since.c.seq, Delivery.first_seq == since.c.last),
        )
        .order_by(Delivery.room_id, Delivery.user_id, Delivery.first_seq)
        .execution_options(**DIRECT)
    )


_MEMBERSHIPS = {dialect: _memberships(dialect) for dialect in DIALECTS}
_NEWEST_MENTIONS = {dialect: _newest_mentions(dialect) for dialect in DIALECTS}
_SPANS = {dialect: _spans(dialect) for dialect in DIALECTS}


class PushMatters:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    async def memberships(self, pairs: Collection[Pair]) -> dict[Pair, Row]:
        """Each person's membership, with the room's kind, name and end; without who is not in it."""
        rows = (await self._connection.execute(_MEMBERSHIPS[self._dialect], {"pairs": as_pairs(pairs)})).all()
        return {(row.user_id, row.room_id): row for row in rows}

    async def newest_mentions(self, pairs: Collection[Pair]) -> dict[Pair, UUID]:
        """The last line of each room that mentions the person, may be seen and was not read; where there is one."""
        of = {"pairs": as_pairs(pairs), "at": now()}
        rows = (await self._connection.execute(_NEWEST_MENTIONS[self._dialect], of)).all()
        return {(row.user_id, row.room_id): row.message_id for row in rows if row.message_id}

    async def spans(self, since: Mapping[Pair, int | None]) -> dict[Pair, list[Span]]:
        """What was decided of pushing the lines from each of these on, and of the last one; of whom there is any.

        And of all lines that are still to be decided. None: of these, and of the last one.
        """
        places = [
            (user_id.hex, room_id.hex, _NO_LINE if seq is None else seq) for (user_id, room_id), seq in since.items()
        ]
        of = {"places": orjson.dumps(places).decode()}
        found: defaultdict[Pair, list[Span]] = defaultdict(list)
        for row in (await self._connection.execute(_SPANS[self._dialect], of)).all():
            found[row.user_id, row.room_id].append(Span(*row))
        return found

    async def has_standing_lines(self, user_id: UUID, room_id: UUID) -> bool:
        """Has a member not read a line that was not deleted, whoever wrote it?"""
        of = {"user_id": user_id, "room_id": room_id}
        return (await self._connection.execute(_STANDING_LINE, of)).first() is not None
