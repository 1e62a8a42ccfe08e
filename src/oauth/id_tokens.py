"""ID tokens (OpenID Connect Core §3.1.3.7): what a provider signs about whoever has just signed in."""

from typing import Final

from ..clock import now
from .answers import token as clean_token
from .claims import (
    LEEWAY,
    Claims,
    audience_of,
    check_audience,
    check_issuer,
    check_not_of_the_future,
    needed_moment,
    subject,
)
from .failures import Refused
from .keys import Keys
from .providers import Provider
from .signatures import verified

MAX_AGE: Final = 600
"""Seconds since it was made: a sign-in does not take longer."""


async def claims_of(id_token: object, provider: Provider, keys: Keys, nonce: str) -> Claims:
    """The claims of an ID token of `provider` for this sign-in. Raises Refused, or Unanswered without its keys."""
    if not (token := clean_token(id_token)):
        raise Refused("no_id_token")
    claims = await verified(token, keys, provider.algorithms)
    check_issuer(claims, provider.issuers)
    _check_audience(claims, provider.client_id)
    _check_times(claims)
    if claims.get("nonce") != nonce:
        raise Refused("wrong_nonce")
    subject(claims)
    return claims


def _check_audience(claims: Claims, client_id: str) -> None:
    """§3.1.3.7 (3) to (5): `azp` is us wherever it is there, and it must be with several audiences."""
    check_audience(claims, client_id)
    if ("azp" in claims or len(audience_of(claims)) > 1) and claims.get("azp") != client_id:
        raise Refused("wrong_authorized_party")


def _check_times(claims: Claims) -> None:
    """§3.1.3.7 (9) and (10)."""
    moment = now().timestamp()
    if needed_moment(claims, "exp") <= moment - LEEWAY:
        raise Refused("expired")
    if needed_moment(claims, "iat") < moment - MAX_AGE - LEEWAY:
        raise Refused("too_old")
    check_not_of_the_future(claims, "iat", moment)
    check_not_of_the_future(claims, "nbf", moment)
