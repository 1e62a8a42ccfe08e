"""One Socket.IO connection to `/chat`, written out: it can be cut in the middle, and tells what it heard in order."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, Self

import aiohttp

PATIENCE = 10.0
Hear = Callable[[str, Any], None]


class Cut(Exception):
    """The connection ended, or no answer came in time: what was asked may have happened or not."""


class Wire:
    """A connection that has been greeted. `hear` is called with each event, in order; `ended` is set at its end."""

    _names = itertools.count(1)

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, hear: Hear) -> None:
        self._socket = socket
        self._hear = hear
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._turns = itertools.count(1)
        self.name = f"wire {next(self._names)}"
        self.ended = asyncio.Event()
        self.greeted = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str, token: str, hear: Hear) -> Self:
        """Connect and be greeted. Raises Cut."""
        try:
            async with asyncio.timeout(PATIENCE):
                socket = await http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
                wire = cls(socket, hear)
                await socket.send_str("40/chat," + json.dumps({"token": token}))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Cut(error) from error
        if not await wire._either(wire.greeted):
            wire.cut()
            raise Cut("not greeted")
        return wire

    async def call(self, event: str, payload: Any) -> tuple[Any, int]:
        """Emit; the acknowledgement, and the turn in which it was emitted on this connection. Raises Cut."""
        turn = next(self._turns)
        answer = self._asked[turn] = asyncio.get_running_loop().create_future()
        try:
            if self.ended.is_set():
                raise Cut("ended")
            async with asyncio.timeout(PATIENCE):
                await self._socket.send_str(f"42/chat,{turn}" + json.dumps([event, payload]))
                return await answer, turn
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Cut(error) from error
        finally:
            self._asked.pop(turn, None)

    def cut(self) -> None:
        """Cut the TCP connection without a word."""
        connection = self._socket._response.connection
        if connection and connection.transport:
            connection.transport.abort()
            connection.close()
        self._reader.cancel()
        self._end()

    async def _either(self, event: asyncio.Event) -> bool:
        """Wait for `event` or the end; True for the event."""
        waiting = [asyncio.create_task(event.wait()), asyncio.create_task(self.ended.wait())]
        await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return event.is_set()

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                if message.data == "2":
                    await self._socket.send_str("3")
                else:
                    self._take(message.data)
        except (aiohttp.ClientError, OSError):
            pass
        finally:
            self._end()

    def _take(self, packet: str) -> None:
        if packet.startswith("42/chat,"):
            name, *payload = json.loads(packet[8:])
            if name == "ready":
                self.greeted.set()
            self._hear(name, payload[0] if payload else None)
        elif packet.startswith("43/chat,"):
            number, _, rest = packet[8:].partition("[")
            asked = self._asked.get(int(number))
            if asked and not asked.done():
                asked.set_result(json.loads("[" + rest)[0])
        elif packet[:2] in ("41", "44"):
            self._end()

    def _end(self) -> None:
        self.ended.set()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Cut("ended"))
