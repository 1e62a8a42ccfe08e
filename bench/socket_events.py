"""Acknowledged socket events per second, closed loop.

`.venv/bin/python -m bench.socket_events [--seconds 5] [--connections 50] [--in-flight 1]`
"""

import argparse
import json
import time

from .harness import Served, join, own_cpu_seconds, percentile, run, service
from .wires import Wire, emit_for


async def load(
    served: Served, token: str, event: bytes, connections: int, seconds: float, in_flight: int
) -> list[float]:
    wires = [await Wire.open(served.port, token) for _ in range(connections)]
    await emit_for(wires, event, 1, in_flight)
    latencies = await emit_for(wires, event, seconds, in_flight)
    for wire in wires:
        wire.transport.abort()
    return latencies


def measure(database: str, connections: int, seconds: float, in_flight: int) -> None:
    with service(database) as served:
        token = join(served, "anna")["access_token"]
        for name, event in (
            ("(unknown)", b'["no_such_event",{}]'),
            ("refresh_session", json.dumps(["refresh_session", {"token": token}]).encode()),
        ):
            cpu, own, begun = served.cpu_seconds, own_cpu_seconds(), time.perf_counter()
            latencies = run(load(served, token, event, connections, seconds, in_flight))
            took = time.perf_counter() - begun
            server, client = (served.cpu_seconds - cpu) / took, (own_cpu_seconds() - own) / took
            print(
                f"{database:8} {name:16} {len(latencies) / seconds:7.0f}/s  "
                f"p50 {percentile(latencies, 0.5) * 1e3:5.1f} ms  p99 {percentile(latencies, 0.99) * 1e3:5.1f} ms  "
                f"server CPU {server:4.0%}  client CPU {client:4.0%}"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    options = parser.parse_args()
    measure(options.database, options.connections, options.seconds, options.in_flight)
