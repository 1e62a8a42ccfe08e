"""INSERT … ON CONFLICT DO NOTHING, which SQLAlchemy has once for each database."""

from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert

from .models import Base


def insert_if_absent(dialect: str, table: type[Base]) -> Insert:
    """An INSERT into `table` that adds nothing where a unique constraint refuses. `dialect`: of the connection."""
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # not on SQLite: it takes a tenth of a start

    postgres: Insert = postgresql.insert(table).on_conflict_do_nothing()  # type: ignore[assignment]
    return postgres
