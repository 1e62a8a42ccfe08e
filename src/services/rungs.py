"""What becomes of unread lines on each rung of the ladder, for one member: pure (contract §7, docs/decisions/0019)."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple
from uuid import UUID

from ..db.rows import Row
from ..schemas.notifications import KINDS, Channel, DeliveryReason, DeliveryStatus, channels_of, default_channels
from .quiet_hours import end_of_quiet

Sort = Literal["plain", "mention", "blocked"]
"""What a line is to a member: said to all, naming them, or by somebody across a block with them."""


_DEFAULT = {kind: default_channels(kind) for kind in KINDS}


class ToTell(NamedTuple):
    """A line that somebody may have to be told of: no system line, no tombstone."""

    seq: int
    sender_id: UUID
    mentions: frozenset[UUID]
    created_at: datetime


class Run(NamedTuple):
    """Consecutive lines that are alike to a member. `since`: when the first was sent that they are told of."""

    first_seq: int
    last_seq: int
    sort: Sort
    since: datetime


class Outcome(NamedTuple):
    """What becomes of lines on one channel; `due_at`: when its worker looks, where one has to."""

    status: DeliveryStatus
    reason: DeliveryReason | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class RoomLines:
    """The lines of a room above `told_seq`, up to `last_seq`, of which somebody may have to be told."""

    told_seq: int
    last_seq: int
    lines: Sequence[ToTell]

    @cached_property
    def senders(self) -> frozenset[UUID]:
        """Who wrote them."""
        return frozenset(line.sender_id for line in self.lines)

    @cached_property
    def mentioned(self) -> frozenset[UUID]:
        """Whom they mention."""
        return frozenset(user_id for line in self.lines for user_id in line.mentions)

    @cached_property
    def _seqs(self) -> list[int]:
        return [line.seq for line in self.lines]

    def unread_by(self, member: Row, across: frozenset[UUID]) -> list[Run]:
        """Runs of what a member has not read; ascending, the first from the first line that they have not read.

        `across`: senders across a block with them.
        """
        first = max(self.told_seq, member.read_seq, member.first_seq - 1) + 1
        start = bisect_right(self._seqs, first - 1)
        if start == len(self.lines):
            return []
        if across or member.user_id in self.mentioned or member.user_id in self.senders:
            return [*self._runs(first, start, member.user_id, across)]
        return [Run(first, self.last_seq, "plain", self.lines[start].created_at)]

    def _runs(self, first: int, start: int, user_id: UUID, across: frozenset[UUID]) -> Iterator[Run]:
        """Each begins where the last one ended, so that spans of them can be joined."""
        run: Run | None = None
        for line in self.lines[start:]:
            sort: Sort = "mention" if user_id in line.mentions else "plain"
            sort = "blocked" if line.sender_id in across else sort
            if line.sender_id == user_id or (run and run.sort == sort):
                continue
            if run:
                yield run._replace(last_seq=line.seq - 1)
                first = line.seq
            run = Run(first, self.last_seq, sort, line.created_at)
        if run:
            yield run


@dataclass(frozen=True)
class Reader:
    """How a member of a room is to be told. `preferences`: their row, if any; `email`: None without an address."""

    muted: bool
    preferences: Row | None
    active: bool
    subscribed: bool
    email: str | None
    verified: bool
    bounced: bool

    def wants(self, channel: Channel, sort: Sort) -> DeliveryReason | None:
        """Why they are not told of such lines on a channel, of what they have chosen; None if they are."""
        if sort == "blocked":
            return "blocked"
        if sort == "mention" and self._chosen(channel, "mention"):
            return None
        if self.muted:
            return "muted"
        return None if self._chosen(channel, "message") else "preference"

    def push(self, sort: Sort, at: datetime, until: datetime) -> Outcome:
        """What becomes of lines on this rung, reached now, `at`.

        `until`: so long the end of their last connection brings it, and nobody sees from here when that is.
        """
        if reason := self.wants("push", sort):
            return Outcome("skipped", reason)
        if self.active and self.subscribed and until > at:
            return Outcome("pending", "active", until)
        if self.active:
            return Outcome("skipped", "active")
        if not self.subscribed:
            return Outcome("skipped", "no_subscription")
        end = end_of_quiet(self.preferences, at)
        return Outcome("pending", "quiet_hours" if end else None, end or at)

    def mail(self, sort: Sort, due_at: datetime) -> Outcome:
        """What becomes of lines on this rung, which is reached then."""
        if reason := self.wants("email", sort) or self.unreachable():
            return Outcome("skipped", reason)
        end = end_of_quiet(self.preferences, due_at)
        return Outcome("pending", "quiet_hours" if end else None, end or due_at)

    def unreachable(self) -> DeliveryReason | None:
        """Why no mail would reach them; None if one would."""
        if not self.email:
            return "no_address"
        if self.bounced:
            return "bounced"
        return None if self.verified else "unverified"

    def _chosen(self, channel: Channel, kind: Literal["message", "mention"]) -> bool:
        chosen: dict[str, Any] = self.preferences.kinds if self.preferences else {}
        return bool(getattr(channels_of(chosen, kind) if kind in chosen else _DEFAULT[kind], channel))
