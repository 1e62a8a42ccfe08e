"""Work to be done after COMMIT, at least once: leased by workers, deleted when done."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..ids import new_id
from ..models import OutboxItem
from ..rows import Row
from ..snapshots import any_of
from ..upsert import insert_if_absent, insert_or_hold, insert_or_set

_ANY_DUE = (
    select(OutboxItem.id)
    .where(
        OutboxItem.due_at <= bindparam("moment"),
        OutboxItem.failed_at.is_(None),
        OutboxItem.kind == bindparam("of_kind"),
    )
    .limit(1)
)

_ADD = insert(OutboxItem)
_CANCEL = (
    delete(OutboxItem).where(OutboxItem.id == bindparam("item_id"), OutboxItem.attempts == 0).returning(OutboxItem.id)
)
_PUT_OFF = (
    update(OutboxItem)
    .where(OutboxItem.id == bindparam("item_id"))
    .values(due_at=bindparam("then"), attempts=bindparam("tried"), last_error=bindparam("error"))
)
_GIVE_UP = (
    update(OutboxItem)
    .where(OutboxItem.id == bindparam("item_id"))
    .values(failed_at=bindparam("moment"), last_error=bindparam("error"), payload={})
)
_THESE = any_of(OutboxItem.key, "keys")
_HELD = select(OutboxItem.key, OutboxItem.payload).where(_THESE)
_HELD_TILL_COMMIT = _HELD.order_by(OutboxItem.key).with_for_update()
_DROP = delete(OutboxItem).where(_THESE)
MAX_ERROR = 200

Due = tuple[str, Mapping[str, Any], datetime]
"""Work: its key, its payload, when it is due."""


class PutOff(NamedTuple):
    """Leased work, as it was before, that is to be done then, having been tried so often.

    `error`: why it failed; it names no person.
    """

    row: Row
    due_at: datetime
    attempts: int
    error: str | None


class GivenUp(NamedTuple):
    """Leased work that failed for good. `error` names no person."""

    item_id: UUID
    error: str


_THEN = bindparam("then", type_=OutboxItem.due_at.type)
_SOONER = (
    update(OutboxItem).where(OutboxItem.key == bindparam("the_key"), OutboxItem.due_at > _THEN).values(due_at=_THEN)
)


class Outbox:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, kind: str, payload: Mapping[str, Any], moment: datetime, due_at: datetime | None = None
    ) -> UUID:
        """Work that is due as soon as this transaction commits, or then; its id."""
        item_id = new_id()
        row = {"id": item_id, "kind": kind, "payload": payload, "attempts": 0, "created_at": moment}
        await self._connection.execute(_ADD, {**row, "due_at": due_at or moment})
        return item_id

    async def add_each(
        self, kind: str, items: Sequence[tuple[str, Mapping[str, Any]]], moment: datetime, due_at: datetime
    ) -> None:
        """Work by its key, with its payload; nothing is added where some of the same key waits to be begun.

        Nobody begins that before COMMIT: what this transaction has written, they see.
        """
        await self.add_due(kind, [(key, payload, due_at) for key, payload in items], moment)

    async def add_due(self, kind: str, items: Sequence[Due], moment: datetime) -> None:
        """The same, each due at a time of its own."""
        if rows := _keyed(kind, items, moment):
            await self._connection.execute(insert_or_hold(self._connection.dialect.name, OutboxItem, "key"), rows)

    async def add_all(self, kind: str, items: Sequence[Due], moment: datetime) -> None:
        """The same for what was committed before: what waits may be begun meanwhile."""
        if rows := _keyed(kind, items, moment):
            await self._add_if_absent(rows)

    async def held(self, keys: Collection[str]) -> dict[str, Any]:
        """What the work of these keys is about, while it waits."""
        return await self._held(_HELD, keys)

    async def held_till_commit(self, keys: Collection[str]) -> dict[str, Any]:
        """The same, and nobody else touches it until COMMIT. In the order of the keys, like all who touch several."""
        return await self._held(_HELD_TILL_COMMIT, keys)

    async def hold(self, kind: str, items: Sequence[Due], moment: datetime) -> None:
        """Have work wait until then, or until it is released; instead of what waits under the same keys."""
        if rows := _keyed(kind, items, moment):
            await self._connection.execute(
                insert_or_set(self._connection.dialect.name, OutboxItem, "payload", "due_at", unique="key"), rows
            )

    async def drop(self, keys: Collection[str]) -> None:
        """Forget what waits under these keys."""
        if keys:
            await self._connection.execute(_DROP, {"keys": keys})

    async def cancel(self, item_id: UUID) -> bool:
        """Take back work that nobody has begun; False if somebody has."""
        return (await self._connection.execute(_CANCEL, {"item_id": item_id})).first() is not None

    async def hasten(self, item_id: UUID, moment: datetime) -> None:
        """Have work done now that was due later."""
        now_due = update(OutboxItem).where(OutboxItem.id == item_id, OutboxItem.attempts == 0)
        await self._connection.execute(now_due.values(due_at=moment))

    async def hasten_keys(self, items: Sequence[tuple[str, datetime]]) -> None:
        """Have work of these keys done by then that waits for longer."""
        if items:
            sooner = [{"the_key": key, "then": due_at} for key, due_at in sorted(items)]
            await self._connection.execute(_SOONER, sooner)

    async def has_due(self, kind: str, moment: datetime) -> bool:
        return (await self._connection.execute(_ANY_DUE, {"of_kind": kind, "moment": moment})).first() is not None

    async def lease(self, kind: str, limit: int, moment: datetime, until: datetime) -> Sequence[Row]:
        """At most `limit` due rows of a kind, for this worker alone until then; if it dies, for another one after.

        The rows still have their keys; in the table nobody has them any more.
        """
        due = (
            select(*OutboxItem.__table__.columns)
            .where(OutboxItem.kind == kind, OutboxItem.due_at <= moment, OutboxItem.failed_at.is_(None))
            .order_by(OutboxItem.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = (await self._connection.execute(due)).all()
        if rows:
            leased = update(OutboxItem).where(OutboxItem.id.in_([row.id for row in rows]))
            await self._connection.execute(leased.values(due_at=until, attempts=OutboxItem.attempts + 1, key=None))
        return rows

    async def done(self, item_ids: Sequence[UUID]) -> None:
        if item_ids:
            await self._connection.execute(delete(OutboxItem).where(OutboxItem.id.in_(item_ids)))

    async def put_off(self, items: Sequence[PutOff]) -> None:
        """Have leased work done later. What has a key gets it back, or gives way to what was added meanwhile."""
        keyed = sorted((each for each in items if each.row.key), key=lambda each: str(each.row.key))
        if keyed:
            await self.done([each.row.id for each in keyed])
            await self._add_if_absent([_again(each) for each in keyed])
        later = [
            {"item_id": each.row.id, "then": each.due_at, "tried": each.attempts, "error": _short(each.error)}
            for each in items
            if not each.row.key
        ]
        if later:
            await self._connection.execute(_PUT_OFF, later)

    async def give_up(self, items: Sequence[GivenUp], moment: datetime) -> None:
        """It failed for good; the row stays for whoever runs the service, without whom and what it was about."""
        if items:
            gone = [{"item_id": each.item_id, "error": _short(each.error), "moment": moment} for each in items]
            await self._connection.execute(_GIVE_UP, gone)

    async def _held(self, these: Select[*tuple[Any, ...]], keys: Collection[str]) -> dict[str, Any]:
        if not keys:
            return {}
        return {row.key: row.payload for row in (await self._connection.execute(these, {"keys": keys})).all()}

    async def _add_if_absent(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._connection.execute(insert_if_absent(self._connection.dialect.name, OutboxItem), rows)

    async def sweep(self, before: datetime) -> None:
        """Forget what failed for good before that moment."""
        await self._connection.execute(delete(OutboxItem).where(OutboxItem.failed_at < before))


def _keyed(kind: str, items: Sequence[Due], moment: datetime) -> list[dict[str, Any]]:
    """Rows in the order of their keys: who adds some of them too waits for us, and nobody waits in a circle."""
    common = {"kind": kind, "attempts": 0, "created_at": moment}
    return [
        {"id": new_id(), "key": key, "payload": payload, "due_at": due_at, **common}
        for key, payload, due_at in sorted(items, key=lambda item: item[0])
    ]


def _short(error: str | None) -> str | None:
    return error and error[:MAX_ERROR]


def _again(item: PutOff) -> dict[str, Any]:
    """The columns of leased work that is to be done later."""
    changed = {"due_at": item.due_at, "attempts": item.attempts, "last_error": _short(item.error)}
    return {**item.row._asdict(), **changed}
