"""What became of errands, and what is left to do: written for many of them by few statements.

Locks are taken in one order, in which the ladder and who reads take theirs: people, cursors, work, spans. Two who note
for the same people do so one after the other, and nobody's cursor is waited for while others' are held.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from ..db.database import Transaction
from ..db.pairs import Pair
from ..db.rows import Row
from ..db.spans import Span
from ..schemas.notifications import DeliveryReason, DeliveryStatus
from .notices import PUSH, push_key
from .push_closing import SHOWN_FOR, has_read, shown_key, shown_of, tags_key
from .push_errands import Errand
from .push_matters import Later, Lines, Matter, Nothing
from .push_plans import Decision, Plan
from .push_rounds import Result, fate_of
from .push_waiting import gone_of

_FAILURES: Final = ("gone", "refused")


class Done(NamedTuple):
    """An errand, what was decided of it and, if it was pushed, what became of that at each browser."""

    errand: Errand
    decision: Decision
    results: Mapping[UUID, Result]

    @property
    def is_to_note(self) -> bool:
        """Is there anything to write? Not of what is stored and there is nothing to tell of."""
        nothing = self.decision
        return not isinstance(nothing, Nothing) or bool(self.errand.is_room and nothing.reason and nothing.lines)

    @property
    def shown(self) -> list[UUID]:
        """The browsers that may show it."""
        return [each for each, result in self.results.items() if result.may_be_shown]


async def note(tx: Transaction, some: Sequence[Done], at: datetime, *, wait: bool = False) -> list[bool]:
    """Whether each was noted: those are not whose cursors somebody else holds. `wait` for that, of one alone."""
    await tx.pushes.hold_people({each.errand.user_id for each in some})
    there = await tx.users.addressees({each.errand.user_id for each in some})
    living = [each for each in some if each.errand.user_id in there]  # of the others nothing is left
    gone = await gone_of(tx, {each.errand.user_id for each in living if _waits(each)}, at)
    held = await _hold(tx, [each for each in living if each.shown], wait=wait)
    noted = [each for each in living if not each.shown or held.has(each.errand)]
    work = _Work(await tx.outbox.held_till_commit(_keys(noted)), at)
    spans = [span for each in noted for span in work.add(each, held, is_gone=each.errand.user_id in gone)]
    await work.write(tx)
    forgotten = [each for done in noted for each, result in done.results.items() if result.fate == "gone"]
    await tx.push_subscriptions.forget(forgotten)
    if spans:
        await tx.deliveries.record(spans)
    return [each.errand.user_id not in there or not each.shown or held.has(each.errand) for each in some]


class _Held(NamedTuple):
    """What nobody reads until COMMIT. `waited`: what is not there is gone; else somebody else may hold it.

    `deleted`: messages that were told of. Who deletes them after this looks for what shows them half a second later.
    """

    cursors: Mapping[Pair, Row]
    notifications: Mapping[UUID, bool]
    deleted: frozenset[UUID]
    waited: bool

    def has(self, errand: Errand) -> bool:
        pair = errand.user_id, errand.subject_id
        return self.waited or (pair in self.cursors if errand.is_room else errand.subject_id in self.notifications)

    def is_unread(self, errand: Errand, matter: Matter) -> bool:
        if not errand.is_room:
            return self.notifications.get(errand.subject_id, False)
        cursor = self.cursors.get((errand.user_id, errand.subject_id))
        return (
            cursor is not None and matter.message_id not in self.deleted and not has_read(cursor, matter.ordinal or 0)
        )


async def _hold(tx: Transaction, shown: Sequence[Done], *, wait: bool) -> _Held:
    pairs = [(each.errand.user_id, each.errand.subject_id) for each in shown if each.errand.is_room]
    ids = [each.errand.subject_id for each in shown if not each.errand.is_room]
    cursors = await tx.pushes.hold_cursors(pairs, wait=wait)
    notifications = await tx.pushes.hold_notifications(ids, wait=wait)
    matters = [each.decision.matter for each in shown if isinstance(each.decision, Plan)]
    told = {matter.message_id for matter in matters if matter.message_id}
    lines = await tx.messages.by_ids(told) if told else {}
    return _Held(cursors, notifications, frozenset(id for id, line in lines.items() if line.deleted_at), wait)


def _waits(done: Done) -> bool:
    """Does it wait for somebody to leave?"""
    return isinstance(done.decision, Later) and done.decision.reason == "active"


def _keys(some: Sequence[Done]) -> set[str]:
    """All work that is touched."""
    keys: set[str] = set()
    for errand, decision, results in some:
        keys |= {errand.key_for(each) for each in results}
        if isinstance(decision, Later):
            keys.add(push_key(errand.user_id, errand.subject_id))
        if isinstance(decision, Plan):
            keys.add(shown_key(errand.user_id, errand.subject_id))
            keys |= {tags_key(each) for each, tags in decision.tags.items() if tags}
    return keys


class _Work:
    """What is to be held of, dropped from and put off in the outbox. `earlier`: what waits there."""

    def __init__(self, earlier: Mapping[str, Any], at: datetime) -> None:
        self._earlier = earlier
        self._at = at
        self._held: list[tuple[str, Mapping[str, Any], datetime]] = []
        self._put_off: list[tuple[str, Mapping[str, Any], datetime]] = []
        self._dropped: set[str] = set()

    def add(self, done: Done, held: _Held, *, is_gone: bool) -> list[Span]:
        """The work that one errand leaves; what became of its lines."""
        errand, decision, results = done
        if isinstance(decision, Nothing):
            status: DeliveryStatus = "failed" if decision.reason in _FAILURES else "skipped"
            return self._spans(errand, decision.lines, status, decision.reason)
        if isinstance(decision, Later):
            due_at = self._at if is_gone else decision.due_at
            self._put_off.append((push_key(errand.user_id, errand.subject_id), errand.content, due_at))
            return self._spans(errand, decision.lines, "pending", decision.reason)
        if shown := done.shown:
            self._leave_to_close(errand, decision, shown, is_unread=held.is_unread(errand, decision.matter))
        again, fate = self._leave_to_try(errand, results), fate_of(results)
        if fate == "later" and again:
            return []
        reason: DeliveryReason | None = None if fate == "sent" else "gone" if fate == "gone" else "refused"
        return self._spans(errand, decision.matter.lines, "failed" if reason else "sent", reason)

    async def write(self, tx: Transaction) -> None:
        await tx.outbox.drop(self._dropped & self._earlier.keys())
        await tx.outbox.hold(PUSH, self._held, self._at)
        await tx.outbox.add_due(PUSH, self._put_off, self._at)

    def _leave_to_close(self, errand: Errand, plan: Plan, shown: Sequence[UUID], *, is_unread: bool) -> None:
        """Have it closed once it is read: at once, if it was read meanwhile."""
        key = shown_key(errand.user_id, errand.subject_id)
        earlier = self._earlier.get(key) or {}
        to = {*shown, *(UUID(each) for each in earlier.get("to", ()))}
        payload = shown_of(errand.user_id, errand.subject_id, plan.matter.ordinal, to, self._at)
        self._held.append((key, payload, self._at + (SHOWN_FOR if is_unread else timedelta())))
        self._dropped |= {tags_key(each) for each in shown if plan.tags.get(each)}

    def _leave_to_try(self, errand: Errand, results: Mapping[UUID, Result]) -> bool:
        """Have it tried again with each browser whose push service is away. False if there is none worth trying."""
        self._dropped |= {errand.key_for(each) for each, result in results.items() if result.fate != "later"}
        tries = False
        for subscription_id, result in results.items():
            due_at = errand.next_try(result.retry_after_seconds, self._at) if result.fate == "later" else None
            if due_at:
                self._held.append((errand.key_for(subscription_id), errand.again(subscription_id), due_at))
                tries = True
        return tries

    def _spans(
        self, errand: Errand, lines: Sequence[Lines], status: DeliveryStatus, reason: DeliveryReason | None
    ) -> list[Span]:
        if not errand.is_room:
            return []
        room = (errand.subject_id, errand.user_id, "push")
        return [Span(*room, first, last, status, reason, self._at) for first, last in lines]
