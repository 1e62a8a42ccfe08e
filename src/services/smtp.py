"""Mails to an SMTP server, over connections that are kept for the next ones.

When may a mail be sent once more, at once? The server has taken it when it answers 250 to the end of DATA. Whatever
goes wrong before DATA has delivered nothing: there a connection that was kept may turn out to be closed, and the mail
goes over a new one. From DATA on nobody can know until there is an answer: that is a failure, and the outbox comes back
to it, later and with the same Message-ID. A refusal is an answer; the connection outlives it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from .letters import Letter
from .smtp_refusals import CLOSING, explained

if TYPE_CHECKING:
    from aiosmtplib import SMTP

SMTP_SECONDS = 20
QUIT_SECONDS = 2
MAX_CONNECTIONS = 8
MAILS_PER_CONNECTION = 100
IDLE_SECONDS = 15
_LOCAL = ("localhost", "127.0.0.1", "::1")


class SmtpMailer:
    """`url`: `smtp://[user:password@]host[:port]` or `smtps://…`. Raises ValueError for any other."""

    def __init__(self, url: str) -> None:
        parts: SplitResult = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("CHATTY_SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…")
        self._host = parts.hostname
        self._tls = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._tls else 587 if parts.username else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._kept: list[_Connection] = []
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> None:
        """Hand a mail over. Raises AddressRefused and others that are Undeliverable; anything else may be repeated."""
        async with self._turns:
            connection = self._take() or await self._open()
            try:
                await connection.send(letter)
            except ServerHasLeft:
                connection = await self._open()
                await connection.send(letter)
            finally:
                await self._keep(connection)

    async def close(self) -> None:
        """Take leave of the server. Nothing is being sent any more."""
        while kept := self._take():
            self._leave(kept)
        await asyncio.gather(*self._leaving)

    async def _open(self) -> "_Connection":
        import aiosmtplib  # not at start

        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=self._start_tls(),
            timeout=SMTP_SECONDS,
        )
        await client.connect()
        return _Connection(client)

    def _start_tls(self) -> bool | None:
        """Where offered (None); but a password goes over a network only encrypted (True)."""
        if self._tls:
            return False
        return True if self._user and self._host not in _LOCAL else None

    def _take(self) -> "_Connection | None":
        """The connection that was used last, so that those which are too many grow old."""
        while self._kept:
            connection = self._kept.pop()
            connection.stay()
            if connection.is_open:
                return connection
        return None

    async def _keep(self, connection: "_Connection") -> None:
        if connection.is_open and connection.mails < MAILS_PER_CONNECTION:
            self._kept.append(connection)
            connection.leave_after(IDLE_SECONDS, self._dismiss)
        else:
            await connection.quit()

    def _dismiss(self, connection: "_Connection") -> None:
        self._kept.remove(connection)
        self._leave(connection)

    def _leave(self, connection: "_Connection") -> None:
        self._leaving.add(task := asyncio.create_task(connection.quit()))
        task.add_done_callback(self._leaving.discard)


class ServerHasLeft(Exception):
    """A connection that was kept is closed, and its server has seen nothing of the mail."""


class _Connection:
    """One connection, and how many mails were sent over it. It is open only while nothing in it is half said."""

    def __init__(self, client: "SMTP") -> None:
        self._client = client
        self._leaves: asyncio.TimerHandle | None = None
        self.mails = 0

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    async def send(self, letter: Letter) -> None:
        """Raises ServerHasLeft, and what `SmtpMailer.send` does."""
        from aiosmtplib import SMTPResponseException

        self.mails += 1
        settled = False
        try:
            await self._converse(letter)
            settled = True
        except SMTPResponseException as error:
            settled = error.code != CLOSING and await self._is_reset()
            raise explained(error) from None
        finally:
            if not settled:  # whoever is cancelled, or gets no answer, leaves a conversation that nobody can take up
                self._client.close()

    async def _converse(self, letter: Letter) -> None:
        from aiosmtplib import SMTPResponseException, SMTPServerDisconnected

        encoding = "utf-8" if letter.is_international else "ascii"
        try:
            if self._client.is_ehlo_or_helo_needed:
                await self._client.noop()  # which says EHLO first, or HELO to who does not know it
            content = letter.content(eight_bit=self._client.supports_extension("8bitmime"))
            options = self._options(letter, content)
            await self._client.mail(letter.sender_address, options=options, encoding=encoding)
            await self._client.rcpt(letter.recipient, encoding=encoding)
        except (SMTPServerDisconnected, SMTPResponseException) as error:
            if self.mails > 1 and (isinstance(error, SMTPServerDisconnected) or error.code == CLOSING):
                raise ServerHasLeft from error
            raise
        await self._client.data(content)

    def _options(self, letter: Letter, content: bytes) -> list[str]:
        """What is said of the mail beforehand. Raises SMTPNotSupported for an address that the server cannot take."""
        from aiosmtplib import SMTPNotSupported

        if letter.is_international and not self._client.supports_extension("smtputf8"):
            raise SMTPNotSupported("This server takes no addresses beyond ASCII.")
        size = [f"SIZE={len(content)}"] if self._client.supports_extension("size") else []
        eight_bit = [] if content.isascii() else ["BODY=8BITMIME"]
        return [*size, *eight_bit, *(["SMTPUTF8"] if letter.is_international else [])]

    async def _is_reset(self) -> bool:
        """Is the server ready for another mail, after a refusal?"""
        try:
            await self._client.rset()
        except Exception:
            return False
        return True

    def leave_after(self, seconds: float, leave: Callable[["_Connection"], None]) -> None:
        self._leaves = asyncio.get_running_loop().call_later(seconds, leave, self)

    def stay(self) -> None:
        if self._leaves:
            self._leaves.cancel()

    async def quit(self) -> None:
        try:
            with suppress(Exception):
                async with asyncio.timeout(QUIT_SECONDS):
                    await self._client.quit()
        finally:
            self._client.close()
