"""Signed-in REST reads per second, closed loop.

`.venv/bin/python -m bench.rest_reads [--seconds 5] [--connections 32]`
"""

import argparse
import asyncio
import time

from .harness import Served, join, own_cpu_seconds, peer, percentile, run, service


class Reader(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request, self.until = request, until
        self.latencies: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.asked = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        assert head.startswith(b"HTTP/1.1 200"), self._buffer
        self._buffer = b""
        now = time.perf_counter()
        self.latencies.append(now - self.asked)
        if now < self.until:
            self._ask()
        else:
            self.transport.close()
            self.done.set_result(None)


async def load(served: Served, path: str, token: str, connections: int, seconds: float) -> list[float]:
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Reader(request, until), "127.0.0.1", served.port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(reader.done for _, reader in pairs))
    return [latency for _, reader in pairs for latency in reader.latencies]


def measure(served: Served, name: str, path: str, token: str, connections: int, seconds: float) -> None:
    run(load(served, path, token, connections, 1))
    cpu, own, begun = served.cpu_seconds, own_cpu_seconds(), time.perf_counter()
    latencies = run(load(served, path, token, connections, seconds))
    took = time.perf_counter() - begun
    server, client = (served.cpu_seconds - cpu) / took, (own_cpu_seconds() - own) / took
    print(
        f"{name:26} {len(latencies) / took:7.0f}/s  "
        f"p50 {percentile(latencies, 0.5) * 1e3:5.1f} ms  p99 {percentile(latencies, 0.99) * 1e3:5.1f} ms  "
        f"server CPU {server:4.0%}  client CPU {client:4.0%}"
    )


def main(connections: int, seconds: float) -> None:
    with peer("plain_aiohttp") as served:
        measure(served, "plain aiohttp, no database", "/users/me", "none", connections, seconds)
    for database in ("sqlite", "postgres"):
        with service(database) as served:
            session = join(served, "anna")
            for path in ("/users/me", f"/users/{session['user']['id']}", "/friends"):
                name = f"{database} GET {path.replace(session['user']['id'], '{id}')}"
                measure(served, name, path, session["access_token"], connections, seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    main(options.connections, options.seconds)
