"""Raw WebSocket clients for the benchmarks: they cost the load generator little, so that the server is measured."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Self

HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: bench\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def masked(packet: bytes) -> bytes:
    """One text frame of a client, under a mask of zeros."""
    size = len(packet)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + packet


PONG = masked(b"3")
HEARD = b'42/chat,["message_sent"'


class Wire(asyncio.Protocol):
    """One connection that has joined `/chat`. Each acknowledgement goes to `acknowledged`; messages are counted."""

    def __init__(self, token: str, namespace: str = "/chat") -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.acknowledged: Callable[[bytes], None] = lambda packet: None
        self.heard = 0
        self._connect = masked(f"40{namespace},".encode() + json.dumps({"token": token}).encode())
        self._ack, self._buffer, self._upgraded = f"43{namespace},".encode(), b"", False

    @classmethod
    async def open(cls, port: int, token: str) -> Self:
        """Connect, and return once greeted."""
        _, wire = await asyncio.get_running_loop().create_connection(lambda: cls(token), "127.0.0.1", port)
        await asyncio.wait_for(wire.ready, 30)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(HANDSHAKE)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server hung up"))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        if not self._upgraded:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._buffer = head
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._upgraded = True
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if len(data) < begin + size:
                break
            self._take(data[begin : begin + size])
            at = begin + size
        self._buffer = data[at:]

    def _take(self, packet: bytes) -> None:
        if packet.startswith(self._ack):
            self.acknowledged(packet)
        elif packet[:1] == b"0":
            self.transport.write(self._connect)
        elif packet == b"2":
            self.transport.write(PONG)
        elif packet[:2] == b"42":
            if not self.ready.done():
                self.ready.set_result(None)
            self.heard += packet.startswith(HEARD)
        elif packet[:2] == b"44":
            self.ready.set_exception(ConnectionError(packet.decode()))


async def emit_for(wires: Sequence[Wire], event: bytes, seconds: float, in_flight: int) -> list[float]:
    """Emit `event` (`["name",{…}]`) over all wires, `in_flight` at a time each, so long; latencies in seconds."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    frame = masked(b"42/chat,0" + event)
    done = [_drive(wire, frame, until, in_flight, latencies) for wire in wires]
    await asyncio.gather(*done)
    return latencies


def _drive(wire: Wire, frame: bytes, until: float, in_flight: int, latencies: list[float]) -> "asyncio.Future[None]":
    done = asyncio.get_running_loop().create_future()
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.perf_counter())
        wire.transport.write(frame)

    def acknowledged(packet: bytes) -> None:
        now = time.perf_counter()
        latencies.append(now - asked.pop(0))
        if now < until:
            ask()
        elif not asked and not done.done():
            done.set_result(None)

    wire.acknowledged = acknowledged
    for _ in range(in_flight):
        ask()
    return done
