"""Where a sign-in elsewhere ends: on this service or at a listed origin, nowhere else (RFC 9700 §4.11)."""

from collections.abc import Collection
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from ..errors import FieldError, Invalid

MAX_CHARACTERS = 2048
_AS_THEY_ARE = "!#$%&'()*+,/:;=?@[]~"


def checked(target: str, origins: Collection[str]) -> str:
    """`target` as it goes into a Location header. Raises Invalid unless it is a path of ours or at one of `origins`."""
    if len(target) > MAX_CHARACTERS or not _is_plain(target) or not _is_ours(target, origins):
        said = FieldError("redirect_to", "redirect", "must be a path of this service or an address of a listed origin")
        raise Invalid(errors=[said])
    return quote(target, safe=_AS_THEY_ARE)


def with_error(target: str, code: str) -> str:
    """The same place, told what went wrong; an `error` that it had is replaced, all else is kept."""
    parts = urlsplit(target)
    kept = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != "error"]
    return urlunsplit(parts._replace(query="&".join([*kept, f"error={code}"])))


def _is_plain(target: str) -> bool:
    """No blank, no control character, nothing that is half a character; no backslash, which browsers take for a /."""
    return target.isprintable() and " " not in target and "\\" not in target


def _is_ours(target: str, origins: Collection[str]) -> bool:
    if target.startswith("/"):
        return not target.startswith("//")
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}" in origins
