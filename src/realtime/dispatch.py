"""What a client's packets do: namespaces opened and left, events in order, in bounded time, each with an answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol

from ..errors import (
    ChattyError,
    Malformed,
    NotFound,
    RateLimited,
    TokenExpired,
    Unauthorized,
    UnsupportedType,
)
from ..viewer import Viewer
from .connections import Connection, Connections
from .deadlines import RETRY_MS, Deadlines
from .limits import Limits
from .packets import (
    ACK,
    BINARY,
    CONNECT,
    DISCONNECT,
    EVENT,
    MalformedFrame,
    Packet,
    ack_frame,
    connect_error_frame,
    connect_frame,
    decode,
)

log: Final = logging.getLogger(__name__)
NO_BINARY: Final = "Binary events are not taken; send JSON, and files over REST."


class Later(Protocol):
    """An acknowledgement that comes when it comes: the connection's next event need not wait for it."""

    def then(self, tell: Callable[[bytes], None]) -> None:
        """Have `tell` called with the acknowledgement, once and in bounded time."""


class Door(Protocol):
    """What stands behind the namespaces. `controllers/socket_edge.py` is ours."""

    @property
    def namespaces(self) -> Collection[str]: ...

    async def admit(self, connection: Connection, namespace: str, auth: object) -> Viewer:
        """Who it is, by the CONNECT packet's `auth`. Raises ChattyError for a refusal."""

    async def greet(self, connection: Connection, namespace: str) -> None:
        """Send the first event. What it raises ends the connection."""

    def left(self, connection: Connection, namespace: str, viewer: Viewer) -> None:
        """A namespace that was greeted is closed: once, however it came to it. Must not wait."""

    async def answer(self, connection: Connection, namespace: str, event: str, args: list[Any]) -> bytes | Later:
        """Do what `event` asks, and give the acknowledgement as JSON, now or later. Raises nothing."""

    def refuse(self, error: ChattyError) -> bytes:
        """The acknowledgement of a refusal as JSON."""


