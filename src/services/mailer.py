"""How a mail leaves: to an SMTP server, or, where none is set, into a file for whoever develops."""

import asyncio
import os
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

from ..clock import now
from .outcomes import Undeliverable

log = structlog.get_logger("chatty.mail")

SMTP_SECONDS = 20
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Mailer(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Hand a mail over. Raises Undeliverable, or anything else if it may be tried again."""


def mailer_for(smtp_url: str, directory: Path) -> Mailer:
    """The mailer of `smtp://[user:password@]host[:port]` (STARTTLS where offered) or `smtps://…`; files without one."""
    return SmtpMailer(smtp_url) if smtp_url else FileMailer(directory)


class SmtpMailer:
    def __init__(self, url: str) -> None:
        parts: SplitResult = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("CHATTY_SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…")
        self._host = parts.hostname
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 587 if parts.username else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        import aiosmtplib  # not at start

        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=self._start_tls(),
                timeout=SMTP_SECONDS,
            )
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
            refused = error.recipients[0] if isinstance(error, aiosmtplib.SMTPRecipientsRefused) else error
            if refused.code >= 500:
                raise Undeliverable(f"{type(refused).__name__} {refused.code}") from None
            raise

    def _start_tls(self) -> bool | None:
        """Where offered (None); but a password goes over a network only encrypted (True)."""
        if self._tls:
            return False
        return True if self._user and self._host not in _LOCAL else None


class FileMailer:
    """Writes `.eml` files that only the owner of the process may read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, message: EmailMessage) -> None:
        item_id = message["Message-ID"].strip("<>").partition("@")[0]
        path = self._directory / f"{now():%Y%m%dT%H%M%S%f}-{item_id}.eml"
        policy = SMTP if message["To"].isascii() else SMTPUTF8
        await asyncio.to_thread(_write, path, message.as_bytes(policy=policy))
        log.info("No SMTP server is set (CHATTY_SMTP_URL): the mail lies in a file.", file=str(path))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".part")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)
