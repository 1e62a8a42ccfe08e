"""Durable 1:1 messages per second, acknowledged to the sender and delivered to the one recipient.

First closed loop, one in flight for each sender, to saturation; then open loop at half of that rate: a fixed schedule,
each latency from the moment at which it was due.

`.venv/bin/python -m bench.sends [--pairs 100] [--seconds 8] [--only chatty]`
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from .harness import Served, peer, postgres, run, service
from .report import Load, Meter, show
from .talkers import Room, message, pairs, pairs_on_a_peer
from .wires import Wire

TICK = 0.001
OK = b'"ok":true'


class Pair:
    """A sender and its recipient. `latencies` in seconds; `refused` counts acknowledgements that are none."""

    def __init__(self, room: Room, sender: Wire, recipient: Wire) -> None:
        self.room = room
        self.sender = sender
        self.recipient = recipient
        self.latencies: list[float] = []
        self.refused = 0
        self.due: dict[int, float] = {}
        self.after: Callable[[], None] = lambda: None
        self._next = 0
        sender.acknowledged = self.acknowledge

    def send(self, due: float) -> None:
        self._next += 1
        self.due[self._next] = due
        self.sender.transport.write(message(self.room.id, self._next))

    def acknowledge(self, packet: bytes) -> None:
        number = int(packet[len(b"43/chat,") : packet.index(b"[")])
        self.latencies.append(time.perf_counter() - self.due.pop(number))
        self.refused += OK not in packet[:40]
        self.after()


async def closed_loop(talking: Sequence[Pair], seconds: float) -> None:
    """Each sends its next message when the last one has been acknowledged."""
    until = time.perf_counter() + seconds

    def again(pair: Pair) -> Callable[[], None]:
        def go() -> None:
            now = time.perf_counter()
            if now < until:
                pair.send(now)

        return go

    for pair in talking:
        pair.after = again(pair)
        pair.after()
    await asyncio.sleep(seconds)
    await _drained(talking)


async def open_loop(talking: Sequence[Pair], rate: float, seconds: float) -> None:
    """Messages fall due at a fixed rate, whatever has been answered."""
    for pair in talking:
        pair.after = lambda: None
    begun, sent = time.perf_counter(), 0
    while sent < rate * seconds:
        while sent < min(rate * (time.perf_counter() - begun), rate * seconds):
            talking[sent % len(talking)].send(begun + sent / rate)
            sent += 1
        await asyncio.sleep(TICK)
    await _drained(talking)


async def _drained(talking: Sequence[Pair]) -> None:
    async with asyncio.timeout(30):
        while any(pair.due for pair in talking):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


async def measure(served: Served, name: str, rooms: Sequence[Room], seconds: float) -> tuple[Load, Load]:
    """Saturated, and at half of that."""
    talking = [Pair(room, *[await Wire.open(served.port, token) for token in room.tokens]) for room in rooms]
    await closed_loop(talking, min(2, seconds))
    saturated = await _load(served, name, talking, closed_loop(talking, seconds))
    half = await _load(served, name, talking, open_loop(talking, saturated.per_second / 2, seconds))
    for pair in talking:
        pair.sender.transport.abort()
        pair.recipient.transport.abort()
    return saturated, half


async def _load(served: Served, name: str, talking: Sequence[Pair], load: Coroutine[Any, Any, None]) -> Load:
    for pair in talking:
        pair.latencies.clear()
        pair.refused = 0
    heard = sum(pair.recipient.heard for pair in talking)
    meter, begun = Meter(served), time.perf_counter()
    await load
    took = time.perf_counter() - begun - 0.2
    latencies = [latency for pair in talking for latency in pair.latencies]
    delivered = sum(pair.recipient.heard for pair in talking) - heard
    refused = sum(pair.refused for pair in talking)
    if refused or delivered < len(latencies):
        print(f"{name}: {len(latencies)} acknowledged, {refused} refused, {delivered} delivered")
    return Load(name, len(latencies) / took, latencies, *meter.shares(took))


@contextmanager
def servers(only: str) -> Iterator[dict[str, Callable[[ExitStack], Served]]]:
    """How to start each server that is to be measured, the first to be compared with."""
    node = (
        "Node socket.io + pg",
        lambda stack: stack.enter_context(peer("node_socketio_pg", stack.enter_context(postgres()))),
    )
    plain = (
        "python-socketio + SQLAlchemy",
        lambda stack: stack.enter_context(peer("socketio_sqlalchemy", stack.enter_context(postgres()))),
    )
    chatty = "Chatty, PostgreSQL", lambda stack: stack.enter_context(service("postgres"))
    sqlite = "Chatty, SQLite", lambda stack: stack.enter_context(service("sqlite"))
    named = {"node": node, "plain": plain, "chatty": chatty, "sqlite": sqlite}
    yield dict(each for short, each in named.items() if not only or short in only.split(","))


def main(count: int, seconds: float, only: str) -> None:
    saturated, half = [], []
    with servers(only) as started:
        for name, start in started.items():
            with ExitStack() as stack:
                served = start(stack)
                rooms = pairs(served, count) if name.startswith("Chatty") else pairs_on_a_peer(count)
                full, calm = run(measure(served, name, rooms, seconds))
                saturated.append(full)
                half.append(calm)
    show(f"{count} pairs, closed loop, one in flight for each sender", "sends/s", saturated)
    show(f"{count} pairs, open loop at half of that rate", "sends/s", half)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", default="", help="of node, plain, chatty, sqlite, with commas")
    options = parser.parse_args()
    main(options.pairs, options.seconds, options.only)
