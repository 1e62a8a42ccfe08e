"""The headers of tus 1.0 (tus.io), read and written."""

import binascii
import re
from datetime import datetime
from email.utils import format_datetime
from typing import NamedTuple

from aiohttp import web

from ..errors import FieldError, Invalid, PreconditionFailed, UnsupportedType

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
MEDIA_TYPE = "application/offset+octet-stream"
MAX_METADATA = 4096
MAX_WORD = 1000
UNKNOWN_TYPE = "application/octet-stream"
LONGEST_TYPE = 127
_PAIR = r"[!-+\--~]+( ([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)?"
METADATA_PATTERN = f"^{_PAIR}(,{_PAIR})*$"

_NUMBER = re.compile(r"[0-9]{1,15}")
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without blanks and commas
_CONTROL = re.compile(r"[\0\r\n]")


class Metadata(NamedTuple):
    """What a client says of its file."""

    name: str
    content_type: str


def refuse_other_versions(request: web.Request) -> None:
    """Raises PreconditionFailed unless the client speaks this version; before all else, says the protocol."""
    if request.headers.getall("Tus-Resumable", []) != [VERSION]:
        raise PreconditionFailed(f"This service speaks tus {VERSION}: send `Tus-Resumable: {VERSION}`.")


def number_of(request: web.Request, name: str) -> int:
    """The number in a header. Raises Invalid where there is none."""
    value = single(request, name)
    if value is None or not _NUMBER.fullmatch(value):
        raise _invalid(name, "missing" if value is None else "int_parsing", "must be a number of bytes")
    return int(value)


def single(request: web.Request, name: str) -> str | None:
    """A header that may be there once. Raises Invalid."""
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise _invalid(name, "repeated", "must be there once")
    return values[0] if values else None


def refuse_what_is_not_spoken(request: web.Request) -> None:
    """Raises Invalid for extensions that would make something else of an upload."""
    for name in ("Upload-Concat", "Upload-Defer-Length"):
        if name in request.headers:
            raise _invalid(name, "unsupported", "is an extension that is not spoken here")


def refuse_other_bodies(request: web.Request) -> None:
    """Raises UnsupportedType unless the body is said to be bytes of a file."""
    if request.content_type != MEDIA_TYPE:
        raise UnsupportedType(f"Send {MEDIA_TYPE}.")


def metadata_of(request: web.Request) -> Metadata:
    """`Upload-Metadata: filename <base64>,filetype <base64>`; other words are passed over. Raises Invalid."""
    header = single(request, "Upload-Metadata") or ""
    if len(header) > MAX_METADATA:
        raise _invalid("Upload-Metadata", "string_too_long", f"must have at most {MAX_METADATA} characters")
    words: dict[str, str] = {}
    for pair in header.split(",") if header else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in words:
            raise _invalid("Upload-Metadata", "key", "must name different things")
        words[key] = _decoded(value)
    said = words.get("filetype", "")
    return Metadata(words.get("filename", ""), said if 0 < len(said) <= LONGEST_TYPE else UNKNOWN_TYPE)


def http_date(moment: datetime) -> str:
    """RFC 9110 §5.6.7."""
    return format_datetime(moment, usegmt=True)


def _decoded(value: str) -> str:
    try:
        if len(value) % 4:
            raise binascii.Error
        text = binascii.a2b_base64(value.encode("ascii"), strict_mode=True).decode("utf-8")
    except (binascii.Error, UnicodeError):
        raise _invalid("Upload-Metadata", "base64", "must hold UTF-8 in Base64") from None
    if _CONTROL.search(text):
        raise _invalid("Upload-Metadata", "nul", "must not contain NUL or line breaks")
    return text


def _invalid(field: str, code: str, message: str) -> Invalid:
    return Invalid(errors=[FieldError(field, code, message)])
