"""Bringing a database to the newest schema."""

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from . import sqlite
from .failures import translated

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"

# Any number, the same in every process: who holds this lock migrates, the others wait and find nothing to do.
_ADVISORY_LOCK = 0x43686174


def upgrade(url: str) -> None:
    """Run every migration that the database at `url` (an async SQLAlchemy URL) has not seen, all or none.

    Raises Unavailable when the database cannot be reached. Safe to repeat. Blocking: for the command line, not for a
    running event loop.
    """
    asyncio.run(_upgrade(url))


def newest() -> str:
    """The newest migration in this installation, by the names of its files: a start need not load Alembic."""
    return max(path.name for path in _MIGRATIONS.glob("versions/[0-9]*.py")).partition("_")[0]


async def _upgrade(url: str) -> None:
    engine = _engine(url)
    try:
        with translated():
            await _migrate(engine)
    finally:
        await engine.dispose()


async def _migrate(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            # Else rebuilding a table empties its children.
            await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        await connection.run_sync(_run)
        await connection.commit()


def _engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(url, poolclass=NullPool)
    path = Path(url.partition(":///")[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    return create_async_engine(
        url, poolclass=NullPool, async_creator=lambda: sqlite.connect(str(path), read_only=False)
    )


def _run(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> "Config":
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("metadata", f"{__package__}.models:Base.metadata")
    return config
