"""How a mail leaves: to an SMTP server, or, where none is set, into a file for whoever develops."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

import structlog

from ..clock import now
from .letters import Letter
from .smtp import SmtpMailer

log = structlog.get_logger("chatty.mail")


class Mailer(Protocol):
    async def send(self, letter: Letter) -> None:
        """Hand a mail over. Raises Undeliverable, or anything else if it may be tried again."""

    async def close(self) -> None:
        """Let go of whatever is kept for the next one. Nothing is being sent any more."""


def mailer_for(smtp_url: str, directory: Path) -> Mailer:
    """The mailer of `smtp://[user:password@]host[:port]` (STARTTLS where offered) or `smtps://…`; files without one."""
    return SmtpMailer(smtp_url) if smtp_url else FileMailer(directory)


class FileMailer:
    """Writes `.eml` files that only the owner of the process may read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, letter: Letter) -> None:
        item_id = letter.message_id.strip("<>").partition("@")[0]
        path = self._directory / f"{now():%Y%m%dT%H%M%S%f}-{item_id}.eml"
        await asyncio.to_thread(_write, path, letter.content(eight_bit=True))
        log.info("No SMTP server is set (CHATTY_SMTP_URL): the mail lies in a file.", file=str(path))

    async def close(self) -> None:
        """There is nothing to let go of."""


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_suffix(".part")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    unfinished.replace(path)
