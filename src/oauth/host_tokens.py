"""Tokens of the host application (contract §2 `/auth/exchange`): read and verified (RFC 7519, RFC 8725)."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from ..clock import now
from ..errors import TokenExpired, Unauthorized, Unavailable
from ..origins import origin_of
from ..sign_in_settings import HOST, ExchangeSettings
from . import answers
from .claims import Claims, check_audience, check_issuer, check_not_of_the_future, needed_moment, subject
from .failures import Failed, Refused, Unanswered
from .identity import HostToken, VerifiedIdentity
from .keys import Keys, PublishedKeys, SharedSecret
from .outbound import Outbound
from .signatures import load, verified

MAX_CHARACTERS: Final = 4096
MAX_AHEAD: Final = 24 * 3600
"""Seconds for which a token may last: what is stolen must end, and a `jti` be remembered for no longer."""
_MAX_TOKEN_ID: Final = 255
_EXPIRED: Final = "expired"

_log = structlog.get_logger("chatty.oauth")


class HostTokens:
    """Reads tokens as `settings` say: signed by a key at its `jwks_url`, fetched over `outbound`, or by its secret."""

    def __init__(self, settings: ExchangeSettings, outbound: Outbound) -> None:
        load()
        self._settings = settings
        self._keys: Keys
        if settings.secret:
            self._keys, self._algorithms = SharedSecret(settings.secret), ["HS256"]
        else:
            self._keys = PublishedKeys(outbound, settings.jwks_url, {origin_of(settings.jwks_url)})
            self._algorithms = settings.algorithms.split()

    async def read(self, token: str) -> HostToken:
        """Whom a token speaks of, under the provider's name `host`.

        Raises TokenExpired, Unauthorized for whatever else is wrong with it, Unavailable if the keys cannot be had.
        """
        try:
            return await self._read(token)
        except Failed as failure:
            _log.warning("a token of the host application refused", provider=HOST, reason=failure.reason)
            raise _told(failure) from None
        except Exception:
            _log.exception("a token of the host application refused", provider=HOST, reason="unexpected")
            raise Unauthorized("The token could not be read.") from None

    async def _read(self, token: str) -> HostToken:
        if len(token) > MAX_CHARACTERS:
            raise Refused("too_long")
        claims = await verified(token, self._keys, self._algorithms)
        check_issuer(claims, {self._settings.issuer})
        check_audience(claims, self._settings.audience)
        expires = _expiry(claims)
        return HostToken(_identity(claims), _token_id(claims), datetime.fromtimestamp(expires, UTC))


def host_origins(settings: ExchangeSettings | None) -> frozenset[str]:
    """Where the host application is, as far as its settings say so; nowhere without any."""
    found = set()
    for address in (settings.issuer, settings.jwks_url) if settings else ():
        with suppress(ValueError):  # an issuer need not be an address
            found.add(origin_of(address))
    return frozenset(found)


def _expiry(claims: Claims) -> float:
    """`exp`, after a look at all times. To the second: a `jti` is remembered until then and not a moment longer."""
    moment = now().timestamp()
    expires = needed_moment(claims, "exp")
    if expires <= moment:
        raise Refused(_EXPIRED)
    if expires > moment + MAX_AHEAD:
        raise Refused("lasts_too_long")
    check_not_of_the_future(claims, "iat", moment)
    check_not_of_the_future(claims, "nbf", moment)
    return expires


def _token_id(claims: Claims) -> str | None:
    if "jti" not in claims:
        return None
    if (token_id := answers.text(claims["jti"], _MAX_TOKEN_ID)) is None:
        raise Refused("bad_token_id")  # taken for none, it could be used again
    return token_id


def _identity(claims: Claims) -> VerifiedIdentity:
    """Contract §9, exchange: `sub`, `name?`, `picture?`, `email?`."""
    address = answers.email(claims.get("email"))
    return VerifiedIdentity(
        provider=HOST,
        issuer=claims["iss"],
        subject=subject(claims),
        email=address,
        email_verified=address is not None and claims.get("email_verified") is True,
        nickname=answers.nickname(claims.get("name")),
        picture=answers.picture(claims.get("picture")),
    )


def _told(failure: Failed) -> Exception:
    if isinstance(failure, Unanswered):
        return Unavailable("The keys of the host application cannot be had right now; try again.")
    if failure.reason == _EXPIRED:
        return TokenExpired("The token has expired; get a new one from the host application.")
    return Unauthorized("The token is not one of the host application for this service.")
