"""Scheme, host and port of an address: what decides whether it may be asked."""

import re
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
# Nothing that two parsers could read differently: no user, no backslash, no blank, ASCII alone.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[\x21-\x5b\x5d-\x7e]*)?")


def origin_of(address: str) -> str:
    """RFC 6454 §4, with the port always written: `https://example.com:443`. Raises ValueError if it is no address."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError("no address of http:// or https://")
    parts = urlsplit(address)
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    return f"{parts.scheme}://{parts.hostname}:{port}"
