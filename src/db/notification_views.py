"""Notifications as the contract shows them; what may be shown is their readers' affair."""

from ..schemas.notifications import Notification
from .excerpts import excerpt
from .repositories.room_notifications import RoomNotification
from .rows import Profile, Row
from .views import user_view

PREVIEW = 200
"""So many characters of a message are shown."""


def stored_view(row: Row) -> Notification:
    """What is told of a row of `visible_notifications.FOUND`."""
    return Notification(
        id=row.id,
        kind=row.kind,
        actor=user_view(_actor(row)) if row.actor_id else None,
        room_id=row.room_id,
        message_id=row.message_id,
        preview=row.emoji or preview(row),
        count=1,
        created_at=row.created_at,
        read_at=row.read_at,
    )


def room_view(found: RoomNotification) -> Notification:
    """What is told of a room with messages."""
    line = found.line
    sender = Profile(line.sender_id, line.nickname, line.intro, line.avatar)
    return Notification(
        id=found.room_id,
        kind="message",
        actor=user_view(sender),
        room_id=found.room_id,
        message_id=line.message_id,
        preview=preview(line),
        count=found.unread,
        created_at=line.created_at,
        read_at=None,
    )


def preview(line: Row) -> str | None:
    """The beginning of a line's text, or else its first file's name. None for a tombstone, and without a line."""
    shown = line.text or line.file_name
    return excerpt(shown, PREVIEW) if shown else None


def _actor(row: Row) -> Profile:
    return Profile(row.actor_id, row.nickname, row.intro, row.avatar)
