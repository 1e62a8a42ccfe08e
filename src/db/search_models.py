"""What is found of the lines of rooms: derived from `messages`, changed in the same transactions.

PostgreSQL indexes the column `words`; SQLite has the FTS5 table `search_index`, whose rowid is the line's number. That
table keeps no content: what is taken out of it has to be named. See bigrams.py for what is indexed.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import DDL, BigInteger, Index, Integer, Text, event
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from .base import Base

CREATE_INDEX = """
CREATE VIRTUAL TABLE search_index USING fts5(
    grams, content = '', columnsize = 0, prefix = '1',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
)
"""

# What waits to be sorted into the index is looked through at every search: half a megabyte of it takes a millisecond.
PENDING_KB = 512


class TextSearchVector(UserDefinedType[str]):
    """PostgreSQL's `tsvector`, written as a string."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TSVECTOR"


class SearchLine(Base):
    """A line that can be found: no system line, none that was deleted. Later lines have higher numbers.

    `words` is PostgreSQL's alone.
    """

    __tablename__ = "search_lines"
    __table_args__ = (
        Index(None, "room_id", "number"),
        Index(None, "words", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": PENDING_KB}).ddl_if(
            dialect="postgresql"
        ),
        {"sqlite_autoincrement": True},  # a number that was deleted must not come back: FTS5 may still know it
    )

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    message_id: Mapped[UUID] = mapped_column(unique=True)
    room_id: Mapped[UUID]
    seq: Mapped[int]
    words: Mapped[str | None] = mapped_column(TextSearchVector().with_variant(Text(), "sqlite"))


_create_index = DDL(CREATE_INDEX).execute_if(dialect="sqlite")  # type: ignore[no-untyped-call]
event.listen(SearchLine.__table__, "after_create", _create_index)
