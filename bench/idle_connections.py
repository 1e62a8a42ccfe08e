"""Memory per idle connection: resident memory of the service, before and after so many people sit in `/chat`.

`.venv/bin/python -m bench.idle_connections [--connections 1000]`
"""

import argparse
import asyncio
import time

from .harness import Served, join, peer, run, service
from .wires import Wire


async def load(served: Served, token: str, connections: int) -> tuple[float, float]:
    """KiB per connection, and how many were opened in a second."""
    for _ in range(2):  # so that code, caches and arenas are there
        wires = [await Wire.open(served.port, token) for _ in range(5)]
        for wire in wires:
            wire.transport.abort()
        await asyncio.sleep(1)
    before, begun = served.rss_kib, time.perf_counter()
    wires = [await Wire.open(served.port, token) for _ in range(connections)]
    took = time.perf_counter() - begun
    await asyncio.sleep(3)
    used = (served.rss_kib - before) / connections
    assert not any(wire.transport.is_closing() for wire in wires)
    return used, connections / took


def measure(served: Served, name: str, token: str, connections: int) -> None:
    per_connection, rate = run(load(served, token, connections))
    print(
        f"{name:26} {per_connection:5.1f} KiB for each of {connections} idle connections; "
        f"opened {rate:.0f}/s one after the other"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=1000)
    options = parser.parse_args()
    with peer("plain_socketio") as served:
        measure(served, "plain python-socketio", "none", options.connections)
    with service("sqlite") as served:
        measure(served, "Chatty", join(served, "anna")["access_token"], options.connections)
