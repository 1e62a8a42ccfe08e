"""Access tokens and refresh tokens: made and read, without a database.

An access token is a JWT (RFC 7519) for fifteen minutes. A refresh token is `session.generation.mac`: that it is genuine
is seen from itself, whether it is still the valid one only from its session's row.
"""

import base64
import hashlib
import hmac
import math
import time
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import jwt

from ..clock import now
from ..errors import TokenExpired, Unauthorized
from ..viewer import Viewer

AUDIENCE = "chatty"
ALGORITHM = "HS256"
MAX_TOKEN_CHARACTERS = 4096
MAX_CLOCK_SKEW_SECONDS = 60
MAX_REMEMBERED = 5_000
_REQUIRED = ["iss", "aud", "sub", "sid", "typ", "iat", "exp"]


class RefreshToken(NamedTuple):
    """What a genuine refresh token says of itself."""

    session_id: UUID
    generation: int


class Tokens:
    """Makes and reads tokens under keys derived from `signing_key`, one per purpose.

    `issuer`: this service's public URL. `access_seconds`: how long an access token lasts.
    """

    def __init__(self, signing_key: str, issuer: str, access_seconds: int) -> None:
        self.access_seconds = access_seconds
        self._issuer = issuer
        self._access_key = derived(signing_key, "access token")
        self._refresh_key = derived(signing_key, "refresh token")
        self._verified: dict[str, tuple[Viewer, float]] = {}

    def access(self, user_id: UUID, session_id: UUID) -> str:
        """A new access token of a session."""
        moment = now().timestamp()
        claims = {
            "iss": self._issuer, "aud": AUDIENCE, "typ": "access", "sub": str(user_id), "sid": str(session_id),
            "iat": int(moment), "exp": math.ceil(moment + self.access_seconds),
        }  # fmt: skip
        return jwt.encode(claims, self._access_key, algorithm=ALGORITHM)

    def read_access(self, token: str) -> Viewer:
        """Who an access token speaks for. Raises TokenExpired, and Unauthorized for whatever is not one of ours.

        Verified tokens are remembered until they expire: a signature does not change its mind.
        """
        known = self._verified.get(token)
        if known is None:
            known = self._remember(token, self._read(token))
        viewer, expires = known
        if expires <= time.time():
            self._verified.pop(token, None)
            raise TokenExpired
        return viewer

    def refresh(self, session_id: UUID, generation: int) -> str:
        """The refresh token of that generation of a session. Always the same one, so that a race has one outcome."""
        body = f"{session_id}.{generation}"
        return f"{body}.{self._mac(body)}"

    def read_refresh(self, token: str) -> RefreshToken:
        """The session and generation that a refresh token stands for. Raises Unauthorized unless we made it."""
        body, _, mac = token.rpartition(".")
        if not hmac.compare_digest(mac.encode(errors="replace"), self._mac(body).encode()):
            raise Unauthorized("The refresh token is not valid.")
        session_id, _, generation = body.partition(".")
        return RefreshToken(UUID(session_id), int(generation))

    def _mac(self, body: str) -> str:
        digest = hmac.digest(self._refresh_key, body.encode(errors="replace"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _read(self, token: str) -> Viewer:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise Unauthorized
        try:
            return _viewer(self._decoded(token))
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except Exception:  # PyJWT lets others through: UnicodeError, RecursionError, …
            raise Unauthorized from None

    def _decoded(self, token: str) -> dict[str, Any]:
        """The claims, with all of it checked that PyJWT would let pass: presence, type, a time of issue to come."""
        claims: dict[str, Any] = jwt.decode(
            token,
            self._access_key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=self._issuer,
            options={"require": _REQUIRED, "verify_iat": False, "strict_aud": True},
        )
        if claims["typ"] != "access" or claims["iat"] > time.time() + MAX_CLOCK_SKEW_SECONDS:
            raise Unauthorized
        return claims

    def _remember(self, token: str, viewer: Viewer) -> tuple[Viewer, float]:
        if len(self._verified) >= MAX_REMEMBERED:
            for oldest in list(self._verified)[: MAX_REMEMBERED // 10]:
                del self._verified[oldest]
        self._verified[token] = known = (viewer, viewer.expires_at.timestamp())
        return known


def _viewer(claims: dict[str, Any]) -> Viewer:
    return Viewer(UUID(claims["sub"]), UUID(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC))


def derived(signing_key: str, purpose: str) -> bytes:
    """A key for one purpose alone, so that no token of one kind can be read as another (RFC 5869, one block)."""
    extracted = hmac.digest(b"chatty", signing_key.encode(), "sha256")
    return hmac.new(extracted, purpose.encode() + b"\x01", hashlib.sha256).digest()
