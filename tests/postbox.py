"""A real SMTP server that does as it is told, in the event loop of the test."""

import asyncio
import email
import email.policy
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

HANGS_UP = "hangs up"


class Postbox:
    """What came to an SMTP server, and what it is to say.

    `answers` are given to mails in turn, then it accepts. `script`: what is said to commands in turn instead of doing
    them; a 421 closes the connection, and HANGS_UP does so without a word. `said`: all commands that it heard.
    """

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.answers: list[str] = []
        self.script: dict[str, list[str | None]] = defaultdict(list)
        self.recipient_answer = "250 OK"
        self.lacks: list[str] = []
        self.asleep: asyncio.Event | None = None
        self.said: list[str] = []
        self.connections = 0
        self.open: set[Any] = set()
        self.most_open = 0
        self.url = ""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd calls these by such names
        self, server: Any, session: Any, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if line[4:] not in self.lacks]

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.asleep:
            await self.asleep.wait()
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer == HANGS_UP:
            server.transport.abort()
        if answer.startswith("250"):
            self.mails.append(envelope)
        return answer

    def hang_up(self) -> None:
        """Close all connections, as a server does that is started anew."""
        for server in [*self.open]:
            server.transport.close()

    async def left_alone(self) -> None:
        """Wait until nobody is connected. Raises TimeoutError."""
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)


class _Server(SMTP):
    """One connection to a Postbox."""

    def __init__(self, box: Postbox, **how: Any) -> None:
        super().__init__(box, loop=asyncio.get_running_loop(), hostname="postbox", enable_SMTPUTF8=True, **how)
        self._box = box
        self._smtp_methods = {name: self._scripted(name, each) for name, each in self._smtp_methods.items()}

    def connection_made(self, transport: Any) -> None:
        if self not in self._box.open:  # else it is the same one, encrypted from now on
            self._box.connections += 1
            self._box.open.add(self)
            self._box.most_open = max(self._box.most_open, len(self._box.open))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._box.open.discard(self)
        super().connection_lost(error)

    def _scripted(self, name: str, do: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        async def hear(arg: Any) -> None:
            self._box.said.append(name)
            told = self._box.script[name].pop(0) if self._box.script[name] else None
            if told is None:
                await do(arg)
            elif told == HANGS_UP:
                self.transport.abort()  # type: ignore[union-attr]
            else:
                await self.push(told)
                if told.startswith("421"):
                    self.transport.close()  # type: ignore[union-attr]

        return hear


Open = Callable[..., Awaitable[Postbox]]


@pytest.fixture
async def open_postbox() -> AsyncIterator[Open]:
    """`await open_postbox(**how)` opens an SMTP server; `how` as for aiosmtpd, `tls` encrypts from the start."""
    opened: list[tuple[Postbox, Any]] = []

    async def open_one(*, tls: Any = None, **how: Any) -> Postbox:
        box = Postbox()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Server(box, **how), "127.0.0.1", 0, ssl=tls)
        box.url = f"smtp{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        opened.append((box, server))
        return box

    yield open_one
    for box, server in opened:
        if box.asleep:
            box.asleep.set()
        server.close()
        box.hang_up()
        with suppress(TimeoutError):
            await box.left_alone()


@pytest.fixture
async def postbox(open_postbox: Open) -> Postbox:
    """An SMTP server that takes whatever comes."""
    return await open_postbox()


def only(name: str, password: str) -> Any:
    """An `authenticator` that knows one person."""

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (name.encode(), password.encode()), handled=False)

    return authenticate


def read(envelope: Envelope) -> Any:
    """The mail in an envelope."""
    content = envelope.content
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, policy=email.policy.default)
