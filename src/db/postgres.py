"""PostgreSQL as Chatty drives it: bounded waits, and a look at a connection's health that costs no round trip."""

import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_SIZE, OVERFLOW = 10, 5
PING_AFTER_IDLE_SECONDS = 10

_SERVER_SETTINGS = {
    "application_name": "chatty",
    "jit": "off",
    "statement_timeout": "15000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
}

# Lock and statement time-outs, deadlocks, serialization failures, shut-downs, too many connections: try again.
_OUTAGES = ("55P03", "57014", "40P01", "40001", "57P", "53", "08", "25P03")


def engine(url: str) -> AsyncEngine:
    """An engine on the server at `url`. A statement waits 15 s at most, a lock or a free connection 5 s."""
    made = create_async_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=OVERFLOW,
        pool_timeout=5,
        hide_parameters=True,  # an error in the log names no person
        connect_args={"timeout": 5, "command_timeout": 20, "server_settings": _SERVER_SETTINGS},
    )
    event.listen(made.sync_engine, "checkout", _refuse_dead_connection)
    return made


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


def is_outage(error: DBAPIError) -> bool:
    """Is it the server's state rather than the statement that failed?"""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_OUTAGES)
