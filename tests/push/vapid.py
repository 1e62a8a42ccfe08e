"""What a push service checks of who sends: RFC 8292, written from the document."""

import base64
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .rfc8291 import CURVE

DAY = 24 * 3600
HEADER = re.compile(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), ?k=([\w-]+)", re.ASCII)


def verify(authorization: str, audience: str, public_key: str, moment: float) -> dict[str, object]:
    """The claims. Raises ValueError, in words, for what does not prove that the owner of `public_key` sends now."""
    parts = HEADER.fullmatch(authorization)
    if not parts:
        raise ValueError(f"no VAPID header: {authorization!r}")
    head, body, signature, key = parts.groups()
    if key != public_key:
        raise ValueError("not the key that the browser subscribed with")
    if json.loads(plain(head)) != {"typ": "JWT", "alg": "ES256"}:
        raise ValueError(f"a strange JOSE header: {plain(head)!r}")
    _verify_signature(f"{head}.{body}".encode(), plain(signature), plain(key))
    claims = json.loads(plain(body))
    _check(claims, audience, moment)
    return claims


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verify_signature(signed: bytes, signature: bytes, key: bytes) -> None:
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, key)
    numbers = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64:
        raise ValueError("a signature of the wrong length")
    try:
        public.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ValueError("a forged signature") from None


def _check(claims: dict[str, object], audience: str, moment: float) -> None:
    if claims.keys() != {"aud", "exp", "sub"}:
        raise ValueError(f"claims {sorted(claims)}")
    if claims["aud"] != audience:
        raise ValueError(f"for {claims['aud']}, not for {audience}")
    if type(claims["exp"]) is not int or not moment < claims["exp"] <= moment + DAY:
        raise ValueError(f"expires {claims['exp']}, now is {moment}")
    if not re.fullmatch(r"mailto:[^@<>\s]+@[^@<>\s]+|https://\S+", str(claims["sub"])):
        raise ValueError(f"nobody to write to: {claims['sub']}")
