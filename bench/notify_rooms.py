"""What a message to a room of 1,000 costs its sender, beside one to a room of 10, while the ladder is at work.

Open loop: messages fall due at a fixed rate, in turns to the one room and the other; each latency is from the moment at
which it was due to the acknowledgement. Some members are connected to both namespaces; all could be told by push and by
mail. `--still` lets nobody be told of it, to compare.

`.venv/bin/python -m bench.notify_rooms [--members 1000] [--rate 20] [--seconds 30] [--only sqlite] [--still]`
"""

import argparse
import asyncio
import base64
import secrets
import socket
import sqlite3
import time
from collections.abc import Sequence

import asyncpg
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .harness import Served, percentile, run, service
from .report import Meter
from .sends import TICK, Pair
from .talkers import Room, group
from .wires import HEARD, PONG, Wire

PUSH_AFTER = 20
VERIFIED = "UPDATE users SET email_verified_at = created_at"
SUBSCRIBED = (
    "INSERT INTO push_subscriptions (id, user_id, session_id, endpoint, endpoint_hash, p256dh, auth, created_at)"
    " SELECT id, user_id, id, '{endpoint}', {hash}, '{p256dh}', '{auth}', created_at FROM sessions"
)


class PushSink(asyncio.Protocol):
    """One connection to a push service that takes everything. `got`: how many pushes."""

    got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, rest = self._buffer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            PushSink.got += 1
            self._transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")  # type: ignore[attr-defined]


def _browser() -> dict[str, str]:
    """Keys as a browser makes them, one for all."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"p256dh": _base64(point), "auth": _base64(secrets.token_bytes(16))}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Listener(Wire):
    """Counts messages without looking at them."""

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self.heard += data.count(HEARD)
        else:
            super().data_received(data)


async def reachable(served: Served, endpoint: str) -> None:
    """Let everybody have a verified address and a browser that takes pushes."""
    if served.database_url:
        connection = await asyncpg.connect(served.database_url)
        await connection.execute(VERIFIED)
        await connection.execute(SUBSCRIBED.format(hash="id::text", endpoint=endpoint, **_browser()))
        await connection.close()
        return
    with sqlite3.connect(served.data / "chatty.db", timeout=30) as file:
        file.execute(VERIFIED)
        file.execute(SUBSCRIBED.format(hash="id", endpoint=endpoint, **_browser()))


async def ladder_work(served: Served) -> dict[str, int]:
    """What the ladder has left: spans, and work in the outbox."""
    counts = {}
    for name, query in (
        ("spans", "SELECT count(*) FROM deliveries"),
        ("outbox", "SELECT count(*) FROM outbox WHERE kind IN ('push', 'digest')"),
        ("untold", "SELECT count(*) FROM rooms WHERE tell_at IS NOT NULL"),
    ):
        if served.database_url:
            connection = await asyncpg.connect(served.database_url)
            counts[name] = await connection.fetchval(query)
            await connection.close()
        else:
            with sqlite3.connect(served.data / "chatty.db", timeout=30) as file:
                counts[name] = file.execute(query).fetchone()[0]
    return counts


async def measure(
    served: Served, rooms: Sequence[Room], connected: int, rate: float, seconds: float, port: int
) -> list[Pair]:
    """The senders of the rooms, with their latencies."""
    sink = await asyncio.get_running_loop().create_server(PushSink, "127.0.0.1", port)
    await reachable(served, f"http://127.0.0.1:{port}/push")
    listeners: list[Wire] = []
    beating = asyncio.create_task(_beat(listeners))
    talking = []
    for room in rooms:
        sender = await Wire.open(served.port, room.tokens[0])
        talking.append(Pair(room, sender, sender))
        for token in room.tokens[1:connected]:
            for namespace in ("/chat", "/notifications"):
                listeners.append(await _listen(served.port, token, namespace))
    await _send(talking, rate, PUSH_AFTER + 2)
    for pair in talking:
        pair.latencies.clear()
    heard, pushed, meter = sum(each.heard for each in listeners), PushSink.got, Meter(served)
    await _send(talking, rate, seconds)
    server, own = meter.shares(seconds)
    sent = sum(len(pair.latencies) for pair in talking)
    print(f"  {sent} sent, {sum(each.heard for each in listeners) - heard} heard; server {server:.0%}, load {own:.0%}")
    print(f"  {PushSink.got - pushed} pushed meanwhile")
    await asyncio.sleep(PUSH_AFTER + 3)
    print(f"  the ladder has left {await ladder_work(served)}")
    beating.cancel()
    sink.close()
    for wire in (*listeners, *(pair.sender for pair in talking)):
        wire.transport.abort()
    return talking


async def _listen(port: int, token: str, namespace: str) -> Wire:
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(lambda: Listener(token, namespace), "127.0.0.1", port)
    if namespace == "/chat":
        await asyncio.wait_for(wire.ready, 30)
    else:  # it greets nobody
        await asyncio.sleep(0.01)
    return wire


async def _send(talking: Sequence[Pair], rate: float, seconds: float) -> None:
    begun, sent = time.perf_counter(), 0
    while sent < rate * seconds:
        while sent < min(rate * (time.perf_counter() - begun), rate * seconds):
            talking[sent % len(talking)].send(begun + sent / rate)
            sent += 1
        await asyncio.sleep(TICK)
    async with asyncio.timeout(30):
        while any(pair.due for pair in talking):
            await asyncio.sleep(0.01)


async def _beat(listeners: Sequence[Wire]) -> None:
    while True:
        await asyncio.sleep(5)
        for each in listeners:
            each.transport.write(PONG)


def main(members: int, connected: int, rate: float, seconds: float, only: str, *, still: bool) -> None:
    after = 86_400 if still else PUSH_AFTER
    print("| | members | p50 ms | p99 ms | worst ms |\n|---|---|---|---|---|")
    for database in ("sqlite", "postgres"):
        if only and database not in only.split(","):
            continue
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = {"NOTIFICATIONS__PUSH_AFTER_SECONDS": after, "NOTIFICATIONS__PUSH_ORIGINS": f"http://127.0.0.1:{port}"}
        with service(database, GROUP_MEMBERS=members, **told) as served:
            rooms = [group(served, size) for size in (members, 10)]
            large, small = run(measure(served, rooms, connected, rate, seconds, port))
            for pair, size in ((large, members), (small, 10)):
                p50, p99 = (percentile(pair.latencies, share) * 1e3 for share in (0.5, 0.99))
                print(f"| {database} | {size} | {p50:.1f} | {p99:.1f} | {max(pair.latencies) * 1e3:.1f} |")
            ratio = percentile(large.latencies, 0.99) / percentile(small.latencies, 0.99)
            print(f"p99 of the large room is {ratio:.2f} of the small one's; {large.refused + small.refused} refused")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--connected", type=int, default=100)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--only", default="", help="of sqlite, postgres, with commas")
    parser.add_argument("--still", action="store_true")
    given = parser.parse_args()
    main(given.members, given.connected, given.rate, given.seconds, given.only, still=given.still)
