"""The tables. What the rules promise, the constraints make true on both databases.

Rooms and what is in them are in room_models.py, files in file_models.py, notifications in notification_models.py, other
ways to sign in than a password in sign_in_models.py.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Key, UtcDateTime
from .file_models import File, MessageFile, Upload, UploadPart
from .notification_models import Delivery, Notification, NotificationPreferences, PushSubscription
from .room_models import Member, Message, Reaction, ReadMark, Room
from .search_models import SearchLine
from .sign_in_models import Identity, RedeemedToken, SignInAttempt

__all__ = [
    "Base", "Block", "Delivery", "EmailToken", "File", "Friendship", "Identity", "Installation", "Member", "Message",
    "MessageFile", "NameGram", "Node", "Notification", "NotificationPreferences", "Online", "OutboxItem",
    "PushSubscription", "Reaction", "ReadMark", "RedeemedToken", "Room", "SearchLine", "Session", "SignInAttempt",
    "Upload", "UploadPart", "User", "UtcDateTime",
]  # fmt: skip


class Installation(Base):
    """One row. `epoch` names this database's history: a restore from a backup begins a new one (contract §7)."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[UUID]


class User(Base):
    """A person. `*_key` columns are what is compared and searched: case-folded.

    `email_bounced_at`: when the address was refused by who should have it; nothing but mails of the account goes there.
    """

    __tablename__ = "users"
    __table_args__ = (Index(None, "nickname_key", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(String(254))
    email_key: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None]
    email_bounced_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(String(255))
    nickname: Mapped[str | None] = mapped_column(String(50))
    nickname_key: Mapped[str] = mapped_column(String(200))
    nickname_initials: Mapped[str] = mapped_column(String(200))
    intro: Mapped[str] = mapped_column(String(500))
    avatar: Mapped[str | None] = mapped_column(String(200))
    language: Mapped[str] = mapped_column(String(2))
    theme: Mapped[str] = mapped_column(String(10))
    last_seen_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class NameGram(Base):
    """Each one or two neighbouring characters of a nickname and of its initial consonants: indexes people search."""

    __tablename__ = "name_grams"

    gram: Mapped[str] = mapped_column(String(2), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class Session(Base):
    """One sign-in on one device. `generation` counts its refreshes: the token of that number is the valid one.

    `network` is what `address` counts under: addresses of IPv6 change daily within it.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    rotated_at: Mapped[datetime]
    client: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(45))
    network: Mapped[str] = mapped_column(String(45))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None] = mapped_column(index=True)


class EmailToken(Base):
    """A single-use token that was mailed, one per person and purpose; only its SHA-256 is kept."""

    __tablename__ = "email_tokens"
    __table_args__ = (
        UniqueConstraint("user_id", "purpose"),
        CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
    )

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(10))
    email_key: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class OutboxItem(Base):
    """Work to be done after COMMIT, at least once: a worker leases it and deletes it when done.

    `key`: of work that is not added while some of the same key waits. A worker that leases it takes the key away: what
    is added from then on is further work.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "kind", "due_at"), Index(None, "key", unique=True))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str | None] = mapped_column(Key(120))
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    last_error: Mapped[str | None] = mapped_column(String(200))
    failed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Friendship(Base):
    """One row per pair: asked for (`accepted_at` null) or standing."""

    __tablename__ = "friendships"
    __table_args__ = (
        CheckConstraint("low_id < high_id", name="one_row_per_pair"),
        CheckConstraint("requested_by IN (low_id, high_id)", name="requested_by_one_of_them"),
    )

    low_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    high_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    requested_by: Mapped[UUID]
    created_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    low_alias: Mapped[str | None] = mapped_column(String(50))
    high_alias: Mapped[str | None] = mapped_column(String(50))


class Block(Base):
    __tablename__ = "blocks"
    __table_args__ = (CheckConstraint("blocker_id <> blocked_id", name="not_oneself"),)

    blocker_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    blocked_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime]


class Node(Base):
    """A running process, alive while `seen_at` moves."""

    __tablename__ = "nodes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]


class Online(Base):
    """Somebody has a socket on a node. The row outlives a crash of the node until another one sweeps it."""

    __tablename__ = "online"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    node_id: Mapped[UUID] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True, index=True)
