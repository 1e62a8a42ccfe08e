"""Reading what others say: strict JSON, and values that are of the kind they ought to be or are not taken at all."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from .failures import Unanswered

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_SUBJECT: Final = 255
MAX_NICKNAME: Final = 255
MAX_ADDRESS: Final = 2048
MAX_TOKEN: Final = 16_384

# What may be put into a header or a form without changing its meaning.
_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{MAX_TOKEN}}}")


def json_object(raw: bytes) -> dict[str, Any]:
    """A JSON object (RFC 8259). Raises Unanswered for all else: bad UTF-8, surrogates, NaN, depth over 1,024."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Unanswered("not_json") from None
    if not isinstance(value, dict):
        raise Unanswered("not_an_object")
    return value


def text(value: object, most: int) -> str | None:
    """A string of 1 to `most` characters without NUL and without surrogates, or None."""
    if not isinstance(value, str) or not 1 <= len(value) <= most or "\x00" in value:
        return None
    return None if any("\ud800" <= character <= "\udfff" for character in value) else value


def token(value: object) -> str | None:
    """A token, safe in a header (RFC 6749 appendix A.12), or None."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def nickname(*values: object) -> str | None:
    """The first that is a name. An e-mail address is none: others would see it."""
    for value in values:
        name = text(value.replace("\x00", "")[:MAX_NICKNAME] if isinstance(value, str) else value, MAX_NICKNAME)
        if name and name.strip() and "@" not in name:
            return name
    return None


def email(value: object) -> str | None:
    """An address in the form in which accounts have theirs, or None if it is none."""
    from pydantic import ValidationError

    try:
        return _emails().validate_python(text(value, MAX_ADDRESS))
    except ValidationError:
        return None


@cache
def _emails() -> "TypeAdapter[str]":
    """Made once, and not at start: making it takes milliseconds."""
    from pydantic import TypeAdapter

    from ..schemas.auth import Email

    return TypeAdapter(Email)


def picture(value: object) -> str | None:
    """The address of a picture, or None."""
    address = text(value, MAX_ADDRESS)
    return address if address and address.startswith(("https://", "http://")) else None


def mapping(value: object) -> dict[str, Any]:
    """An object within an answer; whatever else is there counts as empty."""
    return value if isinstance(value, dict) else {}
