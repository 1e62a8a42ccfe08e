"""SQLite as Chatty drives it: explicit transactions, statements on the event loop, waits in a thread.

A read of one row takes some 10 µs; through a thread and back, as aiosqlite does four times per SELECT, it takes more
than ten times as long. What may wait (the write lock at BEGIN IMMEDIATE, the disk at COMMIT) runs in a thread. See
docs/decisions/0002-sqlite.md.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Dialect

from .uninterrupted import uninterrupted

T = TypeVar("T")

_waits = ThreadPoolExecutor(max_workers=4, thread_name_prefix="sqlite-wait")
_MAY_WAIT = "BEGIN IMMEDIATE"


async def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread and see it through: a caller's cancellation must not leave it half done."""

    async def wait() -> T:
        return await asyncio.get_running_loop().run_in_executor(_waits, work)

    return await uninterrupted(wait())


class Cursor:
    """The part of aiosqlite's cursor that SQLAlchemy's dialect calls."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> "Cursor":
        if sql.startswith(_MAY_WAIT):
            await _in_thread(partial(self._cursor.execute, sql))
        else:
            self._cursor.execute(sql, parameters or ())
        return self

    async def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> "Cursor":
        self._cursor.executemany(sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def fetchone(self) -> Any:
        return self._cursor.fetchone()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._cursor.fetchmany(size or self._cursor.arraysize)

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount


class Connection:
    """The part of aiosqlite's connection that SQLAlchemy's dialect calls."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = raw
        self._conn = raw

    def cursor(self) -> Cursor:
        return Cursor(self._conn.cursor())

    async def create_function(self, *args: Any, **options: Any) -> None:
        self._conn.create_function(*args, **options)

    async def commit(self) -> None:
        if self._conn.in_transaction:
            await _in_thread(self._conn.commit)

    async def rollback(self) -> None:
        if self._conn.in_transaction:
            self._conn.rollback()

    async def close(self) -> None:
        self._conn.close()
        self._connection = None

    def stop(self) -> None:
        """Close without waiting; what was not committed is gone."""
        self._conn.close()
        self._connection = None


class Reader:
    """Single reads on the event loop: each runs to its end there, so they can share one connection."""

    def __init__(self, path: str, dialect: Dialect) -> None:
        self.dialect = dialect
        self._path = path
        self._opening = asyncio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of one query."""
        connection = self._connection or await self._open()
        return connection.execute(sql, values).fetchall()

    async def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    async def _open(self) -> sqlite3.Connection:
        async with self._opening:
            if self._connection is None:
                self._connection = (await connect(self._path, read_only=True))._conn
            return self._connection


async def connect(path: str, *, read_only: bool) -> Connection:
    """Open the file with the pragmas that Chatty's promises need."""
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    await _in_thread(partial(_prepare, raw, read_only))
    return Connection(raw)


def _prepare(raw: sqlite3.Connection, read_only: bool) -> None:
    pragmas = ["busy_timeout = 5000", "journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"]
    for pragma in [*pragmas, "cache_size = -65536", f"query_only = {int(read_only)}"]:
        raw.execute(f"PRAGMA {pragma}").fetchall()
