"""The tables of rooms, their members and their lines."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base

# Columns that came after the first release have a default, for the rows that were there.
LONG_AGO = "1970-01-01 00:00:00.000000"
ABANDONED = "abandoned_at IS NOT NULL"
TO_TELL = "tell_at IS NOT NULL"


class Room(Base):
    """A conversation. Its row is the lock under which `last_seq`, `rev` and `last_ordinal` move.

    `roster` counts up whenever it changes who may write or who hears: members coming and going, a direct room entering
    or leaving a list, a block between its two, an account deleted. What was read of the members at one value of it
    holds as long as the value does. `active_at`: its last line; `changed_at`: its last `rev`. `notice_seq`: the line
    that is pinned on top. `abandoned_at`: when the last member left a group, which then waits to be deleted.
    `tell_at`: when the ladder has to see who has not read the lines above `told_seq`.
    """

    __tablename__ = "rooms"
    __table_args__ = (
        UniqueConstraint("low_id", "high_id"),
        CheckConstraint("kind IN ('direct', 'group')", name="kind"),
        CheckConstraint("(kind = 'direct') = (low_id IS NOT NULL AND high_id IS NOT NULL)", name="direct_has_a_pair"),
        CheckConstraint("low_id IS NULL OR low_id < high_id", name="one_room_per_pair"),
        Index(None, "abandoned_at", sqlite_where=text(ABANDONED), postgresql_where=text(ABANDONED)),
        Index(None, "tell_at", sqlite_where=text(TO_TELL), postgresql_where=text(TO_TELL)),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str | None] = mapped_column(String(100))
    name_key: Mapped[str | None] = mapped_column(String(400))
    name_initials: Mapped[str | None] = mapped_column(String(400))
    low_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    high_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    last_seq: Mapped[int]
    last_ordinal: Mapped[int]
    rev: Mapped[int]
    roster: Mapped[int] = mapped_column(server_default="0")
    notice_seq: Mapped[int | None]
    tell_at: Mapped[datetime | None]
    told_seq: Mapped[int] = mapped_column(server_default="0")
    active_at: Mapped[datetime] = mapped_column(server_default=LONG_AGO)
    changed_at: Mapped[datetime] = mapped_column(server_default=LONG_AGO)
    abandoned_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Member(Base):
    """Somebody in a room, since the line `first_seq`, which took the room's `rev` beyond `first_rev`.

    A group's row goes when they leave. A direct room's stays: `listed_at` is null while the room is not in their list,
    because it has no message yet or because they have left it. `touched_at`: when something of it last changed that
    does not count the room's `rev` up: the cursor, read on, or what the member has set for themselves.
    `notified_ordinal`: up to where they have marked the room's notification read without reading the room.
    """

    __tablename__ = "members"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member')", name="role"),
        Index(None, "room_id", "touched_at"),
    )

    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(String(10))
    first_seq: Mapped[int]
    first_rev: Mapped[int] = mapped_column(server_default="0")
    read_seq: Mapped[int]
    read_ordinal: Mapped[int]
    notified_ordinal: Mapped[int] = mapped_column(server_default="0")
    muted_until: Mapped[datetime | None]
    pinned: Mapped[bool] = mapped_column(server_default=false())
    alias: Mapped[str | None] = mapped_column(String(100))
    alias_key: Mapped[str | None] = mapped_column(String(400))
    alias_initials: Mapped[str | None] = mapped_column(String(400))
    listed_at: Mapped[datetime | None]
    touched_at: Mapped[datetime | None]
    joined_at: Mapped[datetime]


class ReadMark(Base):
    """When somebody's cursor came to `seq`: what receipts tell. A message of one's own counts as a mark without one."""

    __tablename__ = "read_marks"

    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class Message(Base):
    """A line of a room. `ordinal` counts only what can be unread, so that unread is a difference of two numbers.

    `reply_to_seq` is a line of the same room. `mentions`: ids, as a list. `system`: what the line tells, with
    people by their ids.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("room_id", "seq"),
        UniqueConstraint("room_id", "rev"),
        UniqueConstraint("sender_id", "client_id", "room_id"),
        CheckConstraint("kind IN ('text', 'image', 'file', 'system')", name="kind"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"))
    seq: Mapped[int]
    rev: Mapped[int]
    ordinal: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))
    sender_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    client_id: Mapped[UUID | None]
    text: Mapped[str | None] = mapped_column(Text)
    reply_to_seq: Mapped[int | None]
    mentions: Mapped[list[Any] | None]
    system: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class Reaction(Base):
    __tablename__ = "reactions"

    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    emoji: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime]
