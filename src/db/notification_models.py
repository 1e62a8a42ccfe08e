"""The tables of notifications: what is told, by which ways, and what became of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base

UNREAD = "read_at IS NULL"


class Notification(Base):
    """Something that somebody is told, but that a room has messages: that is computed from the member's cursors.

    Its text is made when it is read. `seq`: of the line in the room at which a mention or a reaction is, or with which
    somebody joined who was invited. A mention is read, too, once its member's cursor has come to `seq`, an invitation
    once it has passed it: `read_at` need not be written for that.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('mention', 'reaction', 'friend_request', 'friend_accepted', 'room_invite', 'system')", name="kind"
        ),
        Index(None, "user_id", "created_at", "id"),
        Index(
            "ix_notifications_unread", "user_id", "room_id", sqlite_where=text(UNREAD), postgresql_where=text(UNREAD)
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    room_id: Mapped[UUID | None] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), index=True)
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), index=True)
    seq: Mapped[int | None]
    emoji: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)
    read_at: Mapped[datetime | None]


class NotificationPreferences(Base):
    """What somebody has chosen; who has no row has the defaults. `kinds`: `{kind: {channel: bool}}`, where chosen.

    `quiet_from` and `quiet_to`: "HH:MM" in `time_zone`, all three or none. `mailed_at`: when the last digest went out.
    """

    __tablename__ = "notification_preferences"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kinds: Mapped[dict[str, Any]]
    quiet_from: Mapped[str | None] = mapped_column(String(5))
    quiet_to: Mapped[str | None] = mapped_column(String(5))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    hide_content: Mapped[bool]
    mailed_at: Mapped[datetime | None]


class PushSubscription(Base):
    """A browser that takes pushes, for as long as the session lasts in which it was made known.

    `endpoint_hash`: SHA-256 of the endpoint, in hex: a browser is one person's, the last who made it known.
    """

    __tablename__ = "push_subscriptions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    endpoint: Mapped[str] = mapped_column(Text)
    endpoint_hash: Mapped[str] = mapped_column(String(64), unique=True)
    p256dh: Mapped[str] = mapped_column(String(100))
    auth: Mapped[str] = mapped_column(String(30))
    created_at: Mapped[datetime]


class Delivery(Base):
    """What became of the lines `first_seq` to `last_seq` of a room for one member, on one channel.

    In-app only why it was not told there.

    `at`: when it was decided for `last_seq`.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("channel IN ('in_app', 'push', 'email')", name="channel"),
        CheckConstraint("status IN ('sent', 'pending', 'skipped', 'failed')", name="status"),
        Index(None, "room_id", "last_seq"),
    )

    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    channel: Mapped[str] = mapped_column(String(10), primary_key=True)
    first_seq: Mapped[int] = mapped_column(primary_key=True)
    last_seq: Mapped[int]
    status: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(index=True)
