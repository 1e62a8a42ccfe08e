"""Ways to sign in without a password: linked identities, sign-ins under way at a provider, tokens used up."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Identity(Base):
    """Somebody at a provider is one of ours. Who they are there is (provider, issuer, subject), never the address.

    `email` is what the provider last said, for its owner to see. `grant` is what unlinking needs of the provider's
    tokens, encrypted; null where it needs none.
    """

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("provider", "issuer", "subject"), UniqueConstraint("user_id", "provider"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    provider: Mapped[str] = mapped_column(String(20))
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(254))
    grant: Mapped[str | None] = mapped_column(Text())
    linked_at: Mapped[datetime]


class SignInAttempt(Base):
    """A browser that was sent to a provider. Its state comes back once, from that browser, within ten minutes.

    Of state and browser only the SHA-256 is kept. `session_id`: who wants to link, null for who signs in. `used_at`:
    the row stays until it expires, so that the back button still leads somewhere.
    """

    __tablename__ = "sign_in_attempts"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(20))
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    redirect_to: Mapped[str] = mapped_column(Text())
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RedeemedToken(Base):
    """A host application's token that named itself (`jti`, RFC 7519 §4.1.7) has been exchanged, and cannot be again."""

    __tablename__ = "redeemed_tokens"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
