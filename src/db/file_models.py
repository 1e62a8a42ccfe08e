"""The tables of files, of the messages that show them, and of uploads that come in pieces."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class File(Base):
    """Something that was uploaded into a room. Until a message has it, it is its uploader's alone.

    `key`: of the object in the storage; `thumbnail_key` and what follows are an image's. Sizes in bytes.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("kind IN ('image', 'document')", name="kind"),
        Index(None, "uploader_id", "size", "thumbnail_size"),  # what somebody has is summed from it alone
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    uploader_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(127))
    size: Mapped[int]
    key: Mapped[str] = mapped_column(String(120), unique=True)
    width: Mapped[int | None]
    height: Mapped[int | None]
    blurhash: Mapped[str | None] = mapped_column(String(120))
    thumbnail_key: Mapped[str | None] = mapped_column(String(120), unique=True)
    thumbnail_size: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(index=True)


class MessageFile(Base):
    """A message has a file: what counts the references to it.

    `room_id` and `seq` are the line's and `kind` is the file's, for the gallery: none of them changes.
    """

    __tablename__ = "message_files"
    __table_args__ = (UniqueConstraint("room_id", "seq", "position"), Index(None, "room_id", "kind", "seq", "position"))

    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id"), index=True)
    room_id: Mapped[UUID]
    seq: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10))


class Upload(Base):
    """A file that comes in pieces (tus 1.0). `file_id`: what it became, once it was whole. `size`: of the whole."""

    __tablename__ = "uploads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    uploader_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    room_id: Mapped[UUID] = mapped_column(ForeignKey("rooms.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(127))
    size: Mapped[int]
    file_id: Mapped[UUID | None] = mapped_column(ForeignKey("files.id", ondelete="SET NULL"), index=True)
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class UploadPart(Base):
    """A piece of an upload, from the byte `start` on: an object of its own until all are there."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int]
    key: Mapped[str] = mapped_column(String(120), unique=True)
