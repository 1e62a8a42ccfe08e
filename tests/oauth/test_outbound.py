"""Asking several others at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from src.oauth.outbound import Outbound

MORE_THAN_ALL_CONNECTIONS = 60
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Other:
    """Somebody on a port of their own, who answers or keeps silent for ever."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self.asked = asyncio.Event()

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._hear, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        if self._answer:
            writer.write(self._answer)
        else:
            await reader.read()
        writer.close()


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    outbound = Outbound()
    yield outbound
    await outbound.close()


async def test_one_that_keeps_silent_holds_nobody_up_at_another(outbound: Outbound) -> None:
    silent, sound = Other(None), Other(ANSWER)
    async with await silent.open(), await sound.open():
        waiting = [
            asyncio.create_task(outbound.ask(f"{silent.origin}/token", {silent.origin}))
            for _ in range(MORE_THAN_ALL_CONNECTIONS)
        ]
        await silent.asked.wait()
        answer = await outbound.ask(f"{sound.origin}/token", {sound.origin})
        assert answer.json() == {}
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
