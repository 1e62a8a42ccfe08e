"""What is pushed to whom, or why nothing is, or not yet: for many errands by few statements. Nothing is written."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from ..db.repositories import Repositories
from ..db.repositories.presence import ALIVE_FOR
from ..db.rows import Row
from .push_closing import must_show, tags_in, tags_key
from .push_errands import Errand
from .push_facts import matters_for, people_of
from .push_matters import Later, Matter, Nothing, Person
from .quiet_hours import end_of_quiet


class Plan(NamedTuple):
    """What is pushed to whom. `tags`: what each browser closes by the way."""

    person: Person
    matter: Matter
    subscriptions: Sequence[Row]
    tags: Mapping[UUID, Sequence[str]]
    unread_total: int


Decision = Plan | Nothing | Later


class _Around(NamedTuple):
    """Who of some people is here, and of the others: their browsers, tags that wait for these, how much is unread."""

    active: frozenset[UUID]
    subscriptions: Mapping[UUID, Sequence[Row]]
    held: Mapping[str, Any]
    unread: Mapping[UUID, int]


async def plans_for(
    reads: Repositories, errands: Sequence[Errand], at: datetime, wait: timedelta
) -> Sequence[Decision]:
    """What becomes of each of these errands. `wait`: for how long a push waits that somebody is here."""
    people = await people_of(reads, {errand.user_id for errand in errands})
    matters = await matters_for(reads, errands, people)
    told = {errand.user_id for errand, matter in zip(errands, matters, strict=True) if isinstance(matter, Matter)}
    around = await _around(reads, told, at)

    def decision(errand: Errand, matter: Matter | Nothing) -> Decision:
        if isinstance(matter, Nothing):
            return matter
        person, wait_until = people[errand.user_id], None if errand.subscription_id else matter.created_at + wait
        return _not_now(person, matter, around, at, wait_until) or _plan(errand, person, matter, around)

    return [decision(errand, matter) for errand, matter in zip(errands, matters, strict=True)]


async def _around(reads: Repositories, user_ids: Collection[UUID], at: datetime) -> _Around:
    seen = await reads.presence.heartbeats(user_ids) if user_ids else {}
    active = frozenset(user_id for user_id, seen_at in seen.items() if seen_at > at - ALIVE_FOR)
    away = frozenset(user_ids) - active
    if not away:
        return _Around(active, {}, {}, {})
    subscriptions = await reads.push_subscriptions.living(away, at)
    keys = [tags_key(row.id) for rows in subscriptions.values() for row in rows if must_show(row)]
    return _Around(active, subscriptions, await reads.outbox.held(keys), await reads.rooms.unread_totals(away))


def _not_now(
    person: Person, matter: Matter, around: _Around, at: datetime, wait_until: datetime | None
) -> Nothing | Later | None:
    """Is somebody here, or are these their quiet hours? Who is here may leave till `wait_until`."""
    if person.id in around.active:
        if wait_until is None or wait_until <= at:
            return Nothing("active", matter.lines)
        return Later("active", wait_until, matter.lines)
    end = end_of_quiet(person.preferences, at)
    return Later("quiet_hours", end, matter.lines) if end else None


def _plan(errand: Errand, person: Person, matter: Matter, around: _Around) -> Plan | Nothing:
    subscriptions = around.subscriptions.get(person.id, [])
    if errand.subscription_id:
        subscriptions = [row for row in subscriptions if row.id == errand.subscription_id]
    if not subscriptions:
        return Nothing("gone" if errand.subscription_id else "no_subscription", matter.lines)
    tags = {row.id: tags_in(around.held.get(tags_key(row.id)), person.id) for row in subscriptions if must_show(row)}
    return Plan(person, matter, subscriptions, tags, around.unread.get(person.id, 0))
