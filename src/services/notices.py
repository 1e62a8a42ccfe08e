"""Telling somebody something that is no message: a row of its own, and the rungs of the ladder above it (contract §7).

In the transaction of what it tells of; nobody is told what was rolled back, and what was not is never forgotten.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from ..db.database import Transaction
from ..db.ids import new_id
from ..db.repositories.notifications import Gone
from ..events import NotificationsSettled, NotificationStored
from ..schemas.notifications import Kind

PUSH = "push"
DIGEST = "digest"


class Rungs(NamedTuple):
    """How long after something a push, and how long after it a mail, tells of what is still unread."""

    push: timedelta
    email: timedelta


class Notices:
    def __init__(self, rungs: Rungs) -> None:
        self._rungs = rungs

    async def tell(self, tx: Transaction, kind: Kind, user_ids: Collection[UUID], at: datetime, **what: Any) -> None:
        """Tell each of these people: in-app at once, later by push and by mail what they have not read.

        `what`: `actor_id`, and what else the kind has of the columns of `notifications`.
        """
        rows = store(tx, kind, user_ids, at, **what)
        if not rows:
            return
        await tx.notifications.add(rows)
        pushes = [(push_key(row["user_id"], row["id"]), push_of(row["user_id"], row["id"])) for row in rows]
        await tx.outbox.add_each(PUSH, pushes, at, at + self._rungs.push)
        digests = [(digest_key(user_id), digest_of(user_id)) for user_id in user_ids]
        await tx.outbox.add_each(DIGEST, digests, at, at + self._rungs.email)


def store(tx: Transaction, kind: Kind, user_ids: Collection[UUID], at: datetime, **what: Any) -> list[dict[str, Any]]:
    """Rows of `notifications` that are about to be added, and announced."""
    rows = [{"id": new_id(), "user_id": user_id, "kind": kind, "created_at": at, **what} for user_id in user_ids]
    for row in rows:
        tx.announce(NotificationStored(frozenset({row["user_id"]}), frozenset({row["id"]})))
    return rows


def settle(tx: Transaction, gone: Gone) -> None:
    """Announce that these are read or gone."""
    for user_id, ids in gone.items():
        if ids:
            tx.announce(NotificationsSettled(frozenset({user_id}), frozenset(ids)))


def push_key(user_id: UUID, subject_id: UUID) -> str:
    """The key of the work to push to somebody what is unread of a room, or of one notification."""
    return f"{pushes_to(user_id)}{subject_id.hex}"


def pushes_to(user_id: UUID) -> str:
    """With what the keys of all work to push to somebody begin."""
    return f"{PUSH}:{user_id.hex}:"


def push_of(user_id: UUID, notification_id: UUID) -> dict[str, str]:
    """The outbox's payload of a push about a stored notification."""
    return {"user_id": str(user_id), "notification_id": str(notification_id)}


def push_of_room(user_id: UUID, room_id: UUID) -> dict[str, str]:
    """The same about the messages and mentions of a room."""
    return {"user_id": str(user_id), "room_id": str(room_id)}


def digest_key(user_id: UUID) -> str:
    """The key of the work to mail somebody what is unread."""
    return f"{DIGEST}:{user_id.hex}"


def digest_of(user_id: UUID) -> dict[str, str]:
    """The outbox's payload of a digest."""
    return {"user_id": str(user_id)}
