"""What was received, made into what is kept: documents as they came, pictures written anew (decision 13)."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import now
from ..db.ids import new_id
from ..errors import ChattyError, FieldError, TooLarge, UnreadableImage, UnsupportedType
from ..file_settings import MIB, FileSettings
from ..images.sniff import picture_type
from ..images.workshop import Workshop
from ..storage.received import Received
from ..storage.staging import Staging
from .file_names import usable_name, with_extension
from .file_types import banned_word, document_type

HEAD_BYTES = 64
AVATAR_SIZES = (64, 192, 512)
"""The sides of a profile picture, in pixels."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file as it will be kept: its row of `files`, but for whose it is and where, and its objects by their keys."""

    row: Mapping[str, Any]
    objects: Mapping[str, Path]

    @property
    def size(self) -> int:
        """Of all its objects together, in bytes."""
        return int(self.row["size"] + self.row["thumbnail_size"])


class Incoming:
    def __init__(self, staging: Staging, workshop: Workshop, settings: FileSettings) -> None:
        self._staging = staging
        self._workshop = workshop
        self._settings = settings

    @contextlib.asynccontextmanager
    async def prepared(self, received: Sequence[Received]) -> AsyncIterator[list[Prepared]]:
        """Each file as it will be kept, for as long as the block lasts.

        Raises UnsupportedType for what is banned, TooLarge and UnreadableImage for pictures, each with the field.
        """
        async with contextlib.AsyncExitStack() as parts:
            yield [await self._prepared(each, parts) for each in received]

    @contextlib.asynccontextmanager
    async def profile_picture(self, received: Received) -> AsyncIterator[dict[int, Path]]:
        """The picture as a square of each size, for as long as the block lasts. Raises as `prepared` does, and
        UnsupportedType for what is no picture."""
        if await asyncio.to_thread(_picture_type, received.path) is None:
            raise _refused(received, UnsupportedType("This is no picture: send a JPEG, PNG, WebP, GIF or HEIC."))
        self._refuse_large_image(received)
        async with contextlib.AsyncExitStack() as parts:
            paths = {size: await self._part(parts) for size in AVATAR_SIZES}
            with _about(received):
                await self._workshop.crop(received.path, paths)
            yield paths

    async def _prepared(self, received: Received, parts: contextlib.AsyncExitStack) -> Prepared:
        name = usable_name(received.name)
        if word := await banned_word(name, received.content_type, received.path, self._settings.banned):
            raise _refused(received, UnsupportedType(f"Files of the type {word} cannot be sent here."), "banned_type")
        if await asyncio.to_thread(_picture_type, received.path):
            return await self._image(received, name, parts)
        return _document(received, name)

    async def _image(self, received: Received, name: str, parts: contextlib.AsyncExitStack) -> Prepared:
        self._refuse_large_image(received)
        image, thumbnail = await self._part(parts), await self._part(parts)
        with _about(received):
            picture = await self._workshop.prepare(received.path, image, thumbnail)
        key, thumbnail_key = new_key("chat/images", picture.extension), new_key("chat/images", "webp")
        row = {
            "id": new_id(),
            "kind": "image",
            "name": with_extension(name, picture.extension),
            "content_type": picture.content_type,
            "size": picture.size,
            "key": key,
            "width": picture.width,
            "height": picture.height,
            "blurhash": picture.blurhash,
            "thumbnail_key": thumbnail_key,
            "thumbnail_size": picture.thumbnail_size,
            "created_at": now(),
        }
        return Prepared(row, {key: image, thumbnail_key: thumbnail})

    def _refuse_large_image(self, received: Received) -> None:
        most = self._settings.image_max_bytes
        if received.size > most:
            sentence = f"An image may have at most {most / MIB:g} MiB."
            raise _refused(received, TooLarge(sentence), "file_too_large")

    async def _part(self, parts: contextlib.AsyncExitStack) -> Path:
        return (await parts.enter_async_context(self._staging.part())).path


def new_key(place: str, extension: str) -> str:
    """A key that nobody can guess, in one of 256 directories below `place`."""
    name = secrets.token_hex(16)
    return f"{place}/{name[:2]}/{name}.{extension}" if extension else f"{place}/{name[:2]}/{name}"


def _document(received: Received, name: str) -> Prepared:
    key = new_key("chat/documents", "")
    row = {
        "id": new_id(),
        "kind": "document",
        "name": name,
        "content_type": document_type(name, received.content_type),
        "size": received.size,
        "key": key,
        "width": None,
        "height": None,
        "blurhash": None,
        "thumbnail_key": None,
        "thumbnail_size": 0,
        "created_at": now(),
    }
    return Prepared(row, {key: received.path})


def _picture_type(path: Path) -> str | None:
    with path.open("rb") as file:
        return picture_type(file.read(HEAD_BYTES))


@contextlib.contextmanager
def _about(received: Received) -> Any:
    """Say of a refusal which file it is about."""
    try:
        yield
    except (TooLarge, UnreadableImage, UnsupportedType) as error:
        code = "too_many_pixels" if isinstance(error, TooLarge) else error.code
        raise _refused(received, error, code) from error


def _refused(received: Received, error: ChattyError, code: str = "") -> ChattyError:
    return type(error)(error.detail, errors=[FieldError(received.field, code or error.code, error.detail)])
