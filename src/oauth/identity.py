"""What asking a provider comes to. Services take these; they never see how it was asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Grant(NamedTuple):
    """The provider's tokens, as far as unlinking needs them. Secret: kept encrypted or not at all."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """Somebody at a provider, as its own answers over our own connection say.

    (`provider`, `issuer`, `subject`) is who they are. `email` may be anybody's unless `email_verified`; `nickname` and
    `picture` are the provider's words, neither checked nor cleaned.
    """

    provider: str
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    nickname: str | None
    picture: str | None
    grant: Grant | None = None


class Attempt(NamedTuple):
    """The secrets of one sign-in at a provider: RFC 6749 §10.12, OpenID Connect Core §3.1.2.1, RFC 7636 §4.1."""

    state: str
    nonce: str
    verifier: str


class Callback(NamedTuple):
    """What the browser brought back besides the state; `error` is the provider's word (RFC 6749 §4.1.2.1)."""

    code: str | None
    error: str | None
    issuer: str | None


class HostToken(NamedTuple):
    """A verified token of the host application. `token_id`: its `jti`, if it names itself."""

    identity: VerifiedIdentity
    token_id: str | None
    expires_at: datetime
