"""Files as the contract shows them; who may have them is their readers' affair."""

from collections import defaultdict
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from ..schemas.files import File, RoomFile
from ..schemas.links import Link
from ..schemas.people import User
from .repositories import Repositories
from .rows import Row


def file_view(row: Row | SimpleNamespace) -> File:
    """A row of `files`, stored or about to be."""
    return File(**_fields(row))


def room_file_view(row: Row, sender: User | None) -> RoomFile:
    """A row of a gallery."""
    return RoomFile(**_fields(row), message_id=row.message_id, seq=row.seq, sender=sender, created_at=row.sent_at)


async def files_of(reads: Repositories, message_ids: Collection[UUID]) -> dict[UUID, list[File]]:
    """The files of these messages, in their order."""
    files: defaultdict[UUID, list[File]] = defaultdict(list)
    for row in await reads.files.of_messages(message_ids) if message_ids else ():
        files[row.message_id].append(file_view(row))
    return files


def _fields(row: Row | SimpleNamespace) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in ("id", "kind", "name", "content_type", "size")}
    pictured = {name: getattr(row, name) for name in ("width", "height", "blurhash")}
    url = f"/files/{row.id}"
    return {
        **shown,
        **pictured,
        "url": Link(url),
        "thumbnail_url": Link(f"{url}/thumbnail") if row.thumbnail_key else None,
    }
