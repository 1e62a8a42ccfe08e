"""Whose reading pushes wait for, and the work that waits for something to be read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..exclusive import hold_people
from ..models import Member, Notification, OutboxItem, Room, User
from ..pairs import DIALECTS, Pair, as_pairs, pairs_in
from ..rows import Row
from ..snapshots import any_of


def _cursors(dialect: str, *, wait: bool) -> Select[*tuple[Any, ...]]:
    pairs = pairs_in(dialect)
    cursors = select(*(getattr(Member, name) for name in ("user_id", "room_id", "read_ordinal", "notified_ordinal")))
    return (
        cursors.add_columns(Member.listed_at)
        .join(pairs, and_(Member.room_id == pairs.c.room_id, Member.user_id == pairs.c.user_id))
        .join(User, User.id == Member.user_id)
        .where(User.deleted_at.is_(None))
        .order_by(Member.user_id, Member.room_id)
        .with_for_update(read=True, of=Member, skip_locked=not wait)
    )


_CURSORS = {(dialect, wait): _cursors(dialect, wait=wait) for dialect in DIALECTS for wait in (False, True)}
_NOTIFICATIONS = (
    select(Notification.id, Notification.read_at).where(any_of(Notification.id, "ids")).order_by(Notification.id)
)
_KEYS_AT_ONCE = 1000
_AFTER_ALL = "~"  # what keys are made of


class Pushes:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def hold_people(self, user_ids: Collection[UUID]) -> None:
        """Until COMMIT nobody else notes what became of these people's pushes. The first that a transaction locks."""
        await hold_people(self._connection, "pushes", user_ids)

    async def hold_cursors(self, pairs: Collection[Pair], *, wait: bool) -> dict[Pair, Row]:
        """Up to where members have read, and have marked read; without who has deleted the account.

        Nobody reads on until COMMIT: who does then finds what this transaction has left to do. Without `wait` those
        are left out whom somebody else has locked: whoever sends locks memberships in any order, so wait for one alone.
        """
        if not pairs:
            return {}
        held = _CURSORS[self._connection.dialect.name, wait]
        rows = (await self._connection.execute(held, {"pairs": as_pairs(pairs)})).all()
        return {(row.user_id, row.room_id): row for row in rows}

    async def hold_notifications(self, ids: Collection[UUID], *, wait: bool) -> dict[UUID, bool]:
        """Of stored ones that are still there: are they not marked read? They stay as they are, and `wait` the same."""
        if not ids:
            return {}
        held = _NOTIFICATIONS.with_for_update(read=True, skip_locked=not wait)
        return {row.id: row.read_at is None for row in (await self._connection.execute(held, {"ids": ids})).all()}

    async def pushed_at(self, keys: Collection[str]) -> Mapping[str, datetime]:
        """When that was pushed which is shown under these keys."""
        shown = select(OutboxItem.key, OutboxItem.payload).where(OutboxItem.key.in_(keys))
        rows = (await self._connection.execute(shown)).all()
        return {row.key: datetime.fromisoformat(row.payload["at"]) for row in rows}

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
