"""Pushing what somebody has still not read to their browsers: the work of the outbox's kind `push` (contract §7).

A row says whom and about which room or notification; what there is to tell, and whether, is read when it is done. What
is done twice, after a crash or by two workers, is the same push with the same tag twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from ..clock import now
from ..db.database import Database, Transaction
from ..db.repositories import Repositories
from ..db.repositories.presence import ALIVE_FOR
from ..db.rows import Row
from ..db.spans import Span
from ..push.sender import PushSender
from ..schemas.links import Reader
from ..schemas.notifications import DeliveryReason, DeliveryStatus
from . import push_payloads
from .notices import PUSH, push_key
from .push_closing import SHOWN_FOR, Closing, must_show, shown_key, shown_of, tags_in, tags_key
from .push_errands import Errand, errand_of
from .push_matters import Later, Lines, Matter, Nothing, Person, person_of, room_matter, stored_matter
from .push_rounds import Push, Result, Rounds, fate_of
from .push_waiting import gone_of
from .quiet_hours import end_of_quiet

DAY_SECONDS: Final = 24 * 3600
WEEK_SECONDS: Final = 7 * DAY_SECONDS
TURNS: Final = 3
"""So many pushes ask the database at once: messages wait behind each of them."""
_FAILURES: Final = ("gone", "refused")


class Plan(NamedTuple):
    """What is pushed to whom. `tags`: what each browser closes by the way."""

    person: Person
    matter: Matter
    subscriptions: Sequence[Row]
    tags: Mapping[UUID, Sequence[str]]
    unread_total: int


class Pushes:
    """`reader`: writes out the addresses of pictures. `wait`: for how long a push waits that somebody is here."""

    def __init__(self, database: Database, sender: PushSender, reader: Reader, wait: timedelta) -> None:
        self._database = database
        self._wait = wait
        self._rounds = Rounds(sender)
        self._closing = Closing(database, self._rounds)
        self._reader = reader
        self._turns = asyncio.Semaphore(TURNS)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def carry_out(self, row: Row) -> None:
        """Do what a row asks for. What a push service did not take, a further row tries again."""
        payload = row.payload
        subject = payload.get("read") or payload.get("room_id") or payload.get("notification_id")
        if subject is None:
            return  # tags that no push has closed for a long time
        # One after the other: what closes a notification must not overtake what shows it, nor the other way round.
        async with self._locks.setdefault((payload["user_id"], subject), asyncio.Lock()):
            if "read" in payload:
                await self._closing.carry_out(payload)
            else:
                await self._tell(errand_of(payload, now()))

    async def carry_out_some(self, rows: Sequence[Row]) -> Mapping[UUID, Exception]:
        """The same for several rows at once, none of which holds up another; what failed, by their ids."""
        outcomes = await asyncio.gather(*(self.carry_out(row) for row in rows), return_exceptions=True)
        for each in outcomes:
            if isinstance(each, asyncio.CancelledError):  # nothing says that its row was done
                raise each
        return {row.id: each for row, each in zip(rows, outcomes, strict=True) if isinstance(each, Exception)}

    async def _tell(self, errand: Errand) -> None:
        at = now()
        async with self._turns, self._database.snapshot() as reads:
            plan = await _planned(reads, errand, at, self._wait)
        if isinstance(plan, Nothing):
            if errand.is_room and plan.reason and plan.lines:
                await self._skip(errand, plan, at)
        elif isinstance(plan, Later):
            await self._put_off(errand, plan, at)
        else:
            results = await self._rounds.push(self._push(plan), plan.subscriptions)
            async with self._turns:
                await self._note(errand, plan, results)

    async def _skip(self, errand: Errand, nothing: Nothing, at: datetime) -> None:
        status: DeliveryStatus = "failed" if nothing.reason in _FAILURES else "skipped"
        async with self._database.transaction() as tx:
            await tx.deliveries.record(_spans(errand, nothing.lines, status, nothing.reason, at))

    async def _put_off(self, errand: Errand, later: Later, at: datetime) -> None:
        """Under its key, so that nothing is added beside it meanwhile."""
        key = push_key(errand.user_id, errand.subject_id)
        async with self._database.transaction() as tx:
            is_gone = later.reason == "active" and await gone_of(tx, [errand.user_id], at)
            await tx.outbox.add_each(PUSH, [(key, errand.content)], at, at if is_gone else later.due_at)
            if errand.is_room:
                await tx.deliveries.record(_spans(errand, later.lines, "pending", later.reason, at))

    def _push(self, plan: Plan) -> Push:
        def payload(row: Row) -> bytes:
            tags = plan.tags.get(row.id, ())
            return push_payloads.notification(plan.matter, plan.person, self._reader, plan.unread_total, tags)

        is_message = plan.matter.is_of_lines
        return Push(
            payload=payload,
            topic=plan.matter.tag.hex,
            ttl=DAY_SECONDS if is_message else WEEK_SECONDS,
            urgency="high" if is_message else "normal",
        )

    async def _note(self, errand: Errand, plan: Plan, results: Mapping[UUID, Result]) -> None:
        """What became of it, and what is left to do: in the order in which the ladder and who reads lock."""
        at = now()
        async with self._database.transaction() as tx:
            if await tx.users.me_row(errand.user_id) is None:
                return
            if shown := [each for each, result in results.items() if result.may_be_shown]:
                await _leave_to_close(tx, errand, plan, shown, at)
            again = await _leave_to_try(tx, errand, results, at)
            await tx.push_subscriptions.forget([each for each, result in results.items() if result.fate == "gone"])
            fate = fate_of(results)
            if errand.is_room and (fate != "later" or not again):
                reason: DeliveryReason | None = None if fate == "sent" else "gone" if fate == "gone" else "refused"
                status: DeliveryStatus = "failed" if reason else "sent"
                await tx.deliveries.record(_spans(errand, plan.matter.lines, status, reason, at))


async def _planned(reads: Repositories, errand: Errand, at: datetime, wait: timedelta) -> Plan | Nothing | Later:
    """What is to be pushed to whom, or why nothing is, or not yet."""
    person = await person_of(reads, errand.user_id)
    if person is None:
        return Nothing()
    matter = await _matter(reads, errand, person)
    if isinstance(matter, Nothing):
        return matter
    wait_until = None if errand.subscription_id else matter.created_at + wait
    if not_now := await _not_now(reads, person, matter, at, wait_until):
        return not_now
    subscriptions = (await reads.push_subscriptions.living([person.id], at)).get(person.id, [])
    if errand.subscription_id:
        subscriptions = [row for row in subscriptions if row.id == errand.subscription_id]
    if not subscriptions:
        return Nothing("gone" if errand.subscription_id else "no_subscription", matter.lines)
    tags = {
        row.id: tags_in(await reads.pushes.held(tags_key(row.id)), person.id) for row in subscriptions if must_show(row)
    }
    total = await reads.rooms.unread_total(person.id)
    return Plan(person, matter, subscriptions, tags, total)


async def _not_now(
    reads: Repositories, person: Person, matter: Matter, at: datetime, wait_until: datetime | None
) -> Nothing | Later | None:
    """Is somebody here, or are these their quiet hours? Who is here may leave till `wait_until`."""
    seen = await reads.presence.heartbeats([person.id])
    if any(seen_at > at - ALIVE_FOR for seen_at in seen.values()):
        if wait_until is None or wait_until <= at:
            return Nothing("active", matter.lines)
        return Later("active", wait_until, matter.lines)
    end = end_of_quiet(person.preferences, at)
    return Later("quiet_hours", end, matter.lines) if end else None


async def _matter(reads: Repositories, errand: Errand, person: Person) -> Matter | Nothing:
    again = errand.subscription_id is not None
    if errand.is_room:
        return await room_matter(reads, person, errand.subject_id, again=again)
    if not again and await reads.pushes.held(shown_key(person.id, errand.subject_id)):
        return Nothing()  # a push has told of it
    return await stored_matter(reads, person, errand.subject_id)


async def _leave_to_close(tx: Transaction, errand: Errand, plan: Plan, sent: Sequence[UUID], at: datetime) -> None:
    """Have it closed once it is read: at once, if it was read meanwhile."""
    key, until = shown_key(errand.user_id, errand.subject_id), at + SHOWN_FOR
    if errand.is_room:
        cursor = await tx.pushes.hold_cursor(errand.user_id, errand.subject_id)
        told = plan.matter.ordinal or 0
        is_unread = cursor is not None and max(cursor.read_ordinal, cursor.notified_ordinal) < told
    else:
        is_unread = await tx.pushes.hold_notification(errand.subject_id)
    earlier = await tx.pushes.held(key)
    to = {*sent, *(UUID(each) for each in (earlier or {}).get("to", ()))}
    payload = shown_of(errand.user_id, errand.subject_id, plan.matter.ordinal, to, at)
    await tx.pushes.hold(PUSH, key, payload, at, until if is_unread else at)
    await tx.pushes.drop([tags_key(each) for each in sent if plan.tags.get(each)])


async def _leave_to_try(tx: Transaction, errand: Errand, results: Mapping[UUID, Result], at: datetime) -> bool:
    """Have it tried again with each browser whose push service is away. False if there is none worth trying."""
    await tx.pushes.drop([errand.key_for(each) for each, result in results.items() if result.fate != "later"])
    tries = False
    for subscription_id, result in results.items():
        due_at = errand.next_try(result.retry_after_seconds, at) if result.fate == "later" else None
        if due_at:
            await tx.pushes.hold(PUSH, errand.key_for(subscription_id), errand.again(subscription_id), at, due_at)
            tries = True
    return tries


def _spans(
    errand: Errand, lines: Sequence[Lines], status: DeliveryStatus, reason: DeliveryReason | None, at: datetime
) -> list[Span]:
    room = (errand.subject_id, errand.user_id, "push")
    return [Span(*room, first, last, status, reason, at) for first, last in lines]
