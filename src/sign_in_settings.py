"""What CHATTY_PROVIDERS__… and CHATTY_EXCHANGE__… may say: who else vouches for people (docs/sign-in.md)."""

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

KNOWN: Final = ("google", "naver", "kakao")
"""Providers that need no issuer: src/oauth/providers.py knows where they are and what they are like."""
HOST: Final = "host"
"""The name of the host application among a person's identities; no provider may have it."""
MIN_SECRET_BYTES: Final = 32
PROVIDER_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,19}")

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[^\s#]*)?")

ALGORITHMS: Final = frozenset(
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
)
"""Signatures of which only the signer has the key (RFC 7518 §3.1, RFC 8037): never `none`, never a shared secret."""


def _web_address(value: Any) -> Any:
    if isinstance(value, str) and value and not (_WEB_ADDRESS.fullmatch(value) and has_sound_port(value)):
        raise ValueError("must be like https://accounts.example.com, with http:// or https://")
    return value


def has_sound_port(address: str) -> bool:
    """Whether the port of a URL, if it has one, is one."""
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False


def _algorithms(value: str) -> str:
    if unknown := set(value.split()) - ALGORITHMS:
        raise ValueError(f"{min(unknown)} is none of {', '.join(sorted(ALGORITHMS))}")
    return value


def _hosts(value: str) -> str:
    if odd := [host for host in value.split() if not (_HOST.fullmatch(host) and has_sound_port(f"https://{host}"))]:
        raise ValueError(f"{odd[0]} is not like login.example.com or login.example.com:8443")
    return value


Address = Annotated[str, BeforeValidator(_web_address)]
Secret = Annotated[str, Field(repr=False)]
Algorithms = Annotated[str, AfterValidator(_algorithms)]
Hosts = Annotated[str, AfterValidator(_hosts)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @property
    def addresses(self) -> list[str]:
        """Every address that is set."""
        return [value for name, value in self if name.endswith("_url") or name == "issuer" if value]


class ProviderSettings(_Part):
    """CHATTY_PROVIDERS__<NAME>__…. What is empty is as src/oauth/providers.py has it, or as the provider's discovery
    document says; Google, Naver and Kakao need `client_id` and `client_secret` alone, others an `issuer` too.

    Lists (`scope`, `algorithms`, `hosts`) have blanks between their words. `hosts`: further hosts on which the
    provider's discovery document may place its endpoints; those of `issuer` and of the addresses given here are
    allowed anyway.
    `admin_key`: Kakao's, for its unlink webhook and for unlinking without a token of the person.
    """

    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Secret = ""
    display_name: Annotated[str, Field(max_length=50)] = ""
    issuer: Annotated[Address, Field(max_length=255)] = ""
    discovery_url: Address = ""
    authorize_url: Address = ""
    token_url: Address = ""
    userinfo_url: Address = ""
    jwks_url: Address = ""
    revoke_url: Address = ""
    scope: str = ""
    algorithms: Algorithms = ""
    hosts: Hosts = ""
    admin_key: Secret = ""


class ExchangeSettings(_Part):
    """CHATTY_EXCHANGE__…: the host application whose tokens `POST /auth/exchange` takes.

    Either `jwks_url`, where its public keys are, or `secret`, which it shares with this service (HS256).
    """

    issuer: Annotated[str, Field(min_length=1, max_length=255)]
    audience: Annotated[str, Field(min_length=1, max_length=255)]
    jwks_url: Address = ""
    secret: Secret = ""
    algorithms: Algorithms = "RS256 ES256 EdDSA"

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> "ExchangeSettings":
        if bool(self.jwks_url) == bool(self.secret):
            raise ValueError("set either CHATTY_EXCHANGE__JWKS_URL or CHATTY_EXCHANGE__SECRET, and not both")
        if self.secret and len(self.secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"CHATTY_EXCHANGE__SECRET must be at least {MIN_SECRET_BYTES} bytes long")
        return self

    @property
    def addresses(self) -> list[str]:
        """Every address that is set; the issuer need not be one."""
        return [self.jwks_url] if self.jwks_url else []


def refuse_unsound(providers: dict[str, ProviderSettings]) -> None:
    """Raise ValueError, with what to do about it, for providers that could never work."""
    for name, provider in providers.items():
        variable = f"CHATTY_PROVIDERS__{name.upper()}__"
        if not PROVIDER_NAME.fullmatch(name) or name == HOST:
            raise ValueError(f"{variable}…: the name must be letters, digits, - and _, at most 20, and not `{HOST}`")
        if name not in KNOWN and not provider.issuer:
            raise ValueError(f"{variable}ISSUER is not set: without it nobody knows where {name} is")
        if name in ("google", "naver") and not provider.client_secret:
            raise ValueError(f"{variable}CLIENT_SECRET is not set: {name} needs it")


def without_tls(addresses: list[str]) -> list[str]:
    """Those of them that anybody on the way could read and change."""
    return [address for address in addresses if urlsplit(address).scheme != "https"]
