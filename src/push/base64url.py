"""Base64 as Web Push writes it: RFC 4648 §5, without padding."""

import base64
import re

_TEXT = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """The bytes of a text, padded or not. Raises ValueError if it is not base64url: Python itself skips what is not."""
    if not _TEXT.fullmatch(text):
        raise ValueError("not base64url")
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
