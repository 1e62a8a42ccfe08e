"""A provider's tokens, read for the day on which the person unlinks it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ..clock import now
from .answers import token
from .identity import Grant

_LONGEST: Final = 10 * 365 * 24 * 3600


def grant_in(answer: Mapping[str, Any]) -> Grant:
    """The grant in a token endpoint's answer, whose `access_token` is sound."""
    return Grant(answer["access_token"], token(answer.get("refresh_token")), expiry(answer.get("expires_in")))


def expiry(seconds: object) -> datetime | None:
    """When a token ends that lasts so long; None if nobody says. Naver says it in a string."""
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit() and len(seconds) < 12:
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= _LONGEST:
        return None
    return now() + timedelta(seconds=seconds)
