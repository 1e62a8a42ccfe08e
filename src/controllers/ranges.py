"""Which bytes of an object are asked for (RFC 9110 §14)."""

import re
from collections.abc import Mapping

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,40})-([0-9]{0,40})[ \t]*", re.IGNORECASE)


def wanted(headers: Mapping[str, str], size: int, etag: str) -> range | None:
    """The range that a request's headers ask for, empty where there is no such one; None for the whole.

    A range that cannot be read, several of them, or one of another version (`If-Range`) stand for the whole.
    """
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    if not asked or headers.get("If-Range", f'"{etag}"') != f'"{etag}"':
        return None
    first, last = asked.groups()
    if not first:
        return range(size)[max(0, size - int(last)) :] if last else None
    if last and int(last) < int(first):
        return None
    return range(size)[int(first) : int(last) + 1 if last else size]
