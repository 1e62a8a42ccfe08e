"""Lines as the search index takes them, and what is looked for in it, on either database."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, bindparam

from . import bigrams
from .base import UtcDateTime

MAX_NUMBER = 2**63 - 1

_HAS_FILE = "EXISTS (SELECT 1 FROM message_files a WHERE a.message_id = x.id AND a.kind = :kind)"


class Findable(NamedTuple):
    """A line as far as it can be found."""

    message_id: UUID
    room_id: UUID
    seq: int
    sender_id: UUID
    text: str


def searched_text(text: str | None, file_names: Sequence[str]) -> str | None:
    """What a message is found by: its text, and what its files are called. None for one that has neither."""
    parts = [*([text] if text is not None else []), *file_names]
    return "\n".join(parts) if parts else None


class Wanted(NamedTuple):
    """What is looked for. `before`: the number of the last hit of the page before.

    `kind`: of a file that the message has. `after` and `until`: when it was sent, neither included.
    """

    text: str
    sender_id: UUID | None = None
    kind: str | None = None
    after: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 50

    def sent(self) -> dict[str, Any]:
        """What is asked of the message itself: parameters of `conditions`."""
        asked = {"kind": self.kind, "after": self.after, "until": self.until}
        return {name: value for name, value in asked.items() if value is not None}

    def conditions(self) -> str:
        """SQL about a row `x` of `messages`, beginning with AND; empty if nothing is asked of it."""
        comparisons = {"kind": _HAS_FILE, "after": "x.created_at > :after", "until": "x.created_at < :until"}
        return "".join(f" AND {comparisons[name]}" for name in self.sent())

    def types(self) -> list[BindParameter[Any]]:
        """How the moments among the parameters are written."""
        return [bindparam(name, type_=UtcDateTime()) for name in self.sent() if name != "kind"]


def tokens(line: Findable) -> str:
    """For FTS5: grams in their order, then where and who; blanks between."""
    return " ".join([*bigrams.grams(line.text), *_marks(line)])


def vector(line: Findable) -> str:
    """For PostgreSQL: the same as the text of a `tsvector`, grams with their places."""
    grams = bigrams.grams(line.text)
    return _places(len(grams)) % (*grams, *_marks(line))


@lru_cache(maxsize=128)
def _places(count: int) -> str:
    """The `tsvector` of so many grams, to be filled in, and of the marks."""
    return " ".join([*(f"'%s':{place}" for place in range(1, count + 1)), "'%s' '%s'"])


def _marks(line: Findable) -> tuple[str, str]:
    return bigrams.room_mark(line.room_id), bigrams.sender_mark(line.sender_id)
