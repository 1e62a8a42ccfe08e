"""The database: `snapshot()` to read, `transaction()` to change, and what a transaction announces.

Publishing is the line after COMMIT: on a rollback nothing is announced, and a failing publisher costs a client a hint,
never a message.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from . import sqlite
from .direct import DirectReads, Driver, Prepared
from .exclusive import taken_here, taken_on
from .failures import translated
from .repositories import Repositories
from .sends import Sends
from .snapshots import SnapshotReads
from .sqlite_sends import SqliteSends
from .transactions import Publish, Transaction
from .uninterrupted import uninterrupted

__all__ = ["Database", "Publish", "Transaction"]

PATIENT = 4
"""So many of PostgreSQL's connections are left to transactions that may wait; SQLite has one writer for all."""


class Database:
    """One database, SQLite or PostgreSQL, behind one interface.

    `url` is an SQLAlchemy URL (`sqlite+aiosqlite:///…`, `postgresql+asyncpg://…`); `publish` gets the events of each
    committed transaction. Raises `Unavailable` when the database cannot be reached, is too busy or lost the connection
    (after which the outcome of a transaction is unknown), `Conflict` when a constraint refuses.
    """

    def __init__(self, url: str, publish: Publish) -> None:
        self._publish = publish
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            self._writer, self._reader = _sqlite_engines(url)
            self._single: Driver = sqlite.Reader(_path(url), self._reader.dialect)
            self.sends: Sequence[Sends] = (SqliteSends(self._writer, publish),)  # where batches of messages are stored
        else:
            from . import postgres, postgres_sends  # not on SQLite: it takes a tenth of a start

            self._writer = postgres.engine(url)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._single = postgres.Reader(self._writer)
            self.sends = postgres_sends.lanes(url, publish)
        self._patience = asyncio.Semaphore(1 if self.is_sqlite else PATIENT)
        self._prepared: dict[Select[Any], Prepared] = {}
        self._taken: set[UUID] = set()
        self._direct = Repositories(cast(AsyncConnection, DirectReads(self._single)))  # as much of one as is needed

    @contextlib.asynccontextmanager
    async def patient_transaction(self) -> AsyncIterator[Transaction]:
        """`transaction` for what may wait for others' messages: few of these stand in line for the database at once."""
        async with self._patience, self.transaction() as transaction:
            yield transaction

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Change things, all or nothing: COMMIT at the end of the block, then publish; ROLLBACK on any exception."""
        with translated():
            async with self._writer.connect() as connection:
                transaction = Transaction(connection)
                if self.is_sqlite:
                    await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield transaction
                await uninterrupted(self._commit(connection, transaction))

    async def _commit(self, connection: AsyncConnection, transaction: Transaction) -> None:
        """COMMIT and publish are one: who is cancelled in between has still done both."""
        await connection.commit()
        if transaction.announced:
            self._publish(transaction.announced)

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Repositories]:
        """Read things as they were at one moment, however many statements it takes."""
        with translated():
            async with self._reader.connect() as connection:
                if self.is_sqlite:
                    await connection.exec_driver_sql("BEGIN")
                yield Repositories(cast(AsyncConnection, SnapshotReads(connection, self._prepared)))

    @contextlib.asynccontextmanager
    async def single_read(self) -> AsyncIterator[Repositories]:
        """Read by one statement that its module built once: the quick way for what every request asks.

        Its own snapshot. Not for two statements, not for lists of values.
        """
        with translated():
            yield self._direct

    @contextlib.asynccontextmanager
    async def exclusively(self, ids: Collection[UUID]) -> AsyncIterator[frozenset[UUID]]:
        """Those of these ids that nobody else has had from here so, in any process, until the end of the block."""
        async with taken_here(ids, self._taken) if self.is_sqlite else taken_on(self._writer, ids) as mine:
            yield mine

    async def ping(self) -> None:
        """Raise `Unavailable` unless the database answers."""
        with translated():
            async with self._reader.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def revision(self) -> str | None:
        """The migration that the database is at, or None if it was never migrated."""
        with translated():
            async with self._reader.connect() as connection:
                if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
                    return None
                version = await connection.scalar(text("SELECT version_num FROM alembic_version"))
                return str(version) if version else None

    async def close(self) -> None:
        await self._single.close()
        for each in self.sends:
            await each.close()
        await self._writer.dispose()
        if self.is_sqlite:
            await self._reader.dispose()


def _sqlite_engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    """One writer, since SQLite has one anyway, and some readers."""
    path = _path(url)
    writer = create_async_engine(
        url,
        async_creator=partial(sqlite.connect, path, read_only=False),
        pool_size=1,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,
    )
    reader = create_async_engine(
        url,
        async_creator=partial(sqlite.connect, path, read_only=True),
        pool_size=8,
        max_overflow=8,
        pool_timeout=5,
        hide_parameters=True,
    )
    return writer, reader


def _path(url: str) -> str:
    return url.partition(":///")[2]
