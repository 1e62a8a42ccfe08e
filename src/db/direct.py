"""Single reads without SQLAlchemy's execution: the statement is SQLAlchemy's, compiled once; the driver runs it.

SQLAlchemy spends several times what SQLite or asyncpg do on a read of one row: a greenlet, a context, a cursor and a
result object each. A statement that a module builds once needs none of it. See docs/decisions/0006-direct-reads.md.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Dialect, Select
from sqlalchemy.sql.compiler import SQLCompiler

MANY = 500
Convert = Callable[[Any], Any] | None


class Driver(Protocol):
    """What runs the SQL: SQLite on the loop, or PostgreSQL through a pool."""

    dialect: Dialect

    async def fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]: ...

    async def close(self) -> None: ...


class Prepared:
    """A statement compiled for one dialect: SQL, how its parameters go in, how its columns come out."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler) or compiled.post_compile_params:
            raise TypeError("a single read takes no lists: use a snapshot")
        self.sql = str(compiled)
        self._fixed = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        converters: Mapping[str, Any] = compiled._bind_processors
        self._parameters = [(name, converters.get(name)) for name in compiled.positiontup or ()]
        columns = compiled._result_columns
        self._row: Callable[..., Any] = namedtuple("Row", [column.keyname for column in columns])  # type: ignore[misc]
        self._out = [(place, out) for place, column in enumerate(columns) if (out := _reader(column.type, dialect))]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The parameters, in the order of the SQL, as the driver takes them."""
        every = {**self._fixed, **given}
        return [convert(every[name]) if convert else every[name] for name, convert in self._parameters]

    def row(self, raw: Sequence[Any]) -> Any:
        """One row, its columns by name, as Python values."""
        columns = list(raw)
        for place, convert in self._out:
            columns[place] = convert(columns[place])
        return self._row(*columns)


def _reader(type_: Any, dialect: Dialect) -> Convert:
    found: Convert = type_._cached_result_processor(dialect, None)
    return found


class Rows:
    """The part of SQLAlchemy's result that single reads use."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def all(self) -> list[Any]:
        return self._rows

    def one_or_none(self) -> Any:
        return self._rows[0] if self._rows else None

    first = one_or_none

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None


class DirectReads:
    """The part of SQLAlchemy's connection that single reads use. Statements must be built once, by a module."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.dialect = driver.dialect
        self._prepared: dict[Select[Any], Prepared] = {}

    async def execute(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Rows:
        """Run `statement`, compiled when it is first seen."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = Prepared(statement, self.dialect)
            if len(self._prepared) < MANY:  # a statement built at each call is slow, and must not be more than that
                self._prepared[statement] = prepared
        raw = await self._driver.fetch(prepared.sql, prepared.values(parameters or {}))
        return Rows([prepared.row(each) for each in raw])

    async def scalar(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row, or None."""
        return (await self.execute(statement, parameters)).scalar()
