"""Fill a database past the service: direct rooms of one person, and lines in them, also in the search index."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from src.db.ids import new_id
from src.db.search_rows import Findable, tokens, vector

from .corpus import Corpus
from .harness import Served

PORTION = 20_000
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
LINE = ("id", "room_id", "seq", "rev", "ordinal", "kind", "sender_id", "client_id", "text", "created_at")
ROOM = (
    "id", "kind", "low_id", "high_id", "last_seq", "last_ordinal", "rev", "roster", "active_at", "changed_at",
    "created_at",
)  # fmt: skip
MEMBER = (
    "room_id", "user_id", "role", "first_seq", "first_rev", "read_seq", "read_ordinal", "pinned", "listed_at",
    "joined_at",
)  # fmt: skip
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Filling:
    """What there is: rooms, the `lines` in each, and words that few lines hold."""

    rooms: Sequence[UUID]
    lines: int
    rare_words: Sequence[str]

    def room(self, number: int) -> UUID:
        return self.rooms[number * 7 % len(self.rooms)]


class Store(Protocol):
    """A database that takes rows in bulk."""

    async def row(self, user_id: UUID) -> dict[str, Any]: ...
    async def put(self, table: str, columns: Sequence[str], rows: Rows) -> None: ...
    async def index(self, lines: Sequence[Findable]) -> None: ...
    async def done(self) -> None: ...


async def filled(served: Served, user_id: str, corpus: Corpus, rooms: int, messages: int) -> Filling:
    """Give this person so many rooms with so many messages in all."""
    store: Store = await Postgres.open(served.database_url) if served.database_url else Sqlite(served.data)
    me, lines = UUID(user_id), messages // rooms
    others = [new_id() for _ in range(rooms)]
    row = await store.row(me)
    people = [row | {"id": other, "email": f"{other}@x.kr", "email_key": f"{other}@x.kr"} for other in others]
    await store.put("users", [*row], [[*each.values()] for each in people])
    ids = [new_id() for _ in others]
    last = BEGUN + timedelta(seconds=messages)
    await store.put("rooms", ROOM, [
        (id, "direct", min(me, other), max(me, other), lines, lines, lines, 1, last, last, BEGUN)
        for id, other in zip(ids, others, strict=True)
    ])  # fmt: skip
    await store.put("members", MEMBER, [
        (id, user, "member", 1, 0, lines // 2, lines // 2, False, last, BEGUN)
        for id, other in zip(ids, others, strict=True) for user in (me, other)
    ])  # fmt: skip
    text = corpus.lines()
    made = (
        (new_id(), id, seq, seq, seq, "text", (me, other)[seq % 2], new_id(), next(text),
         BEGUN + timedelta(seconds=seq * rooms + number))
        for seq in range(1, lines + 1) for number, (id, other) in enumerate(zip(ids, others, strict=True))
    )  # fmt: skip
    for portion in _portions(made):
        await store.put("messages", LINE, portion)
        await store.index([Findable(line[0], line[1], line[2], line[6], line[8]) for line in portion])
    await store.done()
    return Filling(ids, lines, corpus.rare[-2_000:])


def _portions(rows: Iterator[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    while portion := list(itertools.islice(rows, PORTION)):
        yield portion


class Postgres:
    """Rows by COPY; the search index is built at the end."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "Postgres":
        made = cls(await asyncpg.connect(url))
        await made._connection.execute("DROP INDEX ix_search_lines_words")
        return made

    async def row(self, user_id: UUID) -> dict[str, Any]:
        return dict(await self._connection.fetchrow("SELECT * FROM users WHERE id = $1", user_id))

    async def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        await self._connection.copy_records_to_table(table, columns=columns, records=rows)

    async def index(self, lines: Sequence[Findable]) -> None:
        add = (
            "INSERT INTO search_lines (message_id, room_id, seq, words) SELECT m, r, s, w::tsvector"
            " FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[]) AS n(m, r, s, w)"
        )
        columns = zip(*((line.message_id, line.room_id, line.seq, vector(line)) for line in lines), strict=True)
        await self._connection.execute(add, *map(list, columns))

    async def done(self) -> None:
        await self._connection.execute("CREATE INDEX ix_search_lines_words ON search_lines USING gin (words)")
        await self._connection.execute("VACUUM ANALYZE")
        await self._connection.close()


class Sqlite:
    """Rows by executemany, as SQLAlchemy would write them."""

    def __init__(self, data: Path) -> None:
        self._connection = sqlite3.connect(data / "chatty.db", timeout=60)
        self._connection.execute("PRAGMA synchronous = OFF")

    async def row(self, user_id: UUID) -> dict[str, Any]:
        cursor = self._connection.execute("SELECT * FROM users WHERE id = ?", [user_id.hex])
        return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))

    async def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        add = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        with self._connection:
            self._connection.executemany(add, ([_plain(value) for value in row] for row in rows))

    async def index(self, lines: Sequence[Findable]) -> None:
        number = "INSERT INTO search_lines (message_id, room_id, seq) VALUES (?, ?, ?)"
        words = "INSERT INTO search_index (rowid, grams) SELECT number, ? FROM search_lines WHERE message_id = ?"
        with self._connection:
            self._connection.executemany(number, ((line.message_id.hex, line.room_id.hex, line.seq) for line in lines))
            self._connection.executemany(words, ((tokens(line), line.message_id.hex) for line in lines))

    async def done(self) -> None:
        with contextlib.closing(self._connection):
            self._connection.execute("ANALYZE")
            self._connection.commit()


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value
