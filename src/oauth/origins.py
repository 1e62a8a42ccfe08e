"""Scheme, host and port of an address: what decides whether it may be asked."""

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin_of(address: str) -> str:
    """RFC 6454 §4, with the port always written: `https://example.com:443`. Raises ValueError if it is no address."""
    parts = urlsplit(address)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("no address of http:// or https://")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
