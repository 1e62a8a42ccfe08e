"""One Engine.IO connection: a WebSocket, long-polling, or the way from one to the other."""

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web
from aiohttp.abc import AbstractStreamWriter
from engineio.async_socket import AsyncSocket
from engineio.exceptions import EngineIOError

from ..errors import ChattyError
from .bodies import read_body
from .frames import CLOSE, GOING_AWAY, NOOP, PING, PROBE, PROBED, UPGRADE, Frame
from .send_queue import SendQueue

if TYPE_CHECKING:
    from .connections import Connection
    from .engine import Engine

CLOSE_WAIT_SECONDS = 2


class Transport(AsyncSocket):  # type: ignore[misc]
    """The library's socket with its own sending and reading: no task, timer, packet object or log line per frame.

    `closing`: it hears nothing any more and will be cut; `closed`: it is. Only `end` closes it, at once.
    """

    server: "Engine"
    connection: "Connection"
    sid: str
    connected: bool
    upgrading: bool
    upgraded: bool
    closing: bool
    closed: bool

    def __init__(self, engine: "Engine", sid: str) -> None:
        super().__init__(engine, sid)
        self._loop = asyncio.get_running_loop()
        self.heard = self._loop.time()
        self._ping_at = self.heard + engine.limits.ping_interval
        self._queue = SendQueue(engine.limits, self.end)
        self._tcp: asyncio.Transport | None = None
        self._poll: web.Request | None = None
        self.busy = False

    def push(self, frame: Frame) -> None:
        """Send `frame`, in order, without waiting. Nothing happens once the connection ends."""
        if not self.closing:
            self._queue.push(frame)

    def end(self) -> None:
        """Close at once: TCP, queue and whoever waits; a client that does not read cannot delay it."""
        if self.closed:
            return
        self.closing = self.closed = True
        self.server.sockets.pop(self.sid, None)
        self._queue.close()
        if self._tcp and self._tcp.is_closing():
            self._loop.call_later(CLOSE_WAIT_SECONDS, self._tcp.abort)
        elif self._tcp:
            self._tcp.abort()
        self.server.listener.closed(self.connection)

    def kick(self, *last_words: Frame) -> None:
        """Say `last_words`, hear nothing more, and end a moment later."""
        if self.closing:
            return
        for frame in last_words:
            self.push(frame)
        self.closing = True
        self._loop.call_later(self.server.limits.kick_seconds, self.end)

    def say_goodbye(self) -> None:
        """Let the client know that the server goes, so that it looks for another one by itself; then `end`."""
        if self.upgraded and self._tcp and not self._tcp.is_closing():
            self._tcp.write(GOING_AWAY)
            self.kick()
        else:
            self.kick(CLOSE)

    def sweep(self, now: float) -> None:
        """Called now and then: ping, and let go of who is not heard of, or whose poll nobody waits for any more."""
        limits = self.server.limits
        abandoned = self._queue.polled and self._poll is not None and self._poll.transport is None
        if abandoned or now - self.heard > limits.ping_interval + limits.ping_timeout:
            self.end()
        elif now >= self._ping_at:
            self._ping_at = now + limits.ping_interval
            self.push(PING)

    async def hear(self, data: bytes) -> None:
        """Take one Engine.IO packet of the client's, and finish with it."""
        self.heard = self._loop.time()
        match data[:1]:
            case b"4":
                await self.server.listener.received(self.connection, data)
            case b"3":
                pass
            case b"1":
                self.end()
            case b"b":
                self.server.listener.received_binary(self.connection)
            case _:
                self.server.listener.received_garbage(self.connection)

    # Long-polling

    async def handle_get_request(self, environ: dict[str, Any]) -> Any:
        """A poll, answered with frames once there are any; or the upgrade to a WebSocket."""
        request: web.Request = environ["aiohttp.request"]
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            return await self._upgrade(request)
        if self.upgrading:
            return [NOOP]
        return await self.poll(request)

    async def poll(self, request: web.Request) -> list[Frame]:
        """What waits, once something does. Two polls at once end the connection: one of them would swallow frames."""
        if self._queue.polled:
            self.end()
            raise EngineIOError
        self.heard = self._loop.time()
        self._poll = request
        await self._queue.wait()
        if self.upgrading or request.transport is None:
            return [NOOP]
        return self._queue.take() or [CLOSE if self.closed else NOOP]

    async def handle_post_request(self, environ: dict[str, Any]) -> None:
        """Hear the packets of one POST, however many, in their order. Two at once would lose that order."""
        try:
            if self.busy:
                raise EngineIOError
            self.busy = True
            await self._hear_all(environ["aiohttp.request"])
            self.busy = False
        except (EngineIOError, ChattyError, asyncio.CancelledError) as error:
            # The library's handler ends a connection that it still knows, and fails on one that has ended.
            if not self.closed:
                raise EngineIOError from error

    async def _hear_all(self, request: web.Request) -> None:
        limits = self.server.limits
        body = await read_body(request, limits.message_bytes, limits.body_seconds)
        for data in body.split(b"\x1e"):
            if not self.closing:
                await self.hear(data)

    # WebSocket

    def _websocket(self) -> "web.WebSocketResponse[Any]":
        size = self.server.limits.message_bytes + 1
        return web.WebSocketResponse(compress=False, max_msg_size=size, timeout=CLOSE_WAIT_SECONDS, decode_text=False)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Be a WebSocket from the beginning until it ends."""
        websocket = self._websocket()
        writer = await websocket.prepare(request)
        self.connected = True
        await self._converse(websocket, request, writer)
        return websocket

    async def _upgrade(self, request: web.Request) -> Any:
        if self.upgrading:
            return self.server._bad_request("One upgrade at a time")
        websocket = self._websocket()
        self.upgrading = True
        try:
            writer = await websocket.prepare(request)
            self._tcp = request.transport
            if not await self._probe(websocket):
                self._tcp = None
                return websocket
        finally:
            self.upgrading = False
        if self.busy or self.closed:
            self.end()
        else:
            await self._converse(websocket, request, writer)
        return websocket

    async def _probe(self, websocket: "web.WebSocketResponse[Any]") -> bool:
        """The handshake of an upgrade. False where the client thinks better of it: it goes on polling."""
        try:
            async with asyncio.timeout(self.server.limits.upgrade_seconds):
                if (await websocket.receive()).data != PROBE:
                    return False
                await websocket.send_str(PROBED)
                self._queue.wake()
                return bool((await websocket.receive()).data == UPGRADE)
        except (TimeoutError, ConnectionError):
            return False

    async def _converse(
        self, websocket: "web.WebSocketResponse[Any]", request: web.Request, writer: AbstractStreamWriter
    ) -> None:
        self.upgraded = True
        self._tcp = request.transport
        self._queue.attach(request, writer)
        try:
            while not self.closing:
                message = await websocket.receive()
                if message.type is WSMsgType.TEXT:
                    self.busy = True
                    await self.hear(message.data)
                    self.busy = False
                elif message.type is WSMsgType.BINARY:
                    self.server.listener.received_binary(self.connection)
                else:
                    break
            else:
                await asyncio.sleep(self.server.limits.kick_seconds)
        finally:
            self.end()

    # What the library calls

    async def send(self, pkt: Any) -> None:
        raise NotImplementedError("use push")

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        self.end()
