"""PostgreSQL as Chatty drives it: bounded waits, and a look at a connection's health that costs no round trip."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_SIZE, READERS = 10, 5
PING_AFTER_IDLE_SECONDS = 10

_SERVER_SETTINGS = {
    "application_name": "chatty",
    "jit": "off",
    "statement_timeout": "15000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}

_CONNECT = {"timeout": 5, "command_timeout": 20, "server_settings": _SERVER_SETTINGS}

# Lock and statement time-outs, deadlocks, serialization failures, shut-downs, too many connections: try again.
_OUTAGES = ("55P03", "57014", "40P01", "40001", "57P", "53", "08", "25P03")


def engine(url: str) -> AsyncEngine:
    """An engine on the server at `url`. A statement waits 15 s at most, a lock or a free connection 5 s."""
    made = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=5,
        hide_parameters=True,  # an error in the log names no person
        connect_args=_CONNECT,
    )
    event.listen(made.sync_engine, "checkout", _refuse_dead_connection)
    return made


class Reader:
    """Single reads, each its own transaction, over a few connections of their own."""

    def __init__(self, sqlalchemy: AsyncEngine) -> None:
        self.dialect = sqlalchemy.dialect
        _, self._address = self.dialect.create_connect_args(sqlalchemy.url)
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None

    async def fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        """The rows of one query. Raises what asyncpg raises; TimeoutError when no connection comes free."""
        pool = self._pool or await self._open()
        async with pool.acquire(timeout=5) as connection:
            rows: list[Any] = await connection.fetch(sql, *values)
            return rows

    async def close(self) -> None:
        if self._pool:
            self._pool.terminate()

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **self._address, **_CONNECT, min_size=1, max_size=READERS, reset=_nothing_to_reset
                )
            return self._pool


async def _nothing_to_reset(connection: Any) -> None:
    """A single SELECT leaves nothing behind; the pool's own reset would be a round trip more."""


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


def is_outage(error: BaseException | None) -> bool:
    """Is it the server's state rather than the statement that failed? `error` is the driver's."""
    if isinstance(error, asyncpg.InterfaceError):
        return True
    return str(getattr(error, "sqlstate", None) or "").startswith(_OUTAGES)
