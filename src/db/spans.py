"""What became of lines for one member on one channel, as spans of lines that do not overlap. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

BLOCKED = "blocked"
_EXTENDED = ("pending", "skipped")
"""Of these a room has one for each line and member: those alike are one row. What was sent has its own time."""


class Span(NamedTuple):
    """A row of `deliveries`: what became of the lines `first_seq` to `last_seq`, as was decided `at`."""

    room_id: UUID
    user_id: UUID
    channel: str
    first_seq: int
    last_seq: int
    status: str
    reason: str | None
    at: datetime

    @property
    def key(self) -> tuple[UUID, UUID, str]:
        """Whose it is, where, and on which channel."""
        return self[:3]

    def between(self, first_seq: int, last_seq: int) -> "Span":
        """The same for other lines."""
        return self._replace(first_seq=first_seq, last_seq=last_seq)


def painted(spans: Sequence[Span], new: Span) -> list[Span]:
    """The spans of one key with a decision that is later than theirs, ascending.

    It holds for its lines whatever was decided of them before; only what was sent stays so unless it is sent again,
    and a line of somebody across a block is told no more.
    """
    gaps = [(new.first_seq, new.last_seq)]
    kept: list[Span] = []
    for span in spans:
        if _stays(span, new):
            kept.append(span)
            gaps = [part for gap in gaps for part in _without(gap, span)]
        else:
            kept += [span.between(*part) for part in _without((span.first_seq, span.last_seq), new)]
    return _joined(sorted([*kept, *(new.between(*gap) for gap in gaps)], key=lambda span: span.first_seq))


def _stays(span: Span, new: Span) -> bool:
    return span.reason == BLOCKED or (span.status == "sent" and new.status != "sent")


def _without(lines: tuple[int, int], span: Span) -> list[tuple[int, int]]:
    """What is left of some lines before and after those of a span."""
    first, last = lines
    parts = (first, min(last, span.first_seq - 1)), (max(first, span.last_seq + 1), last)
    if last < span.first_seq or first > span.last_seq:
        return [lines]
    return [part for part in parts if part[0] <= part[1]]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Neighbours that are alike are one."""
    joined: list[Span] = []
    for span in spans:
        before = joined[-1] if joined else None
        if before and before.last_seq + 1 == span.first_seq and _are_alike(before, span):
            joined[-1] = before._replace(last_seq=span.last_seq, at=span.at)
        else:
            joined.append(span)
    return joined


def _are_alike(one: Span, other: Span) -> bool:
    same = (one.status, one.reason) == (other.status, other.reason)
    return same and (one.at == other.at or one.status in _EXTENDED)
