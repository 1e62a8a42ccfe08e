"""What the databases' failures mean: a refusal of ours, or a fault that stays one."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import Conflict, Unavailable

log = structlog.get_logger("chatty.database")

RETRY_MS = 1000
LOG_SECONDS = 5.0

# PostgreSQL: lock and statement time-outs, deadlocks, serialization failures, shut-downs, too many connections; a
# refused password, a database that is not there.
_OUTAGES = ("55P03", "57014", "40P01", "40001", "57P", "53", "08", "25P03", "28", "3D")
_UNIQUE_VIOLATION = "23505"
_DIED_UNDER_ASYNCPG = "InternalClientError"  # its protocol meets a connection that is just being closed
_SQLITE_OUTAGES = ("locked", "disk i/o error", "unable to open", "is full", "readonly")

_logged_at = -LOG_SECONDS


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where the database is away or overwhelmed, Conflict where a unique constraint refuses.

    Anything else is a fault of ours and passes.
    """
    try:
        yield
    except IntegrityError as error:
        if not _is_unique_violation(error):
            raise
        raise Conflict from error
    except PoolTimeout as error:
        raise too_busy() from error
    except Exception as error:
        if not _is_outage(error):
            raise
        _log(error)
        raise Unavailable("The database cannot be reached; try again.", retry_after_ms=RETRY_MS) from error


def too_busy() -> Unavailable:
    """Too many wait for a connection."""
    return Unavailable("The service is too busy; try again.", retry_after_ms=RETRY_MS)


def _is_unique_violation(error: IntegrityError) -> bool:
    return getattr(error.orig, "sqlstate", None) == _UNIQUE_VIOLATION or "UNIQUE constraint" in str(error.orig)


def _is_outage(error: Exception) -> bool:
    """Is it the database's state, not the statement? `error` is SQLAlchemy's, or in a single read the driver's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        return any(word in str(cause).lower() for word in _SQLITE_OUTAGES)
    if str(getattr(cause, "sqlstate", None) or "").startswith(_OUTAGES) or type(cause).__name__ == _DIED_UNDER_ASYNCPG:
        return True
    return isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated)


def _log(error: Exception) -> None:
    """The cause, with its frames, some times a minute: callers are told no more than that there is one."""
    global _logged_at  # noqa: PLW0603 - one log per process
    if time.monotonic() - _logged_at >= LOG_SECONDS:
        _logged_at = time.monotonic()
        log.error("The database is away or overwhelmed.", exc_info=error)
