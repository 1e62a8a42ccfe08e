"""What a snapshot reads with: SQLAlchemy's connection, past which statements marked `DIRECT` go to the driver.

For pages of many rows, where SQLAlchemy spends more than the database. See docs/decisions/0006-direct-reads.md.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import BindParameter, ColumnElement, Dialect, Select, String, TypeDecorator, Uuid, bindparam
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from .base import Key
from .direct import Prepared, Rows

DIRECT: Mapping[str, Any] = {"chatty_direct": True}
"""Execution options of a statement that its module built once, without lists but `any_of`."""


class Ids(TypeDecorator[Collection[UUID]]):
    """Some ids as one parameter."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return _many(Uuid(), dialect)

    def process_bind_param(self, value: Collection[UUID] | None, dialect: Dialect) -> Any:
        ids = list(value or ())
        return orjson.dumps([each.hex for each in ids]).decode() if dialect.name == "sqlite" else ids


class Keys(TypeDecorator[Collection[str]]):
    """Some keys as one parameter."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return _many(String(), dialect)

    def process_bind_param(self, value: Collection[str] | None, dialect: Dialect) -> Any:
        keys = list(value or ())
        return orjson.dumps(keys).decode() if dialect.name == "sqlite" else keys


def _many(one: TypeEngine[Any], dialect: Dialect) -> Any:
    if dialect.name == "sqlite":
        return String()
    from sqlalchemy.dialects.postgresql import ARRAY

    return ARRAY(one)


class _Unnested(FunctionElement[UUID]):
    inherit_cache = True
    name = "unnested"


@compiles(_Unnested, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **how)}))"  # noqa: S608 - a placeholder


@compiles(_Unnested, "postgresql")
def _in_postgres(element: Any, compiler: Any, **how: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.clauses, **how)}))"


def any_of(column: Any, name: str) -> ColumnElement[bool]:
    """Is `column` one of the ids, or of the keys, that the parameter `name` is given?"""
    given: BindParameter[Any] = bindparam(name, type_=Keys() if isinstance(column.type, Key) else Ids())
    found: ColumnElement[bool] = column.op("IN", is_comparison=True)(_Unnested(given))
    return found


class SnapshotReads:
    """An AsyncConnection for repositories that read. `prepared`: the statements marked so far, for one engine."""

    def __init__(self, connection: AsyncConnection, prepared: dict[Select[Any], Prepared]) -> None:
        self._connection = connection
        self._prepared = prepared

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """The rows of `statement`; of one marked DIRECT, as named tuples."""
        if "chatty_direct" in statement.get_execution_options():
            raw: Any = (await self._connection.get_raw_connection()).driver_connection
            if isinstance(getattr(raw, "_conn", None), sqlite3.Connection):
                found = self._of(statement)
                return Rows([found.row(each) for each in raw._conn.execute(found.sql, found.values(parameters))])
            if raw.is_in_transaction():  # SQLAlchemy begins it with the first statement, which is therefore its own
                found = self._of(statement)
                return Rows([found.row(each) for each in await _fetch(raw, found.sql, found.values(parameters))])
        return await self._connection.execute(statement, parameters)

    def _of(self, statement: Select[Any]) -> Prepared:
        found = self._prepared.get(statement)
        if found is None:
            found = self._prepared[statement] = Prepared(statement, self._connection.dialect)
        return found


async def _fetch(raw: Any, sql: str, values: Sequence[Any]) -> Sequence[Any]:
    """The rows; ConnectionError for what asyncpg says when its connection has gone."""
    try:
        rows: Sequence[Any] = await raw.fetch(sql, *values)
        return rows
    except Exception as error:
        if raw.is_closed():
            raise ConnectionError from error
        raise
