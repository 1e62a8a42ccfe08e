"""The tables. What the rules promise, the constraints make true on both databases."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC moment. SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {UUID: Uuid(), datetime: UtcDateTime(), int: BigInteger(), dict[str, Any]: JSON()}  # noqa: RUF012


class Installation(Base):
    """One row. `epoch` names this database's history: a restore from a backup begins a new one (contract §7)."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[UUID]


class User(Base):
    """A person. `*_key` columns are what is compared and searched: case-folded."""

    __tablename__ = "users"
    __table_args__ = (Index(None, "nickname_key", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str | None] = mapped_column(String(254))
    email_key: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None]
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
    """Work to be done after COMMIT, at least once: a worker leases it and deletes it when done."""

    __tablename__ = "outbox"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    due_at: Mapped[datetime] = mapped_column(index=True)
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


class Room(Base):
    """A conversation. Its row is the lock under which `last_seq`, `rev` and `last_ordinal` move."""

    __tablename__ = "rooms"
    __table_args__ = (
        UniqueConstraint("low_id", "high_id"),
        CheckConstraint("kind IN ('direct', 'group')", name="kind"),
        CheckConstraint("(kind = 'direct') = (low_id IS NOT NULL AND high_id IS NOT NULL)", name="direct_has_a_pair"),
        CheckConstraint("low_id IS NULL OR low_id < high_id", name="one_room_per_pair"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str | None] = mapped_column(String(100))
    low_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    high_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    last_seq: Mapped[int]
    last_ordinal: Mapped[int]
    rev: Mapped[int]
    created_at: Mapped[datetime]


class Member(Base):
    """Somebody in a room. `listed_at` is null while a direct room with no message yet is not in their list."""

    __tablename__ = "members"
    __table_args__ = (CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),)

    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(10))
    first_seq: Mapped[int]
    read_seq: Mapped[int]
    read_ordinal: Mapped[int]
    listed_at: Mapped[datetime | None]
    joined_at: Mapped[datetime]


class Message(Base):
    """A line of a room. `ordinal` counts only what can be unread, so that unread is a difference of two numbers."""

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("room_id", "seq"),
        UniqueConstraint("room_id", "rev"),
        UniqueConstraint("room_id", "sender_id", "client_id"),
        CheckConstraint("kind IN ('text', 'image', 'file', 'system')", name="kind"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    seq: Mapped[int]
    rev: Mapped[int]
    ordinal: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    sender_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    client_id: Mapped[UUID | None]
    text: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
