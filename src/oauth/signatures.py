"""Signed tokens (RFC 7515, RFC 7519), verified as RFC 8725 says: we decide how and with what, never the token."""

import warnings
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from .answers import json_object
from .failures import Refused, Unanswered
from .keys import Keys

if TYPE_CHECKING:
    from joserfc.jws import CompactSignature

# A key, or the way to one, in the token itself; extensions, of which we know none.
_FORBIDDEN: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit"})


def load() -> None:
    """Import what verifies, for whoever will need it: a fifth of a second, at the start and not amid the traffic."""
    from joserfc import jwk, jws  # noqa: F401


async def verified(token: str, keys: Keys, algorithms: Collection[str]) -> dict[str, Any]:
    """The claims of a token that one of `keys` signed with one of `algorithms`.

    Raises Refused if it is none or not so signed, Unanswered if the keys cannot be had. What the claims say is
    the caller's to check.
    """
    parsed = _parsed(token)
    header = _checked_header(parsed.headers(), algorithms)
    key = await keys.find(header.get("kid"), header["alg"])
    _check_signature(parsed, key, algorithms)
    try:
        return json_object(parsed.payload)
    except Unanswered:
        raise Refused("claims_are_no_json") from None


def _parsed(token: str) -> "CompactSignature":
    from joserfc import jws

    try:
        return jws.extract_compact(token.encode("ascii"))
    except Exception:  # strangers write these bytes, and what they make a parser raise is no list to rely on
        raise Refused("no_signed_token") from None


def _checked_header(header: object, algorithms: Collection[str]) -> dict[str, Any]:
    """RFC 8725 §3.1, §3.10, §3.11."""
    if not isinstance(header, dict) or not isinstance(header.get("kid", ""), str):
        raise Refused("malformed_header")
    if header.get("alg") not in algorithms:
        raise Refused("wrong_algorithm")
    if _FORBIDDEN & header.keys():
        raise Refused("forbidden_header")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise Refused("wrong_type")
    return header


def _check_signature(parsed: "CompactSignature", key: Any, algorithms: Collection[str]) -> None:
    from joserfc import jws

    registry = jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that EdDSA has a newer name (RFC 9864) is no news to whoever is here
            genuine = jws.validate_compact(parsed, key, registry=registry)
    except Exception:
        raise Refused("signature_unreadable") from None
    if not genuine:
        raise Refused("wrong_signature")
