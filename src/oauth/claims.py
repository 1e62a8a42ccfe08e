"""What a verified token says of itself (RFC 7519 §4.1). Each raises Refused for what it does not accept."""

import math
from collections.abc import Collection
from typing import Any, Final

from .answers import MAX_SUBJECT, text
from .failures import Refused

LEEWAY: Final = 60
"""Seconds by which the clocks of two machines may differ."""
_YEAR_9999: Final = 253_402_300_799

Claims = dict[str, Any]


def check_issuer(claims: Claims, issuers: Collection[str]) -> None:
    """`iss` is one of them."""
    if not isinstance(claims.get("iss"), str) or claims["iss"] not in issuers:
        raise Refused("wrong_issuer")


def audience_of(claims: Claims) -> list[Any]:
    """`aud` as a list."""
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def check_audience(claims: Claims, audience: str) -> None:
    """`aud` is, or holds, this one."""
    if audience not in audience_of(claims):
        raise Refused("wrong_audience")


def subject(claims: Claims) -> str:
    """`sub`: a string of 1 to 255 characters."""
    found = text(claims.get("sub"), MAX_SUBJECT)
    if found is None:
        raise Refused("bad_subject")
    return found


def moment(claims: Claims, name: str) -> float | None:
    """A NumericDate in seconds, or None if it is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused("bad_time")
    if not 0 <= value <= _YEAR_9999:
        raise Refused("bad_time")
    return value


def needed_moment(claims: Claims, name: str) -> float:
    """A NumericDate that must be there."""
    value = moment(claims, name)
    if value is None:
        raise Refused(f"no_{name}")
    return value


def check_not_of_the_future(claims: Claims, name: str, now: float) -> None:
    """`iat` or `nbf`, if it is there, has come."""
    if (moment(claims, name) or 0) > now + LEEWAY:
        raise Refused(f"future_{name}")
