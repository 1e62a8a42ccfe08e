"""Acknowledged socket events per second, closed loop.

`.venv/bin/python -m bench.socket_events [--seconds 5] [--connections 50] [--in-flight 1]`
"""

import argparse
import json
import time

from .harness import Served, join, own_cpu_seconds, peer, percentile, run, service
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


def measure(
    served: Served, name: str, token: str, event: bytes, connections: int, seconds: float, in_flight: int
) -> None:
    cpu, own, begun = served.cpu_seconds, own_cpu_seconds(), time.perf_counter()
    latencies = run(load(served, token, event, connections, seconds, in_flight))
    took = time.perf_counter() - begun
    server, client = (served.cpu_seconds - cpu) / took, (own_cpu_seconds() - own) / took
    print(
        f"{name:26} {len(latencies) / seconds:7.0f}/s  "
        f"p50 {percentile(latencies, 0.5) * 1e3:5.1f} ms  p99 {percentile(latencies, 0.99) * 1e3:5.1f} ms  "
        f"server CPU {server:4.0%}  client CPU {client:4.0%}"
    )


def main(connections: int, seconds: float, in_flight: int) -> None:
    unknown = b'["no_such_event",{}]'
    with peer("plain_socketio") as served:
        measure(served, "plain python-socketio", "none", unknown, connections, seconds, in_flight)
    with service("sqlite") as served:
        token = join(served, "anna")["access_token"]
        refresh = json.dumps(["refresh_session", {"token": token}]).encode()
        measure(served, "Chatty, unknown event", token, unknown, connections, seconds, in_flight)
        measure(served, "Chatty, refresh_session", token, refresh, connections, seconds, in_flight)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--in-flight", type=int, default=1)
    options = parser.parse_args()
    main(options.connections, options.seconds, options.in_flight)
