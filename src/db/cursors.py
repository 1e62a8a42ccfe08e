"""Where a page ends and the next begins: opaque to clients, the sort key of the last row to us.

A cursor is not signed. It says where to go on in a list that its reader may read anyhow; one that was tampered with
starts elsewhere in that list, or is refused.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson

from ..errors import FieldError, Invalid
from .rows import Row

T = TypeVar("T", bound=Row)

Key = tuple[str | int | UUID | datetime, ...]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_MILLISECONDS = 2**47  # some way into the year 6429


def encode(key: Key) -> str:
    """A cursor that `decode` turns back into `key`. Times are kept in milliseconds."""
    return urlsafe_b64encode(orjson.dumps([_plain(part) for part in key])).rstrip(b"=").decode()


def decode(cursor: str | None, *kinds: type) -> Key | None:
    """The key in a cursor, one part of each of `kinds` (`str`, `int`, `UUID`, `datetime`); None for the first page.

    Raises Invalid for anything that `encode` does not make of such a key.
    """
    if cursor is None:
        return None
    try:
        parts = orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError
        key = tuple(_read(kind, part) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, binascii.Error, UnicodeEncodeError):
        raise _refused() from None
    if encode(key) != cursor:
        raise _refused()
    return key


def cut(rows: Sequence[T], limit: int, key: Callable[[T], Key]) -> tuple[Sequence[T], str | None]:
    """A page of `limit` rows, and the cursor of the next: None unless one row more was read."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], encode(key(rows[limit - 1]))


def _plain(part: str | int | UUID | datetime) -> str | int:
    if isinstance(part, datetime):
        return (part - _EPOCH) // timedelta(milliseconds=1)
    return str(part) if isinstance(part, UUID) else part


def _read(kind: type, part: Any) -> str | int | UUID | datetime:
    if kind in (str, UUID):
        if not isinstance(part, str) or "\0" in part:
            raise ValueError
        return UUID(part) if kind is UUID else part
    if type(part) is not int or not 0 <= part <= (_MAX_MILLISECONDS if kind is datetime else 2**53 - 1):
        raise ValueError
    return _EPOCH + timedelta(milliseconds=part) if kind is datetime else part


def _refused() -> Invalid:
    return Invalid(errors=[FieldError("cursor", "cursor", "must be the next_cursor of an earlier page")])
