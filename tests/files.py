"""Files as they stand in views and answers, for tests that are not about how they came there."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from src.clock import now
from src.db.ids import new_id
from src.schemas.files import File
from src.schemas.links import Link
from src.schemas.messages import Message
from src.schemas.people import User
from src.services.file_signatures import FileSignatures

ADDRESSES = ("url", "thumbnail_url")


def file_view(file_id: UUID | None = None) -> File:
    """An image, as a view in a transaction has it."""
    file_id = file_id or new_id()
    return File(
        id=file_id,
        kind="image",
        name="강릉.webp",
        content_type="image/webp",
        size=1,
        url=Link(f"/files/{file_id}"),
        thumbnail_url=Link(f"/files/{file_id}/thumbnail"),
    )


def line_with(*files: File, sender: User | None = None, text: str | None = None) -> Message:
    """A message that shows these files."""
    return Message(
        id=new_id(), room_id=new_id(), seq=1, rev=1, kind="image", sender=sender, text=text, files=[*files],
        client_id=None, created_at=now(),
    )  # fmt: skip


def without_addresses(held: Any) -> Any:
    """What was heard, but for the signed addresses of files, which are new with every reading (contract §9)."""
    if isinstance(held, dict):
        return {name: without_addresses(part) for name, part in held.items() if name not in ADDRESSES}
    return [without_addresses(part) for part in held] if isinstance(held, list) else held


def signed_for(url: str, base: str, signatures: FileSignatures) -> UUID:
    """Whom the address of a file or its thumbnail, on the service at `base`, speaks for. Fails unless it is sound."""
    parts = urlsplit(url)
    path = parts.path.removeprefix("/api/v1/files/").removesuffix("/thumbnail")
    assert f"{parts.scheme}://{parts.netloc}" == base and not parts.fragment, url
    return signatures.check(UUID(path), **dict(parse_qsl(parts.query, strict_parsing=True)))
