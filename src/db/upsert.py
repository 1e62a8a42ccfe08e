"""INSERT … ON CONFLICT, which SQLAlchemy has once for each database."""

from functools import lru_cache
from typing import Any

from sqlalchemy import false
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert

from .models import Base


@lru_cache
def insert_if_absent(dialect: str, table: type[Base]) -> Insert:
    """An INSERT into `table` that adds nothing where a unique constraint refuses. `dialect`: of the connection."""
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # not on SQLite: it takes a tenth of a start

    postgres: Insert = postgresql.insert(table).on_conflict_do_nothing()  # type: ignore[assignment]
    return postgres


@lru_cache
def insert_or_hold(dialect: str, table: type[Base], unique: str) -> Any:
    """The same where the column `unique` refuses; the row that is there then stays as it is until COMMIT.

    SQLite has one writer at a time, beside whom nobody changes anything.
    """
    if dialect == "sqlite":
        return insert_if_absent(dialect, table)
    from sqlalchemy.dialects import postgresql

    column = table.__table__.c[unique]
    # PostgreSQL locks the row before it looks at the condition.
    return postgresql.insert(table).on_conflict_do_update(index_elements=[column], set_={unique: column}, where=false())


@lru_cache
def insert_or_set(dialect: str, table: type[Base], *columns: str, unique: str = "") -> Any:
    """The same where the primary key, or the column `unique`, refuses: then these columns of what is there are set."""
    if dialect == "sqlite":
        add: Any = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql

        add = postgresql.insert(table)
    key = [table.__table__.c[unique]] if unique else [*table.__table__.primary_key]
    return add.on_conflict_do_update(index_elements=key, set_={name: add.excluded[name] for name in columns})
