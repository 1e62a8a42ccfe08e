"""The keys that verify signatures: published as a JWK Set (RFC 7517 §5), or one secret that both sides share."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

from .cached import Cached
from .failures import Refused, Unanswered
from .outbound import Outbound

if TYPE_CHECKING:
    from joserfc.jwk import Key

_MAX_KEYS: Final = 100
_RSA_BITS: Final = range(2048, 8193)


class Keys(Protocol):
    """Where the key of a signature is found."""

    async def find(self, kid: str | None, algorithm: str) -> "Key":
        """The one key of this name, if there is a name, that fits the algorithm.

        Raises Refused if there is none or more than one, Unanswered if the keys cannot be had.
        """
        ...


class PublishedKeys:
    """The public keys at `address`, fetched over `outbound`, and once more when a token names one that is not there."""

    def __init__(self, outbound: Outbound, address: str, origins: Collection[str]) -> None:
        self._outbound = outbound
        self._address = address
        self._origins = origins
        self._keys = Cached(self._fetch)

    async def find(self, kid: str | None, algorithm: str) -> "Key":
        fitting = _fitting(await self._keys.get(), kid, algorithm)
        fitting = fitting or _fitting(await self._keys.renewed(), kid, algorithm)
        if len(fitting) != 1:
            raise Refused("unknown_key")
        return fitting[0]

    async def _fetch(self) -> "list[Key]":
        answer = await self._outbound.ask(self._address, self._origins)
        published = answer.json().get("keys") if answer.is_success else None
        if not isinstance(published, list):
            raise Unanswered("no_keys")
        return [key for one in published[:_MAX_KEYS] if (key := _public_key(one))]


class SharedSecret:
    """The one key of HS256; whatever a token calls it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def find(self, kid: str | None, algorithm: str) -> "Key":
        from joserfc.jwk import OctKey

        return OctKey.import_key(self._secret)


def _public_key(one: Any) -> "Key | None":
    """A key to verify with, or None: for encrypting, of a kind that we do not know, weak, or nonsense."""
    from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

    if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = JWKRegistry.import_key(one)
        if isinstance(key, RSAKey) and key.raw_value.key_size not in _RSA_BITS:
            return None
    except Exception:  # one that nobody can read must not hide the others (RFC 7517 §5)
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _fitting(keys: "list[Key]", kid: str | None, algorithm: str) -> "list[Key]":
    return [key for key in keys if kid in (None, key.kid) and _suits(key, algorithm)]


def _suits(key: "Key", algorithm: str) -> bool:
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry

    try:
        JWSRegistry.algorithms[algorithm].check_key(key)
    except JoseError:
        return False
    return True
