"""PostgreSQL as Chatty drives it: bounded waits, and a look at a connection's health that costs no round trip."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from .failures import too_busy

POOL_SIZE, READERS = 10, 5
WAIT_SECONDS = 5
PING_AFTER_IDLE_SECONDS = 10

_SERVER_SETTINGS = {
    "application_name": "chatty",
    "jit": "off",
    "statement_timeout": "15000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}

_CONNECT = {"timeout": 5, "command_timeout": 20, "server_settings": _SERVER_SETTINGS}


def engine(url: str, connections: int = POOL_SIZE, **settings: str) -> AsyncEngine:
    """An engine on the server at `url`. A statement waits 15 s at most, a lock or a free connection 5 s.

    `settings` of the server's are set for these connections.
    """
    made = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        hide_parameters=True,  # an error in the log names no person
        connect_args={**_CONNECT, "server_settings": {**_SERVER_SETTINGS, **settings}},
    )
    event.listen(made.sync_engine, "checkout", _refuse_dead_connection)
    return made


class Reader:
    """Single reads, each its own transaction, over a few connections of their own.

    Not asyncpg's pool: under load its latecomers overtake who waits, and its reset is a round trip more.
    """

    def __init__(self, sqlalchemy: AsyncEngine) -> None:
        self.dialect = sqlalchemy.dialect
        _, address = self.dialect.create_connect_args(sqlalchemy.url)
        self._address = {name: value for name, value in address.items() if not name.startswith("prepared_statement")}
        self._places = asyncio.Semaphore(READERS)
        self._free: list[asyncpg.Connection] = []

    async def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of one query, asked again if its connection turns out to have died.

        Raises what asyncpg raises, ConnectionError or TimeoutError when the server is away, and Unavailable when too
        many wait.
        """
        await self._take_a_place()
        try:
            return await self._ask_twice(sql, values)
        finally:
            self._places.release()

    async def close(self) -> None:
        self._forget()

    async def _take_a_place(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise too_busy() from None

    async def _ask_twice(self, sql: str, values: Sequence[Any]) -> list[Any]:
        try:
            return await self._ask(sql, values)
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError):
            self._forget()
        try:
            return await self._ask(sql, values)
        except asyncpg.InterfaceError as error:
            raise ConnectionError from error

    async def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        while self._free and self._free[-1].is_closed():
            self._free.pop()
        connection = self._free.pop() if self._free else await asyncpg.connect(**self._address, **_CONNECT)
        try:
            rows: list[Any] = await connection.fetch(sql, *values)
            return rows
        finally:
            self._free.append(connection)

    def _forget(self) -> None:
        while self._free:
            self._free.pop().terminate()


def _refuse_dead_connection(connection: Any, record: Any, proxy: Any) -> None:
    """Have the pool replace a connection that has died.

    asyncpg has seen by now that a restarted server closed it; only after a long silence is a round trip needed.
    Cheaper than `pool_pre_ping`, which makes that round trip at every checkout.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    now = time.monotonic()
    if now - record.info.get("used_at", now) > PING_AFTER_IDLE_SECONDS:
        try:
            connection.ping()
        except Exception as error:
            raise DisconnectionError from error
    record.info["used_at"] = now
