"""Deliveries per second in a room of 100 and of 900 in which a few talk.

Closed loop: each who talks has one message in flight; what counts is what arrived at the others.

`.venv/bin/python -m bench.fan_out [--sizes 100,900] [--seconds 8] [--talkers 8] [--only chatty]`
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
from .wires import HEARD, PONG, Wire


class Listener(Wire):
    """Counts messages without looking at them: the load generator must not be what is measured."""

    _tail = b""

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            super().data_received(data)
            return
        data = self._tail + data
        self.heard += data.count(HEARD)
        self._tail = data[-len(HEARD) + 1 :]


async def measure(served: Served, name: str, room: Room, seconds: float, talkers: int) -> Load:
    kinds = [Wire if place < talkers else Listener for place in range(len(room.tokens))]
    wires: list[Wire] = []
    beating = asyncio.create_task(_beat(wires))
    for kind, token in zip(kinds, room.tokens, strict=True):
        wires.append(await kind.open(served.port, token))
    talking = [Pair(room, wire, wire) for wire in wires[:talkers]]
    await closed_loop(talking, min(2, seconds))
    await _settled(wires)
    for pair in talking:
        pair.latencies.clear()
    heard, meter, begun = sum(each.heard for each in wires), Meter(served), time.perf_counter()
    await closed_loop(talking, seconds)
    waited = await _settled(wires)
    took = time.perf_counter() - begun - waited
    beating.cancel()
    delivered = sum(each.heard for each in wires) - heard
    latencies = [latency for pair in talking for latency in pair.latencies]
    if delivered != len(latencies) * (len(wires) - 1):
        lost = sum(wire.transport.is_closing() for wire in wires)
        print(f"{name}: {len(latencies)} messages in a room of {len(wires)}, {delivered} delivered; {lost} were cut")
    for wire in wires:
        wire.transport.abort()
    return Load(name, delivered / took, latencies, *meter.shares(took))


async def _beat(listeners: Sequence[Wire]) -> None:
    """They do not look for pings, so they answer before they are asked."""
    while True:
        await asyncio.sleep(5)
        for each in listeners:
            each.transport.write(PONG)


async def _settled(listeners: Sequence[Wire]) -> float:
    """Return once nothing has arrived for half a second: the seconds spent on knowing that."""
    heard = -1
    while heard != (heard := sum(each.heard for each in listeners)):
        await asyncio.sleep(0.5)
    return 0.7  # and what closed_loop waits at its end


def main(sizes: Sequence[int], seconds: float, talkers: int, only: str) -> None:
    tables: dict[int, list[Load]] = {size: [] for size in sizes}
    with servers(only) as started:
        for name, start in started.items():
            for size in sizes:
                with ExitStack() as stack:
                    served = start(stack)
                    room = group(served, size) if name.startswith("Chatty") else room_on_a_peer(size)
                    tables[size].append(run(measure(served, name, room, seconds, talkers)))
    for size, loads in tables.items():
        show(f"A room of {size}, {talkers} talk, one in flight each", "deliveries/s", loads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,900")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--talkers", type=int, default=8)
    parser.add_argument("--only", default="", help="of node, plain, chatty, sqlite, with commas")
    options = parser.parse_args()
    main([int(size) for size in options.sizes.split(",")], options.seconds, options.talkers, options.only)
