"""How long the service takes to mail 10,000 people what they have not read, each something in two rooms.

The service has one core, and with PostgreSQL the database the other, where the SMTP server is, too: one of our own that
takes whatever comes, since aiosmtpd takes no more than some hundred mails a second. All is in the database beforehand,
as the ladder leaves it; the time is from when the first falls due until the last mail has come and all is noted.

`.venv/bin/python -m bench.digests [--people 10000] [--only sqlite,postgres]`
"""

import argparse
import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg

from src.db.ids import new_id

from .corpus import Corpus
from .filling import LINE, MEMBER, ROOM, Postgres, Sqlite, Store
from .harness import Served, join, run, service
from .report import Meter

GROUP, LINES = 20, 5
PORTION = 20_000
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
DELIVERY = ("room_id", "user_id", "channel", "first_seq", "last_seq", "status", "reason", "at")
OUTBOX = ("id", "kind", "key", "payload", "attempts", "due_at", "created_at")
DUE = "UPDATE outbox SET due_at = created_at WHERE kind = 'digest'"
LEFT = "SELECT count(*) FROM outbox WHERE kind = 'digest'"


class Sink(asyncio.Protocol):
    """One connection to an SMTP server that takes everything. `got`: how many mails for each recipient."""

    got: ClassVar[Counter[bytes]] = Counter()
    bytes = 0
    connections = 0

    def connection_made(self, transport: Any) -> None:
        Sink.connections += 1
        self._transport, self._buffer, self._in_data, self._to = transport, b"", False, b""
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = b"\r\n.\r\n" if self._in_data else b"\r\n"
            said, found, rest = self._buffer.partition(end)
            if not found:
                return
            self._buffer = rest
            self._transport.write(self._mail(said) if self._in_data else self._answer(said))

    def _mail(self, content: bytes) -> bytes:
        self._in_data = False
        Sink.got[self._to] += 1
        Sink.bytes += len(content)
        return b"250 OK\r\n"

    def _answer(self, said: bytes) -> bytes:
        match said[:4].upper():
            case b"EHLO":
                return b"250-sink\r\n250-8BITMIME\r\n250 SIZE 10000000\r\n"
            case b"RCPT":
                self._to = said[9 : said.index(b">")]
                return b"250 OK\r\n"
            case b"DATA":
                self._in_data = True
                return b"354 go on\r\n"
            case b"QUIT":
                self._transport.close()
                return b"221 bye\r\n"
        return b"250 OK\r\n"


async def fill(store: Store, model: UUID, people: int) -> None:
    """Groups of GROUP people and one who writes to them, and to each of them alone; nobody has read anything."""
    row, text, at = await store.row(model), Corpus(1).lines(), datetime.now(UTC) - timedelta(hours=1)
    writers, readers = [[new_id() for _ in range(count)] for count in (people // GROUP, people)]
    verified = {"email_verified_at": at}
    persons = [
        row | verified | {"id": each, "email": f"{each}@x.kr", "email_key": f"{each}@x.kr", "language": language}
        for number, each in enumerate((*writers, *readers))
        for language in ("ko", "en")[number % 2 :][:1]
    ]
    await store.put("users", [*row], [[*person.values()] for person in persons])
    rooms: list[tuple[UUID, UUID, list[UUID]]] = []  # who writes, who reads
    for number, writer in enumerate(writers):
        crowd = readers[number * GROUP : (number + 1) * GROUP]
        rooms += [(new_id(), writer, crowd), *((new_id(), writer, [each]) for each in crowd)]
    await store.put("rooms", ROOM, [
        (id, "direct" if len(crowd) == 1 else "group", *(sorted((writer, *crowd)) if len(crowd) == 1 else (None, None)),
         LINES, LINES, LINES, 1, at, at, at) for id, writer, crowd in rooms
    ])  # fmt: skip
    await put(store, "members", MEMBER, (
        (id, user, "member", 1, 0, LINES * (user == writer), LINES * (user == writer), False, at, at)
        for id, writer, crowd in rooms for user in (writer, *crowd)
    ))  # fmt: skip
    await put(store, "messages", LINE, (
        (new_id(), id, seq, seq, seq, "text", writer, new_id(), next(text), at + timedelta(seconds=seq))
        for id, writer, _ in rooms for seq in range(1, LINES + 1)
    ))  # fmt: skip
    await put(store, "deliveries", DELIVERY, (
        (id, user, "email", 1, LINES, "pending", None, at) for id, _, crowd in rooms for user in crowd
    ))  # fmt: skip
    await put(store, "outbox", OUTBOX, (
        (new_id(), "digest", f"digest:{user.hex}", json.dumps({"user_id": str(user)}), 0, NEVER, at) for user in readers
    ))  # fmt: skip
    await store.done()


async def put(store: Store, table: str, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    every = list(rows)
    for first in range(0, len(every), PORTION):
        await store.put(table, columns, every[first : first + PORTION])


async def ask(served: Served, statement: str) -> int:
    """Run one statement; the number that it answers, if any."""
    if served.database_url:
        connection = await asyncpg.connect(served.database_url)
        answer = await connection.fetchval(statement)
        await connection.close()
        return int(answer or 0)
    with sqlite3.connect(served.data / "chatty.db", timeout=30) as file:
        row = file.execute(statement).fetchone()
        return row[0] if row else 0


async def measure(served: Served, people: int, port: int) -> None:
    Sink.got.clear()
    Sink.bytes = Sink.connections = 0
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    model = join(served, "anna")["user"]["id"]
    store: Store = await Postgres.open(served.database_url) if served.database_url else Sqlite(served.data)
    await fill(store, UUID(model), people)
    if served.database_url:
        await ask(served, "ANALYZE")
    await asyncio.sleep(2)
    before, ours = Sink.got.total(), served.cpu_seconds
    meter, begun = Meter(served), time.perf_counter()
    await ask(served, DUE)
    while (sent := Sink.got.total() - before) < people:
        await asyncio.sleep(0.02)
        assert time.perf_counter() - begun < 600, f"{sent} mails after ten minutes"
    mailed = time.perf_counter() - begun
    while await ask(served, LEFT):
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - begun
    cpu, own = meter.shares(seconds)
    twice = sum(count > 1 for count in Sink.got.values())
    name = "postgres" if served.database_url else "sqlite"
    print(
        f"| {name} | {people} | {mailed:.1f} | {seconds:.1f} | {people / seconds:.0f} | {cpu:.0%} |"
        f" {(served.cpu_seconds - ours) / people * 1e6:.0f} | {own:.0%} | {Sink.bytes / people:.0f} | {twice} |"
    )
    server.close()


def main(people: int, only: str) -> None:
    print("| | people | all mailed, s | noted, s | mails/s | server CPU | µs of it each | ours | bytes each | twice |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    from .harness import _free_port

    for database in ("sqlite", "postgres"):
        if only and database not in only.split(","):
            continue
        port = _free_port()
        with service(database, SMTP_URL=f"smtp://127.0.0.1:{port}") as served:
            run(measure(served, people, port))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--only", default="", help="of sqlite, postgres, with commas")
    given = parser.parse_args()
    main(given.people, given.only)
