"""What a document is: what its content shows, what it is called, what its sender says; and what nobody may send."""

import asyncio
import mimetypes
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

import structlog

from .file_names import extension_of

log = structlog.get_logger("chatty.files")

ANY = "application/octet-stream"
_PICTURES = frozenset(f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "heic", "heif", "avif", "apng"))
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")


def document_type(name: str, declared: str) -> str:
    """The media type that people are shown: of the name's extension, else as declared, else of any bytes.

    Never a picture's: what is one by its content is no document.
    """
    by_name = _by_extension().get(f".{extension_of(name)}")
    said = declared.partition(";")[0].strip().lower()
    found = by_name or (said if _MEDIA_TYPE.fullmatch(said) and not said.startswith("multipart/") else ANY)
    return ANY if found in _PICTURES else found


async def banned_word(name: str, declared: str, path: Path, banned: Collection[str]) -> str | None:
    """Which of the banned extensions and media types a file is, by its name, by its sender's word or by its content."""
    if not banned:
        return None
    known = {extension_of(name), declared.partition(";")[0].strip().lower(), document_type(name, declared)}
    found = known & {*banned}
    if not found:
        found = await asyncio.to_thread(_of_content, path) & {*banned}
    return min(found) if found else None


def _of_content(path: Path) -> set[str]:
    """Extensions and media types that the content fits (blocks; reads the beginning and the end of the file)."""
    import puremagic  # where something is banned alone: it takes some milliseconds of a start

    try:
        matches = puremagic.magic_file(str(path))
    except (ValueError, OSError, puremagic.PureError):
        return set()
    return {
        word for match in matches for word in (match.extension.lstrip(".").lower(), match.mime_type.lower()) if word
    }


@cache
def _by_extension() -> dict[str, str]:
    """Without the files of the machine: every node says the same."""
    types = mimetypes.MimeTypes(filenames=())
    return {**types.types_map[1], ".hwp": "application/x-hwp", ".hwpx": "application/hwp+zip", ".md": "text/markdown"}
