"""Who sends a push (VAPID, RFC 8292): a P-256 key of our own, and the tokens that it signs for push services.

A browser's subscription takes pushes of one key alone. A new key makes every subscription useless, until its browser
subscribes anew.
"""

import re
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, Final, NamedTuple, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..clock import now
from .base64url import decoded, encoded

_CURVE: Final = ec.SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCALAR_BYTES: Final = 32
_SPARE_BYTES: Final = 16  # so many more than it takes leave no scalar likelier than another (FIPS 186-5, A.2.1)
_INFO: Final = b"chatty vapid private key 1"
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


def vapid_key(given: str, secret: str) -> VapidKey:
    """The key that was `given` as text or, where that is empty, the one that belongs to `secret`: always the same.

    Raises ValueError where something else was given.
    """
    if given:
        return VapidKey.from_text(given)
    bits = HKDF(SHA256(), _SCALAR_BYTES + _SPARE_BYTES, salt=None, info=_INFO).derive(secret.encode())
    return VapidKey(ec.derive_private_key(int.from_bytes(bits) % (_ORDER - 1) + 1, _CURVE))


def subject_of(mail_from: str, public_url: str) -> str:
    """Where the operators of push services may write to: the address that mails come from.

    Apple's refuses one at localhost: then the service's own address, if that is one of https.
    """
    subject = f"mailto:{parseaddr(mail_from)[1]}"
    host = subject.rpartition("@")[2].lower()
    is_real = _SUBJECT.fullmatch(subject) and host.rpartition(".")[2] != "localhost"
    if not is_real and _SUBJECT.fullmatch(public_url):
        return public_url
    return subject if _SUBJECT.fullmatch(subject) else "mailto:chatty@localhost"


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
