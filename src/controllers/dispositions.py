"""The Content-Disposition header: read as browsers and programs send it, written so that every browser reads it.

In a form it follows WHATWG (a name in raw UTF-8, three characters escaped), RFC 7578 and, from some programs, RFC 5987;
in an answer RFC 6266.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_KIND = re.compile(r"\s*form-data(?=\s*(?:;|$))", re.IGNORECASE)
_NAME = re.compile(rf"\s*;\s*({_WORD})\s*=\s*")
# A browser ends a name at the first quote, an older program escapes quotes by a backslash: whichever fits.
_VALUE = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s*(?:;|$))|"([^"]*)"|([^\s;"]+)', re.DOTALL)
_EXTENDED = re.compile(rf"({_WORD})'[^']*'([!#$&+.^_`|~0-9A-Za-z%-]*)")
_WHATWG = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_CHARSETS = frozenset({"utf-8", "iso-8859-1", "us-ascii"})
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
_UNSAFE_IN_QUOTES = re.compile(r'[^ -~]|["\\%]')


class Disposition(NamedTuple):
    """What a part of a form says of itself. `filename` is None where it is no file."""

    name: str
    filename: str | None


def parsed(value: str) -> Disposition | None:
    """Read the Content-Disposition of a part of a form; None where it is none, or says something twice."""
    kind = _KIND.match(value)
    found = _parameters(value, kind.end()) if kind else None
    if not found or "name" not in found:
        return None
    return Disposition(found["name"], _filename(found))


def _parameters(value: str, position: int) -> dict[str, str] | None:
    found: dict[str, str] = {}
    while value[position:].strip(" \t;"):
        name = _NAME.match(value, position)
        given = name and _VALUE.match(value, name.end())
        if not name or not given or name[1].lower() in found:
            return None
        found[name[1].lower()] = _unescaped(given)
        position = given.end()
    return found


def _filename(found: Mapping[str, str]) -> str | None:
    extended = _decoded(found["filename*"]) if "filename*" in found else None
    return _spelt_out(found.get("filename")) if extended is None else extended


def _spelt_out(name: str | None) -> str | None:
    """aiohttp writes names as in a URL. Nobody calls a file so in another script; in ASCII, somebody may."""
    read = unquote(name) if name and "%" in name else ""
    return read if not read.isascii() and quote(read, safe="") == name else name


def _unescaped(given: re.Match[str]) -> str:
    escaped, plain, token = given.groups()
    if token is not None:
        return token
    text: str = plain if escaped is None else escaped
    if r"\"" in text and escaped is not None:
        return re.sub(r'\\(["\\])', r"\1", text)
    return re.sub("%22|%0D|%0A", lambda found: _WHATWG[found[0]], text)


def _decoded(extended: str) -> str | None:
    found = _EXTENDED.fullmatch(extended)
    if not found or found[1].lower() not in _CHARSETS:
        return None
    return unquote_to_bytes(found[2]).decode(found[1], "replace")


def written(name: str, *, inline: bool) -> str:
    """The Content-Disposition of an answer. What is not ASCII is said twice, for those who read no `filename*`."""
    kind = "inline" if inline else "attachment"
    if not name:
        return kind
    plain = _UNSAFE_IN_QUOTES.sub("_", name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    whole = quote(name.encode("utf-8", "replace"), safe=_ATTRIBUTE_CHARACTERS)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{whole}"
