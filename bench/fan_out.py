"""Deliveries per second of one sender's messages to everybody in a room of 100 and of 900.

Closed loop: the sender keeps a few messages in flight; what counts is what arrived at the others.

`.venv/bin/python -m bench.fan_out [--sizes 100,900] [--seconds 8] [--in-flight 4] [--only chatty]`
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack

from .harness import Served, run
from .report import Load, Meter, show
from .sends import Pair, closed_loop, servers
from .talkers import Room, group, room_on_a_peer
from .wires import PONG, Wire

HEARD = b'42/chat,["message_sent"'


class Listener(Wire):
    """Counts messages without looking at them: the load generator must not be what is measured."""

    _tail = b""

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            super().data_received(data)
            return
        self.heard += (self._tail + data).count(HEARD)
        self._tail = data[-len(HEARD) + 1 :]


async def measure(served: Served, name: str, room: Room, seconds: float, in_flight: int) -> Load:
    sender = await Wire.open(served.port, room.tokens[0])
    listeners = [await Listener.open(served.port, token) for token in room.tokens[1:]]
    beating = asyncio.create_task(_beat(listeners))
    voices = [Pair(room, sender, sender) for _ in range(in_flight)]
    sender.acknowledged = lambda packet: _route(packet, voices)
    for number, voice in enumerate(voices):
        voice.number_from(number * 1_000_000)
    await closed_loop(voices, min(2, seconds))
    await _settled(listeners)
    for voice in voices:
        voice.latencies.clear()
    heard, meter, begun = sum(each.heard for each in listeners), Meter(served), time.perf_counter()
    await closed_loop(voices, seconds)
    await _settled(listeners)
    took = time.perf_counter() - begun - 0.4
    beating.cancel()
    delivered = sum(each.heard for each in listeners) - heard
    latencies = [latency for voice in voices for latency in voice.latencies]
    if delivered != len(latencies) * len(listeners):
        print(f"{name}: {len(latencies)} messages to {len(listeners)}, {delivered} delivered")
    for wire in (sender, *listeners):
        wire.transport.abort()
    return Load(name, delivered / took, latencies, *meter.shares(took))


def _route(packet: bytes, voices: Sequence[Pair]) -> None:
    number = int(packet[len(b"43/chat,") : packet.index(b"[")])
    voices[number // 1_000_000].acknowledge(packet)


async def _beat(listeners: Sequence[Wire]) -> None:
    """They do not look for pings, so they answer before they are asked."""
    while True:
        await asyncio.sleep(8)
        for each in listeners:
            each.transport.write(PONG)


async def _settled(listeners: Sequence[Wire]) -> None:
    """Return once nothing has arrived for a fifth of a second."""
    heard = -1
    while heard != (heard := sum(each.heard for each in listeners)):
        await asyncio.sleep(0.2)


def main(sizes: Sequence[int], seconds: float, in_flight: int, only: str) -> None:
    tables: dict[int, list[Load]] = {size: [] for size in sizes}
    with servers(only) as started:
        for name, start in started.items():
            for size in sizes:
                with ExitStack() as stack:
                    served = start(stack)
                    room = group(served, size) if name.startswith("Chatty") else room_on_a_peer(size)
                    tables[size].append(run(measure(served, name, room, seconds, in_flight)))
    for size, loads in tables.items():
        show(f"One sender, {in_flight} in flight, a room of {size}", "deliveries/s", loads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,900")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--in-flight", type=int, default=4)
    parser.add_argument("--only", default="", help="of node, plain, chatty, sqlite, with commas")
    options = parser.parse_args()
    main([int(size) for size in options.sizes.split(",")], options.seconds, options.in_flight, options.only)
