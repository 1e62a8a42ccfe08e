"""What a key may look like. Keys are made here and never by those who send; they are checked all the same."""

import re
from typing import Final

INCOMING: Final = "incoming"
"""Where parts wait, beside the objects: no key begins with it."""

_SEGMENT = r"[a-z0-9-][a-z0-9.-]*"
_KEY = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_PREFIX = re.compile(rf"({_SEGMENT}/)*({_SEGMENT})?")
_LONGEST = 255


def checked(key: str) -> str:
    """The key. Raises ValueError for what is none: it would lead elsewhere, or hide."""
    if not is_key(key):
        raise ValueError(f"No key of an object: {key[:_LONGEST]!r}")
    return key


def is_key(key: str) -> bool:
    """Whether this is a relative path of plain names; none of them begins with a dot."""
    return bool(len(key) <= _LONGEST and _KEY.fullmatch(key) and not f"{key}/".startswith(f"{INCOMING}/"))


def checked_prefix(prefix: str) -> str:
    """The beginning of a key, or of all. Raises ValueError for what no key begins with."""
    if len(prefix) > _LONGEST or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"No key begins so: {prefix[:_LONGEST]!r}")
    return prefix
