"""What a browser does with a push: RFC 8291 over RFC 8188, written from the documents and for one record alone."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def decrypt(body: bytes, private: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """The payload. Raises ValueError, in words, for what a browser would throw away."""
    salt, record_size, id_length = body[:16], int.from_bytes(body[16:20]), body[20] if len(body) > 20 else 0
    sender, record = body[21 : 21 + id_length], body[21 + id_length :]
    if id_length != 65 or sender[:1] != b"\x04":
        raise ValueError("the keyid is no uncompressed point")
    if not 18 <= len(record) <= record_size:
        raise ValueError("not one record")
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
    keying = _hkdf(shared, auth, b"WebPush: info\0" + point(private.public_key()) + sender, 32)
    key = _hkdf(keying, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(keying, salt, b"Content-Encoding: nonce\0", 12)
    try:
        padded = AESGCM(key).decrypt(nonce, record, None).rstrip(b"\0")
    except InvalidTag:
        raise ValueError("encrypted for somebody else") from None
    if padded[-1:] != b"\2":
        raise ValueError("no delimiter of a last record")
    return padded[:-1]


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
