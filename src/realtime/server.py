"""The Socket.IO server: what the transports tell goes to the dispatch; connections are swept, and drained."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import socketio
from aiohttp import web

from .addresses import Network
from .connections import Connection, Connections
from .dispatch import Dispatch, Door
from .engine import Engine
from .limits import Limits
from .transport import Transport

log: Final = logging.getLogger(__name__)


class RealtimeServer(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO 5 on our own dispatch and identity.

    The library's client manager, rooms and handler tables stay empty: nothing of a client's reaches them, so no client
    can name a lifecycle event, a room or another's id. Broadcasts go through `Connections.send`.
    """

    def __init__(
        self,
        door: Door,
        connections: Connections,
        *,
        origins: Iterable[str],
        networks: Iterable[Network] = (),
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        options = {"listener": self, "limits": self.limits, "origins": origins, "networks": networks}
        super().__init__(logger=log, engineio_logger=log, **options)
        self.eio: Engine
        self._handling = 0
        self._settled = asyncio.Event()
        self._dispatch = Dispatch(door, connections, self.limits, self.eio.crowd, self._settled.set)
        self._sweeper: asyncio.Task[None] | None = None

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    def attach(self, app: web.Application, socketio_path: str = "socket.io") -> None:
        """Serve under `/socket.io/` of `app`, from its start to its shutdown."""
        super().attach(app, socketio_path)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._stop)

    async def emit(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("use Connections.send")

    # What the transports tell

    def opened(self, transport: Transport, address: str) -> Connection:
        deadline = asyncio.get_running_loop().time() + self.limits.connect_seconds
        return Connection(transport, self.eio.generate_id(), address, deadline)

    def closed(self, connection: Connection) -> None:
        self.eio.forget(connection.address)
        self._dispatch.leave(connection, connection.namespaces)
        self._settled.set()

    async def received(self, connection: Connection, data: bytes) -> None:
        if self.eio.draining:
            return
        self._handling += 1
        try:
            await self._dispatch.take(connection, data)
        except Exception:
            log.exception("A connection failed and is ended.")
            connection.transport.end()
        finally:
            self._handling -= 1
            self._settled.set()

    def received_binary(self, connection: Connection) -> None:
        self._dispatch.take_binary(connection)

    def received_garbage(self, connection: Connection) -> None:
        self._dispatch.cut(connection)

    # Life

    async def _start(self, app: web.Application) -> None:
        self._sweeper = asyncio.create_task(self._sweep_for_ever())

    async def _stop(self, app: web.Application) -> None:
        await self.drain()
        if self._sweeper:
            self._sweeper.cancel()

    async def _sweep_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.sweep_seconds)
            self._dispatch.deadlines.sweep(loop.time())
            for transport in tuple(self.eio.sockets.values()):
                try:
                    transport.sweep(loop.time())
                    transport.connection.sweep(loop.time(), time.time())
                except Exception:
                    log.exception("A connection failed and is ended.")
                    transport.end()

    async def drain(self) -> None:
        """Take nothing new, let what is being done be answered, send everyone away, and end, in bounded time."""
        self.eio.draining = True
        if not await self._until(self._is_idle, self.limits.event_seconds):
            log.warning("Events were still being handled at shutdown; their senders ask again.")
        for transport in tuple(self.eio.sockets.values()):
            transport.say_goodbye()
        await self._until(lambda: not self.eio.sockets, self.limits.kick_seconds)
        for transport in tuple(self.eio.sockets.values()):
            transport.end()

    def _is_idle(self) -> bool:
        return not self._handling and not self._dispatch.underway

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Wait for `done`, which something that sets `_settled` makes true; False if that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True
