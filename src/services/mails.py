"""The mails of accounts: asked for in a transaction, written when they are sent.

A mail waits in the outbox as who and what about, not as text: its single-use token is made at the moment of sending, so
that no usable token ever lies in the database, and a newer mail replaces an older one's link.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.repositories.email_tokens import Purpose
from ..db.rows import Row
from .letters import Letter, message_id
from .mail_texts import Language, write
from .mailer import Mailer
from .smtp_refusals import AddressRefused

MAIL = "mail"
About = Literal[
    "verify_email", "reset_password", "password_changed", "sign_in_method_added", "sign_in_method_removed",
    "account_deleted",
]  # fmt: skip


class _Link(NamedTuple):
    purpose: Purpose
    page: str
    lasts: timedelta


_LINKS: Mapping[str, _Link] = {
    "verify_email": _Link("verify", "verify-email", timedelta(hours=24)),
    "reset_password": _Link("reset", "reset-password", timedelta(hours=1)),
}


class _Former(NamedTuple):
    """Somebody who has deleted the account, as a mail needs them."""

    email: str
    language: str
    nickname: None = None
    email_verified_at: None = None


def email_key(address: str) -> str:
    """What of an address is compared: addresses are alike without case (contract §9)."""
    return address.casefold()


def mail_to(user_id: UUID, about: About) -> dict[str, str]:
    """The outbox's payload for a mail to a person."""
    return {"about": about, "user_id": str(user_id)}


def mail_about_method(user_id: UUID, about: About, method: str) -> dict[str, str]:
    """The same where the mail names a way to sign in."""
    return {**mail_to(user_id, about), "method": method}


def mail_to_former(address: str, language: str) -> dict[str, str]:
    """The same for who has deleted the account: nothing but this knows their address any more."""
    return {"about": "account_deleted", "email": address, "language": language}


def mail_to_whoever_has(key: str, about: About) -> dict[str, str]:
    """The same for the account with that address, if there is one: the asker cannot tell, nor measure it."""
    return {"about": about, "email_key": key}


def token_hash(token: str) -> str:
    """What is kept of a mailed token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Mails:
    """`public_url`: where the links lead. `sender`: the From header."""

    def __init__(self, database: Database, mailer: Mailer, public_url: str, sender: str) -> None:
        self._database = database
        self._mailer = mailer
        self._public_url = public_url
        self._sender = sender

    async def deliver(self, item: Row) -> None:
        """Send what an outbox row asks for; nothing, if its person is gone or has no address.

        Raises `Undeliverable` when trying again would not help, anything else when it may.
        """
        async with self._database.transaction() as tx:
            letter = await self._written(tx, item)
        if letter:
            try:
                await self._mailer.send(letter)
            except AddressRefused:
                await self._mark_bounced(letter.recipient)
                raise

    async def _mark_bounced(self, address: str) -> None:
        async with self._database.transaction() as tx:
            await tx.users.mark_bounced([email_key(address)], now())

    async def _written(self, tx: Transaction, item: Row) -> Letter | None:
        payload: Mapping[str, Any] = item.payload
        if "email" in payload:
            return self._letter(item.id, _Former(payload["email"], payload["language"]), payload["about"], {})
        user = await _addressee(tx, payload)
        if user is None or user.email is None:
            return None
        about = payload["about"]
        link = await self._link(tx, user, _LINKS[about]) if about in _LINKS else ""
        return self._letter(item.id, user, about, {"link": link, "method": payload.get("method", "")})

    async def _link(self, tx: Transaction, user: Row, link: _Link) -> str:
        token, moment = secrets.token_urlsafe(32), now()
        await tx.email_tokens.replace(
            token_hash(token), user.id, link.purpose, user.email_key, moment, moment + link.lasts
        )
        return f"{self._public_url}/{link.page}?token={token}"

    def _letter(self, item_id: UUID, user: Row | _Former, about: About, particulars: Mapping[str, str]) -> Letter:
        language: Language = "en" if user.language == "en" else "ko"
        # Whoever signed up with somebody else's address chose the name: fifty characters of a stranger's in our mail.
        nickname = user.nickname if user.email_verified_at else None
        text = write(about, language, nickname, **particulars)
        return Letter(
            message_id=message_id(item_id, self._public_url),
            sender=self._sender,
            recipient=user.email,
            subject=text.subject,
            plain=text.plain,
            html=text.html,
            language=language,
            at=now(),
        )


async def _addressee(tx: Transaction, payload: Mapping[str, Any]) -> Row | None:
    """The person a mail is for, locked: of two mails written at once the later one's link replaces the earlier's."""
    if "user_id" in payload:
        return await tx.users.lock(UUID(payload["user_id"]))
    found = await tx.users.credentials(payload["email_key"])
    return await tx.users.lock(found.id) if found else None
