"""What somebody is told in-app: a list of what is stored and of what is computed, and marking it read (contract §7)."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from ..clock import now
from ..db import cursors
from ..db.database import Database, Transaction
from ..db.notification_views import room_view, stored_view
from ..db.repositories import Repositories
from ..events import NotificationsSettled
from ..schemas.common import Page
from ..schemas.notifications import MarkNotificationsRead, Notification, NotificationsQuery, NotificationsUnread
from .preferences import allowed_for


class Notifications:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UUID, query: NotificationsQuery) -> Page[Notification]:
        """What I am told, the newest first. Raises Invalid for a cursor that was not given out."""
        before = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            found = await found_by(reads, user_id, before, query.limit, unread=query.unread == "1")
        items = found[: query.limit]
        following = cursors.encode(_key(items[-1])) if len(found) > query.limit else None
        return Page(items=items, next_cursor=following)

    async def mark_read(self, user_id: UUID, what: MarkNotificationsRead) -> NotificationsUnread:
        """Mark these of mine read, or all; what is not mine is passed over. How many are unread then.

        A room's is hidden until its next message: the room stays as unread as it is, and nobody hears of it.
        """
        async with self._database.transaction() as tx:
            rooms = await tx.room_notifications.open_rooms(user_id, what.ids)
            done = await tx.room_notifications.dismiss(user_id, rooms, wait=False) if rooms else frozenset()
            read = await tx.notifications.read(user_id, what.ids, now())
            _announce(tx, user_id, done | read, what)
            unread = await unread_of(tx, [user_id])
        held = sorted(rooms - done)
        for room_id in held:  # somebody else has changed the membership, or does
            async with self._database.transaction() as tx:
                _announce(tx, user_id, await tx.room_notifications.dismiss(user_id, [room_id], wait=True), what)
                unread = await unread_of(tx, [user_id])
        return NotificationsUnread(unread=unread[user_id])


async def found_by(
    reads: Repositories, user_id: UUID, before: cursors.Key | None, limit: int, *, unread: bool
) -> list[Notification]:
    """What somebody is told in-app below a place in the list, the newest first; one more than `limit`."""
    allowed = (await allowed_for(reads, [user_id], "in_app"))[user_id]
    stored = await reads.notifications.found(user_id, allowed, before, limit, unread=unread)
    rooms = await reads.room_notifications.of_person(user_id, before, limit) if "message" in allowed else ()
    found = [*map(stored_view, stored), *map(room_view, rooms)]
    return sorted(found, key=_key, reverse=True)[: limit + 1]


async def unread_of(reads: Repositories, user_ids: Collection[UUID]) -> dict[UUID, int]:
    """How many notifications each of these people has not read, of those that they are told in-app."""
    allowed = await allowed_for(reads, user_ids, "in_app")
    rooms = await reads.room_notifications.counts(user_ids)
    unread = {each: rooms.get(each, 0) if "message" in allowed[each] else 0 for each in user_ids}
    for row in await reads.notifications.counts(user_ids):
        if row.kind in allowed[row.user_id]:
            unread[row.user_id] += row.unread
    return unread


def _key(each: Notification) -> tuple[datetime, UUID]:
    return each.created_at, each.id


def _announce(tx: Transaction, user_id: UUID, read: frozenset[UUID], what: MarkNotificationsRead) -> None:
    if read:
        tx.announce(NotificationsSettled(frozenset({user_id}), None if what.all else read))
