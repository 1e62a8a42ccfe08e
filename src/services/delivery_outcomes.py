"""What became of a message for one member, on each channel: pure, exact, and an answer to every case (contract §7, §9).

What was decided is in `deliveries`; what was not, because it was read before or is still to come, follows from when.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from ..db.rows import Row
from ..db.spans import Span
from ..schemas.notifications import ChannelDelivery, DeliveryChannels, DeliveryReason
from .rungs import Reader, Sort

Rung = Literal["push", "email"]
PRIVATE: Mapping[str, DeliveryReason] = {
    "blocked": "preference", "no_address": "preference", "unverified": "preference", "left": "preference",
}  # fmt: skip
"""What a sender is told instead of what is not theirs to know: blocks are not announced, nor who has taken a
direct room out of their list, nor how an account stands."""


@dataclass(frozen=True)
class Fate:
    """All that says what became of `line` for a member.

    `here`: are they online, or were they since the line? `left`: it is in their list no more. `told`: has the ladder
    looked at it? `blocked_at`: since when there is a block between them and the sender. `spans`: by rung.
    """

    line: Row
    read_at: datetime | None
    here: bool
    left: bool
    told: bool
    blocked_at: datetime | None
    muted_until: datetime | None
    mentioned: bool
    preferences: Row | None
    spans: Mapping[str, Span]
    push_after: timedelta

    @property
    def channels(self) -> DeliveryChannels:
        """What became of it, for whoever runs the service."""
        return DeliveryChannels(in_app=self._in_app(), push=self._on("push"), email=self._on("email"))

    def _in_app(self) -> ChannelDelivery:
        at = self.line.created_at
        if reason := self._in_app_reason():
            return ChannelDelivery(status="skipped", reason=reason, at=at)
        return ChannelDelivery(status="sent", reason=None, at=at)

    def _in_app_reason(self) -> DeliveryReason | None:
        """Why it was not shown when it came; None if it was, or as soon as they came."""
        if span := self.spans.get("in_app"):
            return cast(DeliveryReason, span.reason)
        if self._was_blocked:
            return "blocked"
        if self.told:  # what was chosen then is written down
            return None if self.here or self.read_at else "offline"
        sort: Sort = "mention" if self.mentioned else "plain"
        reader = Reader(self._was_muted(sort), self.preferences, False, False, None, False, False)
        if reason := reader.wants("in_app", sort):
            return reason
        return None if self.here or self.read_at else "offline"

    @property
    def _was_blocked(self) -> bool:
        since_then = self.blocked_at is not None and self.blocked_at <= self.line.created_at
        return since_then or any(span.reason == "blocked" for span in self.spans.values())

    def _was_muted(self, sort: Sort) -> bool:
        """When the ladder looked, if it has; else as far as can be told now."""
        if any(span.reason == "muted" for span in self.spans.values()):
            return True
        if self.spans and sort == "plain":
            return False
        return self.muted_until is not None and self.muted_until > self.line.created_at

    def _on(self, rung: Rung) -> ChannelDelivery:
        """What was decided last; or, of what is not decided for good, why it is not told any more, or that it will be.

        A line that the ladder has looked at long ago, of which nothing is kept, was skipped without a reason.
        """
        span = self.spans.get(rung)
        if span and span.status != "pending":
            return ChannelDelivery(status=span.status, reason=span.reason, at=self._decided_at(span))
        if ended := self._ended(span):
            return ended
        if span:
            return ChannelDelivery(status="pending", reason=span.reason, at=self._decided_at(span))
        return ChannelDelivery(status="skipped" if self.told else "pending", reason=None, at=None)

    def _ended(self, span: Span | None) -> ChannelDelivery | None:
        """Why what was not sent will not be. A block has no time of its own: to the sender it is a preference."""
        reasons: dict[DeliveryReason, tuple[bool, datetime | None]] = {
            "read_before": (self.read_at is not None, self.read_at),
            "deleted": (self.line.deleted_at is not None, self.line.deleted_at),
            "left": (self.left, None),
            "blocked": (self.told and self.blocked_at is not None, self._decided_at(span)),
        }
        for reason, (is_so, at) in reasons.items():
            if is_so:
                return ChannelDelivery(status="skipped", reason=reason, at=at)
        return None

    def _decided_at(self, span: Span | None) -> datetime:
        """A row extended by later lines has the time of the last: what was said of this one was said at its rung."""
        rung: datetime = self.line.created_at + self.push_after
        if span is None:
            return rung
        if span.status in ("sent", "failed") or span.last_seq == self.line.seq:
            return span.at
        return min(span.at, rung)


def for_sender(channels: DeliveryChannels, read_at: datetime | None) -> DeliveryChannels:
    """The same without what is not the sender's to know."""
    return DeliveryChannels(**{name: _folded(one, read_at) for name, one in channels})


def _folded(one: ChannelDelivery, read_at: datetime | None) -> ChannelDelivery:
    """Who has marked a notification read has not read the room, and nobody hears of it."""
    reason = "preference" if one.reason == "read_before" and read_at is None else one.reason
    return one.model_copy(update={"reason": PRIVATE.get(reason or "", reason)})
