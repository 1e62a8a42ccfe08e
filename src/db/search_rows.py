"""Lines as the search index takes them, on either database."""

from typing import NamedTuple
from uuid import UUID

from . import bigrams


class Findable(NamedTuple):
    """A line as far as it can be found."""

    message_id: UUID
    room_id: UUID
    seq: int
    sender_id: UUID
    text: str


def tokens(line: Findable) -> str:
    """For FTS5: grams in their order, then where and who; blanks between."""
    return " ".join([*bigrams.grams(line.text), *_marks(line)])


def vector(line: Findable) -> str:
    """For PostgreSQL: the same as the text of a `tsvector`, grams with their places."""
    places = [f"'{gram}':{place}" for place, gram in enumerate(bigrams.grams(line.text), 1)]
    return " ".join([*places, *(f"'{mark}'" for mark in _marks(line))])


def _marks(line: Findable) -> tuple[str, str]:
    return bigrams.room_mark(line.room_id), bigrams.sender_mark(line.sender_id)
