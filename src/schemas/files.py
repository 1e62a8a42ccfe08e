"""Files in rooms (contract §6)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from .common import PageQuery, Timestamp, View
from .links import Link
from .people import User

FileKind = Literal["image", "document"]


class File(View):
    """A file. `url` and `thumbnail_url` are signed for whoever is given them, and last for minutes.

    `width` and `height` are an image's, in pixels; `blurhash` is what to show until it is there (blurha.sh).
    """

    id: UUID
    kind: FileKind
    name: str
    content_type: str
    size: int
    width: int | None = None
    height: int | None = None
    blurhash: str | None = None
    url: Link
    thumbnail_url: Link | None = None


class RoomFile(File):
    """A file in a room's gallery, with the message that shows it."""

    message_id: UUID
    seq: int
    sender: User | None
    created_at: Timestamp


class ResumableUpload(View):
    """A file that comes in pieces (tus.io). `offset`: how many of its `size` bytes are here; `file`: once all are.

    At `expires_at` it is forgotten; not so its file.
    """

    id: UUID
    room_id: UUID
    offset: int
    size: int
    file: File | None
    expires_at: Timestamp


class GalleryQuery(PageQuery):
    """`kind`: only these."""

    kind: FileKind | None = None


class FileAddress(BaseModel):
    """What the address in `File.url` carries: for whom it was signed, and until when, in seconds since 1970."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: Annotated[str, StringConstraints(max_length=64)] | None = None
    expires: Annotated[str, StringConstraints(max_length=32)] | None = None
    signature: Annotated[str, StringConstraints(max_length=128)] | None = None
