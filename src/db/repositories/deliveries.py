"""What became of lines for members, on channels but the live one."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, Select, String, Uuid, and_, bindparam, delete, func, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from ..exclusive import hold_people
from ..models import Delivery
from ..snapshots import any_of
from ..spans import EXTENDED, Span, painted

_KEY: tuple[Any, ...] = (Delivery.room_id, Delivery.user_id, Delivery.channel, Delivery.first_seq)
_COLUMNS: tuple[Any, ...] = tuple(Delivery.__table__.columns)
_SAME = ("room_id", "user_id", "channel")
_ONE = delete(Delivery).where(and_(*(key == bindparam(f"the_{key.name}", type_=key.type) for key in _KEY)))
_SINCE = {
    "sqlite": "SELECT value ->> 0 AS room_id, value ->> 1 AS user_id, value ->> 2 AS channel, value ->> 3 AS seq"
    " FROM json_each(:since)",
    "postgresql": "SELECT CAST(value ->> 0 AS uuid) AS room_id, CAST(value ->> 1 AS uuid) AS user_id,"
    " value ->> 2 AS channel, CAST(value ->> 3 AS bigint) AS seq FROM json_array_elements(CAST(:since AS json))",
}


def _recent(dialect: str) -> Select[*tuple[Any, ...]]:
    """Those that end at `seq` or later. As they do not overlap, they are one that begins before it, and those after."""
    given = text(_SINCE[dialect]).columns(room_id=Uuid(), user_id=Uuid(), channel=String(), seq=BigInteger()).subquery()
    before = aliased(Delivery)
    same = (getattr(before, name) == given.c[name] for name in _SAME)
    begin = select(func.max(before.first_seq)).where(*same, before.first_seq <= given.c.seq).correlate(given)
    since = (
        select(given, func.coalesce(begin.scalar_subquery(), given.c.seq).label("begin"))
        .cte("since")
        .prefix_with("MATERIALIZED")  # else it would be asked again for each row
    )
    return (
        select(*_COLUMNS)
        .join(since, and_(*(getattr(Delivery, name) == since.c[name] for name in _SAME)))
        .where(Delivery.first_seq >= since.c.begin, Delivery.last_seq >= since.c.seq)
        .order_by(*_KEY)
        .with_for_update(of=Delivery)
    )


_RECENT = {dialect: _recent(dialect) for dialect in _SINCE}
_SO_MANY = 8
"""People alike for whom a row each is extended by one statement, unread."""
_LATER = aliased(Delivery)
_LAST = Delivery.last_seq == (  # no NOT EXISTS: PostgreSQL would compare all of the room with all
    select(func.max(_LATER.last_seq + 0))
    .where(*(getattr(_LATER, name) == getattr(Delivery, name) for name in ("room_id", "user_id", "channel")))
    .correlate(Delivery)
    .scalar_subquery()
)
_ALIKE = (
    Delivery.room_id == bindparam("in_room", type_=Delivery.room_id.type),
    Delivery.channel == bindparam("on"),
    Delivery.last_seq + 0 == bindparam("so_far"),  # not by its index, in which everybody of the room is
)
_EXTEND_ALL = (
    update(Delivery)
    .where(*_ALIKE, any_of(Delivery.user_id, "user_ids"), Delivery.status == bindparam("was"), _LAST)
    .where(func.coalesce(Delivery.reason, "") == bindparam("because"))
    .values(last_seq=bindparam("up_to"), at=bindparam("decided_at", type_=Delivery.at.type))
    .returning(Delivery.user_id)
)
_EXTEND = (
    update(Delivery)
    .where(*_ALIKE, any_of(Delivery.user_id, "user_ids"))
    .values(last_seq=bindparam("up_to"), at=bindparam("decided_at", type_=Delivery.at.type))
)
_OF_LINE = select(*_COLUMNS).where(
    Delivery.room_id == bindparam("room_id", type_=Delivery.room_id.type),
    any_of(Delivery.user_id, "user_ids"),
    Delivery.last_seq >= bindparam("seq"),
    Delivery.first_seq <= bindparam("seq"),
)


class Deliveries:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def record(self, decided: Collection[Span]) -> None:
        """Write down what became of lines that these people have not read, as it is decided now.

        It takes the place of what was decided before; but that something was sent stays, unless it is sent again, and
        a line of somebody across a block is told no more. Few statements, however many people.
        """
        await hold_people(self._connection, "deliveries", {span.user_id for span in decided})
        decided = await self._without_extended(decided)
        if not decided:
            return
        recent = await self._recent(decided)
        gone: list[Span] = []
        written: list[Span] = []
        extended: defaultdict[tuple[Any, ...], list[UUID]] = defaultdict(list)
        for key, news in _by_key(decided).items():
            before = after = recent.get(key, [])
            for new in news:
                after = painted(after, new)
            was = {span.first_seq: span for span in before}
            gone += [was[seq] for seq in was.keys() - {span.first_seq for span in after}]
            for span in after:
                earlier = was.get(span.first_seq)
                if earlier is None or earlier[5:7] != span[5:7] or span.last_seq < earlier.last_seq:
                    written.append(span)
                elif earlier != span:
                    place = (span.room_id, span.channel, earlier.last_seq, span.last_seq, span.at)
                    extended[place].append(span.user_id)
        await self._write(gone, extended, written)

    async def of_line(self, room_id: UUID, seq: int, user_ids: Collection[UUID]) -> dict[tuple[UUID, str], Span]:
        """What became of a line, by person and channel. Where two decisions met, what was sent, or the later one."""
        of = {"room_id": room_id, "seq": seq, "user_ids": user_ids}
        spans = [Span(*row) for row in (await self._connection.execute(_OF_LINE, of)).all()]
        spans.sort(key=lambda span: (span.reason == "blocked", span.status == "sent", span.at))
        return {(span.user_id, span.channel): span for span in spans}

    async def forget_some_of_room(self, room_id: UUID, limit: int) -> bool:
        """Forget some rows of a room. False if there was none."""
        rows = select(*_KEY).where(Delivery.room_id == room_id).order_by(*_KEY).limit(limit)
        return await self._delete(rows)

    async def sweep(self, before: datetime, limit: int) -> bool:
        """Forget some rows that are older. False if there was none."""
        return await self._delete(select(*_KEY).where(Delivery.at < before).limit(limit))

    async def _without_extended(self, decided: Collection[Span]) -> Collection[Span]:
        """What is left after extending, for many people at once, what was decided alike of the lines just before."""
        alike: defaultdict[Span, list[Span]] = defaultdict(list)
        for span in decided:
            alike[span._replace(user_id=span.room_id)].append(span)
        left: list[Span] = []
        for common, spans in alike.items():
            done: frozenset[UUID] = frozenset()
            if len(spans) >= _SO_MANY and common.status in EXTENDED:
                of = {
                    "in_room": common.room_id, "on": common.channel, "so_far": common.first_seq - 1,
                    "up_to": common.last_seq, "was": common.status, "because": common.reason or "",
                    "decided_at": common.at, "user_ids": [span.user_id for span in spans],
                }  # fmt: skip
                done = frozenset((await self._connection.scalars(_EXTEND_ALL, of)).all())
            left += [span for span in spans if span.user_id not in done]
        return left

    async def _recent(self, decided: Collection[Span]) -> dict[tuple[UUID, UUID, str], list[Span]]:
        """The spans that meet or overlap these, or come later, ascending, locked.

        Whether their lines were read meanwhile or not. Of who is pushed to and does not read there is a row for each
        push: what is long decided is left alone.
        """
        since: dict[tuple[UUID, UUID, str], int] = {}
        for span in decided:
            since[span.key] = min(span.first_seq - 1, since.get(span.key, span.first_seq))
        places = [(room_id.hex, user_id.hex, channel, seq) for (room_id, user_id, channel), seq in since.items()]
        of = {"since": orjson.dumps(places).decode()}
        recent = _RECENT[self._connection.dialect.name]
        return _by_key(Span(*row) for row in (await self._connection.execute(recent, of)).all())

    async def _write(
        self, gone: Collection[Span], extended: dict[tuple[Any, ...], list[UUID]], written: Collection[Span]
    ) -> None:
        if gone:
            await self._connection.execute(_ONE, [_named(span) for span in gone])
        if extended:
            names = ("in_room", "on", "so_far", "up_to", "decided_at")
            each = [dict(zip(names, place, strict=True)) | {"user_ids": ids} for place, ids in extended.items()]
            await self._connection.execute(_EXTEND, each)
        if written:
            rows = [span._asdict() for span in sorted(written, key=lambda span: span[:4])]
            await self._connection.execute(_upsert(self._connection.dialect.name), rows)

    async def _delete(self, some: Select[*tuple[Any, ...]]) -> bool:
        rows = (await self._connection.execute(some)).all()
        if rows:
            keys = [{f"the_{name}": value for name, value in row._mapping.items()} for row in rows]
            await self._connection.execute(_ONE, keys)
        return bool(rows)


def _by_key(spans: Iterable[Span]) -> dict[tuple[UUID, UUID, str], list[Span]]:
    found: defaultdict[tuple[UUID, UUID, str], list[Span]] = defaultdict(list)
    for span in spans:
        found[span.key].append(span)
    return found


def _named(span: Span) -> dict[str, Any]:
    return {f"the_{key.name}": value for key, value in zip(_KEY, span, strict=False)}


@lru_cache
def _upsert(dialect: str) -> Any:
    """INSERT, or where somebody has just decided the same lines, what is decided now; but what was sent was sent."""
    if dialect == "sqlite":
        add: Any = sqlite.insert(Delivery)
    else:
        from sqlalchemy.dialects import postgresql  # not on SQLite: it takes a tenth of a start

        add = postgresql.insert(Delivery)
    new = add.excluded
    values = {name: new[name] for name in ("last_seq", "status", "reason", "at")}
    return add.on_conflict_do_update(
        index_elements=[*_KEY], set_=values, where=(Delivery.status != "sent") | (new.status == "sent")
    )
