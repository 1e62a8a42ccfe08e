"""Rows of another table as a list inside one column, so that a row and what belongs to it are one statement."""

from typing import Any

import orjson
from sqlalchemy import ColumnElement, Dialect, ScalarSelect, String, TypeDecorator, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _Objects(TypeDecorator[list[dict[str, Any]]]):
    """JSON that comes as text from both databases, also past SQLAlchemy."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = orjson.loads(value or "[]")
        return found


class _Gathered(FunctionElement[list[dict[str, Any]]]):
    """One object of the given columns for each row. Moments are texts: each database writes them in its own way."""

    inherit_cache = True
    name = "gathered"
    type = _Objects()


@compiles(_Gathered, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    return f"json_group_array(json_object({_pairs(element, compiler, how)}))"


@compiles(_Gathered, "postgresql")
def _in_postgres(element: Any, compiler: Any, **how: Any) -> str:
    return f"CAST(json_agg(json_build_object({_pairs(element, compiler, how)})) AS text)"


def _pairs(element: Any, compiler: Any, how: dict[str, Any]) -> str:
    return ", ".join(f"'{column.name}', {compiler.process(column, **how)}" for column in element.clauses)


def gathered(belongs: ColumnElement[bool], *columns: Any) -> ScalarSelect[list[dict[str, Any]]]:
    """Those rows of the columns' table that belong to the row outside, as a list of objects; empty without any."""
    return select(_Gathered(*columns)).where(belongs).scalar_subquery()
