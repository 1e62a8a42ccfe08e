"""A reading of a search, as a condition on the two columns that keep a name's key and its initials."""

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import InstrumentedAttribute

from .names import NameQuery

Column = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]


def matches(query: NameQuery, key: Column, initials: Column) -> ColumnElement[bool]:
    """Does the name have what is looked for? `%` and `_` stand for themselves. Null does not match."""
    if query.initials is None:
        return key.contains(query.text, autoescape=True)
    fits = initials.contains(query.initials, autoescape=True)
    return and_(fits, key.regexp_match(query.pattern)) if query.pattern else fits
