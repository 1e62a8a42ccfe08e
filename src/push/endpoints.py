"""Where a push may go. A browser names its push service, and whoever can sign in can say that they are a browser."""

from collections.abc import Collection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from ..origins import origin_of
from ..public_addresses import is_name
from .base64url import decoded

MAX_ENDPOINT: Final = 2048
_POINT_BYTES: Final = 65
_UNCOMPRESSED: Final = b"\x04"
_AUTH_BYTES: Final = 16


class Subscription(NamedTuple):
    """Where one browser listens, and what only it can read what is sent there with (RFC 8291 §2), in base64url."""

    endpoint: str
    p256dh: str
    auth: str


def check_endpoint(endpoint: str, allowed_origins: Collection[str]) -> None:
    """Raise ValueError, with a sentence, unless pushes may be sent there.

    That is to a name on the internet over https, on its usual port. `allowed_origins`, as `origin_of` writes them, are
    the operator's own push services: they may be anywhere.
    """
    if len(endpoint) > MAX_ENDPOINT:
        raise ValueError(f"The endpoint is longer than {MAX_ENDPOINT} characters.")
    if "#" in endpoint:
        raise ValueError("The endpoint has a fragment.")
    try:
        origin = origin_of(endpoint)
    except ValueError:
        raise ValueError("The endpoint is no address of a push service.") from None
    if origin not in allowed_origins and not _is_on_the_internet(endpoint, origin):
        raise ValueError("The endpoint must be at a push service on the internet, by its name and over https.")


def _is_on_the_internet(endpoint: str, origin: str) -> bool:
    """By its looks: what the name leads to is seen when it is asked (public_addresses.PublicOnly)."""
    host = urlsplit(endpoint).hostname or ""
    labels = host.removesuffix(".").split(".")
    if origin != f"https://{host}:443" or not is_name(host):
        return False
    return len(labels) > 1 and all(labels) and labels[-1] != "localhost"


def check_p256dh(key: str) -> None:
    """Raise ValueError, with a sentence, unless something can be encrypted for this key."""
    try:
        point = decoded(key)
        if len(point) != _POINT_BYTES or not point.startswith(_UNCOMPRESSED):
            raise ValueError
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise ValueError("The key p256dh must be an uncompressed point of P-256 in base64url.") from None


def check_auth(secret: str) -> None:
    """Raise ValueError, with a sentence, unless it is as long as browsers make it."""
    try:
        if len(decoded(secret)) != _AUTH_BYTES:
            raise ValueError
    except ValueError:
        raise ValueError(f"The key auth must be {_AUTH_BYTES} bytes in base64url.") from None


def audience_of(endpoint: str) -> str:
    """A push service by its name in VAPID tokens: the origin as browsers write it, without the usual port."""
    origin = origin_of(endpoint)
    usual = ":443" if origin.startswith("https:") else ":80"
    return origin.removesuffix(usual)
