"""When members have read a line: at their mark, or by their own next line (contract §5)."""

from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, Subquery, func, select

from .models import Member, Message, ReadMark
from .rows import Row

_LINES_SEARCHED = 1000  # for a reader's own next line; who wrote none so soon is timed by their marks


def mark_of(line: Row) -> ScalarSelect[Any]:
    """When a member's cursor first passed the line, or null."""
    marks = select(ReadMark.at).where(ReadMark.room_id == line.room_id, ReadMark.user_id == Member.user_id)
    return marks.where(ReadMark.seq >= line.seq).order_by(ReadMark.seq).limit(1).scalar_subquery()


def writers_after(line: Row) -> Subquery:
    """`sender_id` of those who wrote soon after the line, and `at` of the first time."""
    next_lines = Message.seq.between(line.seq + 1, line.seq + _LINES_SEARCHED)
    return (
        select(Message.sender_id, func.min(Message.created_at).label("at"))
        .where(Message.room_id == line.room_id, next_lines)
        .group_by(Message.sender_id)
        .subquery()
    )


def read_at(reader: Row, line: Row) -> datetime:
    """When a reader had read: at their mark or by their own next line, whichever came first.

    `reader`: with `marked_at` and `wrote_at`, which may be null, and `joined_at`: by then at the latest.
    """
    shown = [at for at in (reader.marked_at, reader.wrote_at) if at]
    at: datetime = min(shown) if shown else max(reader.joined_at, line.created_at)
    return at
