"""What a file is called: the sender's word, made fit to be shown and to be saved under on anybody's machine."""

import re
import unicodedata

from ..schemas.common import BIDI_CONTROLS, is_visible

MAX_BYTES = 200
MAX_EXTENSION = 16
UNNAMED = "file"

_UNFIT = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))
_SEPARATORS = re.compile(r"[/\\]")
_RESERVED = re.compile(r'[<>:"|?*]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def usable_name(given: str) -> str:
    """The last part of a path, NFC (macOS sends Hangul decomposed), without what no file system or reader takes.

    At most 200 bytes of UTF-8, its extension kept; `file` where nothing is left.
    """
    name = unicodedata.normalize("NFC", _SEPARATORS.split(given)[-1].encode(errors="ignore").decode())
    name = "".join(char for char in name if unicodedata.category(char) not in _UNFIT and char not in BIDI_CONTROLS)
    name = _RESERVED.sub("_", name).lstrip(". ").rstrip(". ")
    if _DEVICES.fullmatch(name):
        name = f"_{name}"
    return _shortened(name) if is_visible(name) else UNNAMED


def extension_of(name: str) -> str:
    """In lower case without its dot, or empty."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if stem and dot and len(extension) <= MAX_EXTENSION else ""


def with_extension(name: str, extension: str) -> str:
    """The same name for other content; one that fits stays as it is spelt."""
    current = extension_of(name)
    if current == extension or {current, extension} == {"jpg", "jpeg"}:
        return name
    stem = name[: -len(current) - 1] if current in _PICTURES else name
    return _shortened(f"{stem}.{extension}")


_PICTURES = frozenset(("jpg", "jpeg", "png", "gif", "webp", "heic", "heif", "avif", "apng", "jfif"))


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_BYTES:
        return name
    extension = extension_of(name)
    ending = f".{extension}" if extension else ""
    stem = name[: len(name) - len(ending)].encode()[: MAX_BYTES - len(ending.encode())]
    return stem.decode(errors="ignore").rstrip(". ") + name[len(name) - len(ending) :]
