"""What people are told, row by row. What is computed from cursors is in room_notifications.py."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...clock import now
from ..cursors import Key
from ..models import Notification, UtcDateTime
from ..pairs import DIALECTS, Pair, as_pairs, pairs_in
from ..rows import Row
from ..snapshots import DIRECT, any_of
from ..visible_notifications import FOUND, JOINED, PASSED, UNREAD, VISIBLE

_OF_FRIENDS = or_(Notification.kind == "friend_request", Notification.kind == "friend_accepted")

_READ_WITH_THE_ROOM = or_(Notification.kind == "mention", Notification.kind == "room_invite")
_UNREAD_IN = (
    Notification.user_id == bindparam("of_user", type_=Notification.user_id.type),
    Notification.room_id == bindparam("in_room", type_=Notification.room_id.type),
    Notification.read_at.is_(None),
    _READ_WITH_THE_ROOM,
    Notification.seq <= bindparam("up_to"),
)
_ANY_UNREAD_IN = select(Notification.id).where(*_UNREAD_IN).limit(1)
_SEEN = FOUND.where(VISIBLE)
_SEEN_OF_IDS = _SEEN.where(any_of(Notification.id, "ids")).execution_options(**DIRECT)
_SEEN_MENTIONS = _SEEN.where(
    any_of(Notification.message_id, "message_ids"), any_of(Notification.user_id, "user_ids"), UNREAD,
    Notification.kind == "mention",
).execution_options(**DIRECT)  # fmt: skip
_UNREAD_OF = (
    _SEEN.where(any_of(Notification.user_id, "user_ids"), UNREAD)
    .order_by(Notification.user_id, Notification.created_at.desc(), Notification.id.desc())
    .execution_options(**DIRECT)
)
_COUNTS = (
    JOINED.add_columns(Notification.kind, func.count().label("unread"))
    .where(VISIBLE, UNREAD, any_of(Notification.user_id, "user_ids"))
    .group_by(Notification.user_id, Notification.kind)
    .execution_options(**DIRECT)
)

# The ids as one parameter: somebody may have more unread than a statement can have parameters.
_THESE = any_of(Notification.id, "ids")
_READ = update(Notification).where(_THESE).values(read_at=bindparam("moment", type_=UtcDateTime()))
_GONE = delete(Notification).where(_THESE).returning(Notification.user_id, Notification.id, Notification.read_at)


def _of_pairs(dialect: str) -> Select[*tuple[Any, ...]]:
    pairs = pairs_in(dialect)
    these = and_(Notification.user_id == pairs.c.user_id, Notification.room_id == pairs.c.room_id)
    columns = JOINED.add_columns(Notification.room_id, Notification.id, Notification.kind)
    with_passed = columns.add_columns(func.coalesce(PASSED, False).label("passed"))
    return with_passed.join(pairs, these).where(Notification.read_at.is_(None)).execution_options(**DIRECT)


_OF_ROOMS = {dialect: _of_pairs(dialect) for dialect in DIALECTS}

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
        where = _place(user_id, room_id, seq)
        return (await self._connection.execute(_ANY_UNREAD_IN, where)).first() is not None

    async def read_in(self, user_id: UUID, room_id: UUID, seq: int, at: datetime) -> frozenset[UUID]:
        """Write that those are read; which they were."""
        return await self._read(select(Notification.id).where(*_UNREAD_IN), at, **_place(user_id, room_id, seq))

    async def read_of(self, user_id: UUID, kind: str, actor_id: UUID, at: datetime) -> frozenset[UUID]:
        """Write that those are read which somebody has of a kind and because of an actor; which were not."""
        return await self._read(
            _unread(user_id).where(Notification.kind == kind, Notification.actor_id == actor_id), at
        )

    async def read(self, user_id: UUID, ids: Collection[UUID] | None, at: datetime) -> frozenset[UUID]:
        """Write that those of somebody's are read, or all, whether they may be seen or not; which were not."""
        unread = _unread(user_id)
        return await self._read(unread if ids is None else unread.where(Notification.id.in_(ids)), at)

    async def read_each(self, ids: Collection[UUID], at: datetime) -> None:
        """Write that these are read, whosever they are."""
        await self._read(select(Notification.id).where(_THESE, Notification.read_at.is_(None)), at, ids=[*ids])

    async def found(
        self, user_id: UUID, kinds: Collection[str], before: Key | None, limit: int, *, unread: bool
    ) -> Sequence[Row]:
        """What somebody may see of these kinds, the newest first, one more than `limit`; `unread`: of that alone."""
        seen = _SEEN.where(Notification.user_id == user_id, Notification.kind.in_(kinds))
        if unread:
            seen = seen.where(UNREAD)
        if before:
            seen = seen.where(tuple_(Notification.created_at, Notification.id) < before)
        page = seen.order_by(Notification.created_at.desc(), Notification.id.desc()).limit(limit + 1)
        return (await self._connection.execute(page, {"at": now()})).all()

    async def visible(self, ids: Collection[UUID]) -> dict[UUID, Row]:
        """Those of these that their people may see, by id. `read_at` is null of what is unread."""
        rows = (await self._connection.execute(_SEEN_OF_IDS, {"ids": [*ids], "at": now()})).all()
        return {row.id: row for row in rows}

    async def mentions_by(self, message_ids: Collection[UUID], user_ids: Collection[UUID]) -> Sequence[Row]:
        """What these people may see of being mentioned in these messages, and have not read."""
        of = {"message_ids": [*message_ids], "user_ids": [*user_ids], "at": now()}
        return (await self._connection.execute(_SEEN_MENTIONS, of)).all()

    async def unread_of(self, user_ids: Collection[UUID]) -> Sequence[Row]:
        """All that these people may see and have not read, person by person, the newest first."""
        return (await self._connection.execute(_UNREAD_OF, {"user_ids": [*user_ids], "at": now()})).all()

    async def counts(self, user_ids: Collection[UUID]) -> Sequence[Row]:
        """How much there is of that: `user_id`, `kind`, `unread`."""
        return (await self._connection.execute(_COUNTS, {"user_ids": [*user_ids], "at": now()})).all()

    async def of_rooms(self, pairs: Collection[Pair]) -> Sequence[Row]:
        """All of whom nobody wrote that it is read, for each (person, room), whether it may be seen or not.

        `user_id`, `room_id`, `id`, `kind`; `passed`: the cursor has read it.
        """
        of_rooms = _OF_ROOMS[self._connection.dialect.name]
        return (await self._connection.execute(of_rooms, {"pairs": as_pairs(pairs)})).all()

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
        return await self._remove(between, _OF_FRIENDS)

    async def forget(self, user_id: UUID) -> Gone:
        """Forget all that a person was told who deletes the account, and what others were told of their friendship."""
        caused = and_(Notification.actor_id == user_id, _OF_FRIENDS)
        return await self._remove(or_(Notification.user_id == user_id, caused))

    async def sweep(self, before: datetime, limit: int) -> bool:
        """Forget some that are older. False if there was none."""
        old = select(Notification.id).where(Notification.created_at < before).limit(limit)
        swept = await self._connection.execute(delete(Notification).where(Notification.id.in_(old.scalar_subquery())))
        return swept.rowcount > 0

    async def _read(self, unread: Select[UUID], at: datetime, **where: Any) -> frozenset[UUID]:
        ids = await self._locked(unread, **where)
        if ids:
            await self._connection.execute(_READ, {"ids": ids, "moment": at})
        return frozenset(ids)

    async def _remove(self, *where: ColumnElement[bool]) -> Gone:
        ids = await self._locked(select(Notification.id).where(*where))
        if not ids:
            return {}
        rows: Sequence[Row] = (await self._connection.execute(_GONE, {"ids": ids})).all()
        gone: dict[UUID, set[UUID]] = {}
        for row in rows:
            if row.read_at is None:
                gone.setdefault(row.user_id, set()).add(row.id)
        return gone

    async def _locked(self, some: Select[UUID], **where: Any) -> Sequence[UUID]:
        """In the order of their ids, so that two who change several never wait for each other."""
        locked = some.order_by(Notification.id).with_for_update(key_share=True)
        return (await self._connection.scalars(locked, where)).all()


def _unread(user_id: UUID) -> Select[UUID]:
    return select(Notification.id).where(Notification.user_id == user_id, Notification.read_at.is_(None))


def _place(user_id: UUID, room_id: UUID, seq: int) -> dict[str, Any]:
    return {"of_user": user_id, "in_room": room_id, "up_to": seq}


def _from_to(actor_id: UUID, user_id: UUID) -> ColumnElement[bool]:
    return and_(Notification.actor_id == actor_id, Notification.user_id == user_id)
