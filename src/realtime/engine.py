"""The Engine.IO server: the library's handshake and long-polling, with our connections, origins and bounds."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

import engineio
import orjson
from aiohttp import web

from ..viewer import network_of
from .addresses import Network, client_address
from .frames import Frame
from .limits import Limits
from .transport import Transport

if TYPE_CHECKING:
    from .connections import Connection

log: Final = logging.getLogger(__name__)
METHODS: Final = ("GET", "POST", "OPTIONS")
LARGE_RESPONSE: Final = 32 * 1024


class Listener(Protocol):
    """Who is told what the transports hear. None of these raises."""

    def opened(self, transport: Transport, address: str) -> "Connection": ...
    def closed(self, connection: "Connection") -> None: ...
    async def received(self, connection: "Connection", data: bytes) -> None: ...
    def received_binary(self, connection: "Connection") -> None: ...
    def received_garbage(self, connection: "Connection") -> None: ...


class Engine(engineio.AsyncServer):  # type: ignore[misc]
    """Engine.IO 4 over aiohttp.

    Origins are an explicit list; a request without an Origin is not a browser's and passes, since nothing is done
    without the token in `auth`. Nothing is compressed: per-message deflate quadruples the memory of an idle connection.
    """

    sockets: dict[str, Transport]

    def __init__(
        self, *, listener: Listener, limits: Limits, origins: Iterable[str], networks: Iterable[Network], **_: Any
    ) -> None:
        allowed = frozenset(origins)
        super().__init__(
            async_mode="aiohttp",
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            max_http_buffer_size=limits.message_bytes,
            cors_allowed_origins=lambda origin, environ: origin in allowed,
            http_compression=False,
            monitor_clients=False,
            logger=log,
        )
        self.listener = listener
        self.limits = limits
        self.draining = False
        self.addresses: Counter[str] = Counter()
        self._networks = tuple(networks)

    def create_queue(self, *args: Any, **kwargs: Any) -> None:
        """The library makes a queue for each socket; ours is the SendQueue."""

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request: handshake, poll, post or WebSocket."""
        refusal = self._refusal(request)
        if refusal:
            return web.Response(status=refusal[0], text=refusal[1])
        response: web.StreamResponse = await super().handle_request(request)
        if isinstance(response, web.Response) and (response.content_length or 0) > LARGE_RESPONSE:
            await self._write_bounded(request, response)
        return response

    def _refusal(self, request: web.Request) -> tuple[int, str] | None:
        if request.method not in METHODS:
            return 405, "GET and POST are what this address answers."
        if "j" in request.query:
            return 400, "JSONP is not supported."
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return 415, "Send the body as it is, without a Content-Encoding."
        if self.draining and "sid" not in request.query:
            return 503, "This server is shutting down; connect again."
        return None

    async def _write_bounded(self, request: web.Request, response: web.Response) -> None:
        """Write a large poll ourselves: a client that does not read it must not hold task, TCP and body for ever."""
        try:
            async with asyncio.timeout(self.limits.ping_timeout):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport:
                request.transport.abort()

    async def _handle_connect(self, environ: dict[str, Any], transport: str, jsonp_index: int | None = None) -> Any:
        request: web.Request = environ["aiohttp.request"]
        address = client_address(request, self._networks)
        key = network_of(address)
        if self.limits.per_address is not None and self.addresses[key] >= 2 * self.limits.per_address:
            return {"status": "429 TOO MANY REQUESTS", "headers": [("Retry-After", "10")], "response": b"Too many"}
        self.addresses[key] += 1
        socket = self._open(transport, address)
        if transport == "polling":
            return self._ok(await socket.poll(request))
        environ.clear()
        try:
            return await socket.serve(request)
        finally:
            socket.end()

    def _open(self, transport: str, address: str) -> Transport:
        sid = self.generate_id()
        socket = self.sockets[sid] = Transport(self, sid)
        socket.connection = self.listener.opened(socket, address)
        socket.connected = transport == "polling"
        handshake = {
            "sid": sid,
            "upgrades": self._upgrades(sid, transport),
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.limits.message_bytes,
        }
        socket.push(Frame(b"0" + orjson.dumps(handshake)))
        return socket

    def crowd(self, address: str) -> int:
        """How many connections come from `address`, or from its subscriber's network."""
        return self.addresses[network_of(address)]

    def forget(self, address: str) -> None:
        """A connection from `address` has ended."""
        key = network_of(address)
        self.addresses[key] -= 1
        if self.addresses[key] <= 0:
            del self.addresses[key]

    def _log_error_once(self, message: str, message_key: str) -> None:
        """What a client did wrong is its own business, and holds its own words: not for the log."""
        log.debug("Refused a request: %s", message_key)