class Dispatch:
    """Takes the packets of all connections.

    `crowd` says how many connections an address has; `settled` is called when an event that was under way is answered.
    """

    def __init__(
        self,
        door: Door,
        connections: Connections,
        limits: Limits,
        crowd: Callable[[str], int],
        settled: Callable[[], None],
    ) -> None:
        self._door = door
        self._connections = connections
        self._limits = limits
        self._crowd = crowd
        self._settled = settled
        self.underway = 0
        self.deadlines = Deadlines(limits.event_seconds)
        self._cuts = 0
        self._told_at = float("-inf")

    async def take(self, connection: Connection, data: bytes) -> None:
        """Do what the Engine.IO message `data` says, and finish with it. Raises only what is our own fault."""
        try:
            await self._take(connection, decode(data, 1))
        except MalformedFrame as fault:
            self._refuse(connection, fault.namespace, fault.id, Malformed("This is not an event."))
            self.count(connection)
        except ChattyError:  # the greeting's; its connection has ended
            return

    def take_binary(self, connection: Connection) -> None:
        """A binary frame: the attachment of an event that was refused, or one fault more."""
        if connection.skip:
            connection.skip -= 1
        else:
            self.count(connection)

    async def _take(self, connection: Connection, packet: Packet) -> None:
        if packet.kind == EVENT:
            await self._event(connection, packet)
        elif packet.kind == CONNECT:
            await self._connect(connection, packet)
        elif packet.kind == DISCONNECT:
            self._require(packet.namespace in connection.namespaces)
            self.leave(connection, (packet.namespace,))
        elif packet.kind in BINARY:
            connection.skip = packet.attachments
            self._refuse(connection, packet.namespace, packet.id, UnsupportedType(NO_BINARY))
        else:
            self._require(packet.kind == ACK)

    async def _event(self, connection: Connection, packet: Packet) -> None:
        namespace, id = packet.namespace, packet.id
        if namespace not in connection.namespaces:
            self._refuse(connection, namespace, id, Unauthorized())
            self.count(connection)
            return
        if connection.expired:
            self._refuse(connection, namespace, id, TokenExpired())
            connection.kick()
            return
        name, *args = packet.data
        answer: bytes | Later
        try:
            answer = await self.deadlines.bound(self._door.answer(connection, namespace, name, args))
        except ChattyError as error:
            answer = self._door.refuse(error)
        if not isinstance(answer, bytes):
            await self._follow(connection, namespace, id, answer)
        elif id is not None:
            connection.transport.push(ack_frame(namespace, id, answer))

    async def _follow(self, connection: Connection, namespace: str, id: int | None, answer: Later) -> None:
        """Acknowledge an event later. Of one connection only so many are under way: then it is not read on."""

        def tell(json: bytes) -> None:
            self.underway -= 1
            connection.end_event()
            if id is not None:
                connection.transport.push(ack_frame(namespace, id, json))
            self._settled()

        self.underway += 1
        connection.begin_event()
        answer.then(tell)
        if connection.underway >= self._limits.underway:
            await connection.event_ended()

    async def _connect(self, connection: Connection, packet: Packet) -> None:
        namespace = packet.namespace
        self._require(namespace not in connection.namespaces)
        try:
            await self._admit(connection, namespace, packet.data)
        except ChattyError as error:
            connection.transport.push(connect_error_frame(namespace, error.code, error.detail))
            self.count(connection)
            return
        connection.hold(namespace)
        connection.transport.push(connect_frame(namespace, connection.id))
        viewer = connection.viewer
        try:
            await self.deadlines.bound(self._door.greet(connection, namespace))
        except BaseException:
            connection.leave(namespace)
            connection.transport.end()
            raise
        connection.release(namespace)
        if viewer and connection.transport.closed:
            self._say_left(connection, namespace, viewer)

    async def _admit(self, connection: Connection, namespace: str, auth: object) -> None:
        """Make the connection somebody's. Until this returns it has no id, hears nothing and is counted nowhere."""
        asked_at = time.monotonic()
        if namespace not in self._door.namespaces:
            raise NotFound("There is no such namespace.")
        viewer = await self.deadlines.bound(self._door.admit(connection, namespace, auth))
        if connection.transport.closing:
            raise Unauthorized
        if connection.viewer is None:
            self._check_caps(connection, viewer)
        self._connections.bind(connection, viewer, asked_at)

    def _check_caps(self, connection: Connection, viewer: Viewer) -> None:
        limits = self._limits
        if limits.per_address is not None and self._crowd(connection.address) > limits.per_address:
            raise RateLimited("Too many connections from this address.", retry_after_ms=RETRY_MS)
        if limits.per_user is not None and len(self._connections.of_user(viewer.user_id)) >= limits.per_user:
            raise RateLimited("Too many connections of this account.", retry_after_ms=RETRY_MS)

    def leave(self, connection: Connection, namespaces: tuple[str, ...]) -> None:
        viewer = connection.viewer
        greeted = [name for name in namespaces if not connection.greeting(name)]
        for name in namespaces:
            connection.leave(name)
        if not connection.namespaces:
            self._connections.unbind(connection)
            connection.deadline = asyncio.get_running_loop().time() + self._limits.connect_seconds
        for name in greeted:
            if viewer:
                self._say_left(connection, name, viewer)

    def _require(self, sound: bool) -> None:
        if not sound:
            raise MalformedFrame

    def _refuse(self, connection: Connection, namespace: str | None, id: int | None, error: ChattyError) -> None:
        if namespace is not None and id is not None:
            connection.transport.push(ack_frame(namespace, id, self._door.refuse(error)))

    def count(self, connection: Connection) -> None:
        """One more thing that no client of ours sends: who goes on like that is cut."""
        connection.malformed += 1
        if connection.malformed == self._limits.malformed:
            self.cut(connection)

    def cut(self, connection: Connection) -> None:
        """End a connection that talks nonsense. Nonsense costs one line of the log a second, however many send it."""
        connection.kick()
        self._cuts += 1
        now = time.monotonic()
        if now - self._told_at >= 1:
            log.warning("Connections cut for faulty packets: %d.", self._cuts)
            self._told_at, self._cuts = now, 0

    def _say_left(self, connection: Connection, namespace: str, viewer: Viewer) -> None:
        try:
            self._door.left(connection, namespace, viewer)
        except Exception:
            log.exception("What follows a connection's end failed.")
