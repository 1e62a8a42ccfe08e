"""Types that every part of the contract shares (contract §1)."""

import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from .links import Reader

T = TypeVar("T")

# Letters and symbols that show nothing: Hangul fillers, the empty Braille pattern.
_FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Request(BaseModel):
    """Base of what comes in: unknown fields are refused, types are strict (contract §1, §9)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class View(BaseModel):
    """Base of what goes out: made inside a transaction, never changed after."""

    model_config = ConfigDict(frozen=True)

    def encoded(self, reader: Reader | None = None) -> bytes:
        """The JSON that goes out to `reader`; without one, links are bare paths."""
        return self.__pydantic_serializer__.to_json(self, context=reader)


@lru_cache(maxsize=64)  # a batch of messages has one moment
def rfc3339(moment: datetime) -> str:
    """A moment as the contract writes it: RFC 3339, UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T09:30:00.000Z"]}),
]


def _moment(value: Any) -> datetime:
    """A time in UTC and milliseconds. Pydantic would read seconds since 1970 as digits too, and a blank for the T."""
    try:
        if not isinstance(value, str) or not _RFC3339.fullmatch(value):
            raise ValueError
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("datetime_parsing", "must be a time like 2026-11-21T09:30:00.000Z") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
"""A time that comes in: RFC 3339, with its offset; kept in UTC and milliseconds."""


def nfc(value: Any) -> Any:
    """Normalise before anything is counted, so that decomposed Hangul (macOS) has its usual length."""
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        raise PydanticCustomError("nul", "must not contain NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "must be valid Unicode") from None
    return unicodedata.normalize("NFC", value)


def _one_line(value: str) -> str:
    if any(unicodedata.category(char) == "Cc" or char in BIDI_CONTROLS for char in value):
        raise PydanticCustomError("control_character", "must not contain control characters")
    return value


def is_visible(value: str) -> bool:
    """Would it show as something?"""
    return any(unicodedata.category(char)[0] in "LNPS" and char not in _FILLERS for char in value)


def visible(value: str) -> str:
    """Refuse a text that would show as nothing."""
    if not is_visible(value):
        raise PydanticCustomError("blank", "must contain something that can be seen")
    return value


Text = Annotated[str, BeforeValidator(nfc)]
Nickname = Annotated[
    str,
    BeforeValidator(nfc),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=50),
    AfterValidator(_one_line),
    AfterValidator(visible),
]
RoomName = Annotated[
    str,
    BeforeValidator(nfc),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(_one_line),
    AfterValidator(visible),
]
Intro = Annotated[str, BeforeValidator(nfc), StringConstraints(strip_whitespace=True, max_length=500)]
Query = Annotated[str, BeforeValidator(nfc), StringConstraints(strip_whitespace=True, max_length=100)]
Seq = Annotated[int, Field(ge=0, le=2**53 - 1)]


class PageQuery(BaseModel):
    """`?limit=` (1–100, default 50) and `?cursor=` (as the previous page gave it)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Annotated[str, StringConstraints(max_length=512)] | None = None


class Page(View, Generic[T]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None = None


class Items(View, Generic[T]):
    """A whole list."""

    items: list[T]


def _one_spelling(value: Any) -> Any:
    """Pydantic reads a UUID in braces, with `urn:` and without hyphens too; an id has one spelling on every client."""
    if isinstance(value, str) and not _UUID.fullmatch(value):
        raise PydanticCustomError("uuid_parsing", "must be a UUID of 36 characters")
    return value


Id = Annotated[UUID, BeforeValidator(_one_spelling)]
