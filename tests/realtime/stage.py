"""A socket server with two tiny namespaces and no database, and clients that speak to it frame by frame."""

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self
from uuid import UUID, uuid5

import aiohttp
from aiohttp import web

from src.clock import now
from src.controllers.links import Links
from src.controllers.socket_edge import Caller, SocketEdge, on
from src.errors import TokenExpired, Unauthorized
from src.realtime.connections import Connections, Letter
from src.realtime.limits import UNCAPPED, Limits
from src.realtime.packets import event_frame
from src.realtime.server import RealtimeServer
from src.schemas.common import Request, View
from src.services.file_signatures import FileSignatures
from src.viewer import Viewer

PATIENCE = 5.0
PEOPLE = UUID("01900000-0000-7000-8000-000000000000")
ORIGIN = "https://chat.example"


def person(name: str) -> UUID:
    return uuid5(PEOPLE, name)


class Said(Request):
    text: str = ""


class Echo(View):
    text: str


class Seconds(Request):
    seconds: float


class Token(Request):
    token: str


class Ready(View):
    name: str


class Sessions:
    """Tokens read `<person>`, `<person>/<session>` or `<person>/<session>/<seconds to live>`; a few names fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def authenticate(self, token: str) -> Viewer:
        self.asked += 1
        await self.gate.wait()
        name, session, seconds = [*token.split("/"), "", ""][:3]
        if name == "nobody":
            raise Unauthorized
        if name == "late":
            raise TokenExpired
        if name == "broken":
            raise RuntimeError("the database is on fire")
        if name == "cancelled":
            raise asyncio.CancelledError
        return Viewer(person(name), person(f"{name}/{session}"), now() + timedelta(seconds=float(seconds or 900)))


class Chat:
    name = "/chat"

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.log: list[str] = []
        self.greeting = asyncio.Event()
        self.greeting.set()
        self.here: list[str] = []
        self.gone: list[str] = []
        self.cancelled = 0
        self.asked_to_greet = 0
        self.failure: Exception | None = None

    async def greet(self, caller: Caller) -> None:
        self.asked_to_greet += 1
        if self.failure:
            raise self.failure
        await self.greeting.wait()
        caller.send("ready", Ready(name=caller.connection_id))
        self.here.append(caller.connection_id)

    def left(self, caller: Caller) -> None:
        self.gone.append(caller.connection_id)

    @on("echo")
    async def echo(self, caller: Caller, payload: Said) -> Echo:
        """Say it again."""
        self.log.append(payload.text)
        return Echo(text=payload.text)

    @on("wait")
    async def wait(self, caller: Caller, payload: Seconds) -> None:
        """Take a while."""
        try:
            await asyncio.sleep(payload.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.log.append(f"waited {payload.seconds}")

    @on("fail")
    async def fail(self, caller: Caller, payload: Said) -> None:
        """Raise what nobody foresaw."""
        raise RuntimeError("secret detail")

    @on("cancel")
    async def cancel(self, caller: Caller, payload: Said) -> None:
        """Be cancelled from within."""
        raise asyncio.CancelledError

    @on("refresh_session")
    async def refresh_session(self, caller: Caller, payload: Token) -> None:
        """Live on."""
        caller.extend(await self.sessions.authenticate(payload.token))


class Notifications:
    name = "/notifications"

    async def greet(self, caller: Caller) -> None:
        pass

    def left(self, caller: Caller) -> None:
        pass


class Unlimited:
    async def hit(self, policy: str, *keys: str) -> None:
        pass


class Stage:
    """A running server. `chat.log` is what its handlers did."""

    def __init__(self, limits: Limits = UNCAPPED, networks: Sequence[Any] = ()) -> None:
        self.sessions = Sessions()
        self.chat = Chat(self.sessions)
        self.connections = Connections()
        self.signatures = FileSignatures("secret", 900)
        self.links = Links(ORIGIN, self.signatures)
        edge = SocketEdge([self.chat, Notifications()], self.sessions.authenticate, Unlimited(), self.links)
        self.server = RealtimeServer(edge, self.connections, origins=[ORIGIN], networks=networks, limits=limits)
        self.wires: list[Wire] = []  # aiohttp closes a WebSocket that nobody holds
        self.app = web.Application()
        self.server.attach(self.app)
        self.runner = web.AppRunner(self.app, access_log=None, auto_decompress=False, lingering_time=0.1)

    async def __aenter__(self) -> Self:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = aiohttp.ClientSession(self.url, connector=aiohttp.TCPConnector(force_close=True))
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.http.close()
        await self.runner.cleanup()

    def broadcast(self, name: str, text: str, namespace: str = "/chat", *, to: str = "anna") -> None:
        frame = event_frame(namespace, name, json.dumps(text).encode())
        self.connections.send([person(to)], namespace, [Letter(frame)])

    @property
    def open_transports(self) -> int:
        return len(self.server.eio.sockets)

    async def until_empty(self) -> None:
        """Wait until no connection is left, of any kind."""
        async with asyncio.timeout(PATIENCE):
            while self.open_transports or len(self.connections) or self.runner.server.connections:
                await asyncio.sleep(0.01)

    async def websocket(self, **headers: str) -> "Wire":
        """A WebSocket without a namespace yet."""
        path = "/socket.io/?EIO=4&transport=websocket"
        wire = Wire(await self.http.ws_connect(path, headers=headers, max_msg_size=0))
        self.wires.append(wire)
        assert (await wire.read()).startswith("0{")
        return wire

    async def join(self, token: str = "anna", namespace: str = "/chat", **headers: str) -> "Wire":
        """A WebSocket that has joined a namespace, and been greeted."""
        wire = await self.websocket(**headers)
        await wire.enter(token, namespace)
        return wire

    async def poller(self) -> "Poller":
        async with self.http.get("/socket.io/?EIO=4&transport=polling") as response:
            packet = await response.text()
            assert response.status == 200, packet
            return Poller(self, json.loads(packet[1:])["sid"])


class Wire:
    """A raw WebSocket: Engine.IO packets as text."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = itertools.count(1)

    async def send(self, packet: str) -> None:
        await self.socket.send_str(packet)

    async def read(self) -> str:
        """The next packet. Raises ConnectionError when the server has ended the connection."""
        message = await self.socket.receive(PATIENCE)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(message.type)
        return str(message.data)

    async def enter(self, token: str = "anna", namespace: str = "/chat") -> str:
        await self.send(f"40{namespace}," + json.dumps({"token": token}))
        connected = await self.read()
        assert connected.startswith(f"40{namespace},"), connected
        if namespace == "/chat":
            assert (await self.read()).startswith('42/chat,["ready"')
        return str(json.loads(connected.partition(",")[2])["sid"])

    async def call(self, event: str, *args: Any, namespace: str = "/chat") -> Any:
        """Emit an event; its acknowledgement. Packets that come in between are dropped."""
        id = next(self._ids)
        await self.send(f"42{namespace},{id}" + json.dumps([event, *args]))
        return await self.acknowledged(id, namespace)

    async def acknowledged(self, id: int, namespace: str = "/chat") -> Any:
        head = f"43{namespace},{id}["
        while not (packet := await self.read()).startswith(head):
            pass
        return json.loads(packet[len(head) - 1 :])[0]

    async def ended(self) -> list[str]:
        """Everything that came before the server ended the connection."""
        packets = []
        while True:
            try:
                packets.append(await self.read())
            except ConnectionError:
                return packets

    async def close(self) -> None:
        await self.socket.close()


class Poller:
    """Long-polling, request by request."""

    def __init__(self, stage: Stage, sid: str) -> None:
        self.stage = stage
        self.sid = sid
        self.path = f"/socket.io/?EIO=4&transport=polling&sid={sid}"
        self._kept: list[str] = []

    async def post(self, body: str | bytes) -> int:
        async with self.stage.http.post(self.path, data=body) as response:
            return response.status

    async def get(self) -> list[str]:
        """The packets of one poll. Raises ConnectionError where the server does not know me any more."""
        async with asyncio.timeout(PATIENCE), self.stage.http.get(self.path) as response:
            if response.status != 200:
                raise ConnectionError(response.status)
            return (await response.text()).split("\x1e")

    async def read(self) -> str:
        """The next packet."""
        while not self._kept:
            self._kept = await self.get()
        return self._kept.pop(0)

    async def enter(self, token: str = "anna", namespace: str = "/chat") -> None:
        assert await self.post(f"40{namespace}," + json.dumps({"token": token})) == 200
        assert (await self.read()).startswith(f"40{namespace},")
        if namespace == "/chat":
            assert (await self.read()).startswith('42/chat,["ready"')
