"""Who sends a push (VAPID, RFC 8292): a P-256 key of our own, and the tokens that it signs for push services.

A browser's subscription takes pushes of one key alone. A new key makes every subscription useless, until its browser
subscribes anew.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..clock import now
from ..kept_secrets import kept
from .base64url import decoded, encoded

_CURVE: Final = ec.SECP256R1()
_SCALAR_BYTES: Final = 32
_GOOD_FOR: Final = timedelta(hours=12)  # 24 at most, and some clocks are wrong
_SHOWN_FOR: Final = timedelta(hours=4)
_MAX_TOKENS: Final = 256  # whoever subscribes chooses the origin
_SUBJECT: Final = re.compile(r"mailto:[^\s<>@]+@[^\s<>@]+|https://[^\s<>/]+(/\S*)?")


class VapidKey:
    """The pair of keys by which push services know us."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key: Final = encoded(point)
        """What a browser takes as `applicationServerKey`: the uncompressed point in base64url."""

    @classmethod
    def generate(cls) -> Self:
        return cls(ec.generate_private_key(_CURVE))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The key of a `private_text`. Raises ValueError, which does not show it."""
        try:
            scalar = decoded(text.strip())
            if len(scalar) != _SCALAR_BYTES:
                raise ValueError
            return cls(ec.derive_private_key(int.from_bytes(scalar), _CURVE))
        except ValueError:
            raise ValueError("no VAPID key: it must be 32 bytes in base64url, as `chatty vapid-keys` prints") from None

    @property
    def private_text(self) -> str:
        """The secret half in base64url, as web-push libraries exchange it."""
        return encoded(self._private.private_numbers().private_value.to_bytes(_SCALAR_BYTES))

    def signed(self, claims: dict[str, Any]) -> str:
        """A JWT (ES256) of these claims."""
        return jwt.encode(claims, self._private, algorithm="ES256")


def vapid_key(given: str, path: Path) -> VapidKey:
    """The key that was `given` as text or, where that is empty, the one kept at `path`, made by whoever is first.

    Raises ValueError where there is something else, OSError where nothing can be kept.
    """
    if given:
        return VapidKey.from_text(given)
    try:
        return VapidKey.from_text(kept(path, lambda: VapidKey.generate().private_text))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


class _Token(NamedTuple):
    header: str
    made_at: datetime


class VapidTokens:
    """Says to push services who we are: `subject` is where their operators may write to, `mailto:…` or `https://…`."""

    def __init__(self, key: VapidKey, subject: str) -> None:
        if not _SUBJECT.fullmatch(subject):
            raise ValueError("the subject of VAPID tokens must be mailto: with an address, or https://")
        self._key = key
        self._subject = subject
        self._tokens: dict[str, _Token] = {}

    def authorization(self, audience: str) -> str:
        """The header for a push service, named by its origin: the same for some hours, because signing takes time."""
        moment, token = now(), self._tokens.get(audience)
        # Neither made too long ago nor in the future, where the clock was put back.
        if token is None or not timedelta() <= moment - token.made_at < _SHOWN_FOR:
            if len(self._tokens) >= _MAX_TOKENS:
                self._tokens.clear()
            token = self._tokens[audience] = _Token(self._header(audience, moment), moment)
        return token.header

    def _header(self, audience: str, moment: datetime) -> str:
        claims = {"aud": audience, "exp": int((moment + _GOOD_FOR).timestamp()), "sub": self._subject}
        return f"vapid t={self._key.signed(claims)}, k={self._key.public_key}"
