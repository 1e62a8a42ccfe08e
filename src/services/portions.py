"""A portion of the members of some rooms: what becomes of what they have not read, on each rung of the ladder."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from ..db.database import Transaction
from ..db.repositories import Repositories
from ..db.repositories.presence import ALIVE_FOR
from ..db.rows import Row
from ..db.spans import Span
from ..schemas.notifications import Channel
from .notices import DIGEST, PUSH, Rungs, digest_key, digest_of, push_key, push_of_room
from .push_closing import shown_key
from .push_waiting import gone_of
from .rungs import Outcome, Reader, RoomLines, Run, ToTell

Work = tuple[str, Mapping[str, Any], datetime]
"""For the outbox: key, payload, when it is due."""


@dataclass
class Portion:
    """What was decided: work for the outbox by its kind and key, and what becomes of the lines.

    `hastened`: work that waits already, and for too long. `here`: whose pushes wait for them to leave, by their keys.
    """

    rungs: Rungs
    at: datetime
    work: dict[str, dict[str, Work]] = field(default_factory=lambda: {PUSH: {}, DIGEST: {}})
    spans: list[Span] = field(default_factory=list)
    hastened: list[tuple[str, datetime]] = field(default_factory=list)
    here: dict[str, UUID] = field(default_factory=dict)

    def decide(self, member: Row, reader: Reader, runs: Iterable[Run]) -> None:
        """Decide for one member. Runs of one sort alike become one outcome, each with its own span."""
        for run in runs:
            pushed = reader.push(run.sort, self.at, run.since + self.rungs.email)
            mailed = reader.mail(run.sort, max(run.since + self.rungs.email, self.at))
            if unwanted := reader.wants("in_app", run.sort):
                self._note(member, run, "in_app", Outcome("skipped", unwanted))
            self._note(member, run, "push", pushed)
            self._note(member, run, "email", mailed)
            if pushed.due_at:
                key = push_key(member.user_id, member.room_id)
                if pushed.reason == "active":
                    self.here[key] = member.user_id
                self._add(PUSH, key, push_of_room(member.user_id, member.room_id), pushed.due_at)
            if mailed.due_at:
                self._add(DIGEST, digest_key(member.user_id), digest_of(member.user_id), mailed.due_at)

    async def write(self, tx: Transaction) -> None:
        """Leave the work, and write down what becomes of the lines. Who has left meanwhile is waited for no more."""
        gone = await gone_of(tx, set(self.here.values()), self.at)
        for key in [key for key, user_id in self.here.items() if user_id in gone]:
            if waits := self.work[PUSH].get(key):
                self.work[PUSH][key] = (*waits[:2], self.at)
        for kind, work in self.work.items():
            await tx.outbox.add_all(kind, [*work.values()], self.at)
        await tx.outbox.hasten_keys(self.hastened)
        await tx.deliveries.record(self.spans)

    async def rest(self, reads: Repositories) -> None:
        """Push to nobody of a room again before the next rung: what is pushed then tells of all that came meanwhile."""
        pushes = self.work[PUSH]
        rooms = {shown_key(*map(UUID, (of["user_id"], of["room_id"]))): key for key, (_, of, _) in pushes.items()}
        for shown, pushed_at in (await reads.pushes.pushed_at(rooms)).items() if rooms else ():
            key, payload, due_at = pushes[rooms[shown]]
            pushes[key] = key, payload, max(due_at, pushed_at + self.rungs.push)

    async def drop_waiting(self, reads: Repositories) -> None:
        """Forget work of which some already waits that nobody has begun: who begins it sees what is to be told now.

        A push that waits for longer than this one would is `hastened`.
        """
        keys = [key for kind in self.work.values() for key in kind]
        waiting = await reads.ladder.waiting(keys) if keys else {}
        for key, due_at in waiting.items():
            for kind in self.work.values():
                work = kind.pop(key, None)
                if work and kind is self.work[PUSH] and work[2] < due_at:
                    self.hastened.append((key, work[2]))

    def _note(self, member: Row, run: Run, channel: Channel, outcome: Outcome) -> None:
        lines = (run.first_seq, run.last_seq)
        self.spans.append(
            Span(member.room_id, member.user_id, channel, *lines, outcome.status, outcome.reason, self.at)
        )

    def _add(self, kind: str, key: str, payload: Mapping[str, Any], due_at: datetime) -> None:
        """The sooner of two with one key."""
        earlier = self.work[kind].get(key)
        if earlier is None or due_at < earlier[2]:
            self.work[kind][key] = (key, payload, due_at)


async def decided(
    reads: Repositories, rungs: Rungs, rooms: Mapping[UUID, RoomLines], members: Sequence[Row], at: datetime
) -> Portion:
    """What becomes of the lines of these rooms for these members."""
    portion = Portion(rungs, at)
    people = {member.user_id for member in members}
    across = await _across(reads, people, {sender for room in rooms.values() for sender in room.senders})
    unread = [
        (member, runs)
        for member in members
        if (runs := rooms[member.room_id].unread_by(member, across.get(member.user_id, frozenset())))
    ]
    if unread:
        readers = await _readers(reads, [member for member, _ in unread], at)
        for member, runs in unread:
            portion.decide(member, readers(member), runs)
        await portion.rest(reads)
        await portion.drop_waiting(reads)
    return portion


async def _across(reads: Repositories, people: set[UUID], senders: set[UUID]) -> Mapping[UUID, frozenset[UUID]]:
    """Whom each of these people has across a block, of these senders."""
    across: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for one, other in await reads.blocks.among(people | senders):
        if other in senders:
            across[one].add(other)
    return {user_id: frozenset(others) for user_id, others in across.items()}


async def _readers(reads: Repositories, members: Sequence[Row], at: datetime) -> Any:
    """How each of these members is to be told, by a row of theirs."""
    people = {member.user_id for member in members}
    preferences = await reads.notification_preferences.of(people)
    subscribed = await reads.ladder.subscribed(people, at)
    seen = await reads.presence.heartbeats(people)
    active = {user_id for user_id, seen_at in seen.items() if seen_at > at - ALIVE_FOR}

    def reader(member: Row) -> Reader:
        return Reader(
            muted=member.muted_until is not None and member.muted_until > at,
            preferences=preferences.get(member.user_id),
            active=member.user_id in active,
            subscribed=member.user_id in subscribed,
            email=member.email,
            verified=member.email_verified_at is not None,
            bounced=member.email_bounced_at is not None,
        )

    return reader


def rooms_of(rows: Iterable[Row]) -> dict[UUID, RoomLines]:
    """The rooms of rows of `ladder.lines`."""
    found: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.room_id].append(row)
    return {room_id: _room(lines) for room_id, lines in found.items()}


def _room(rows: Sequence[Row]) -> RoomLines:
    told = [
        ToTell(row.seq, row.sender_id, frozenset(UUID(user_id) for user_id in row.mentions or ()), row.created_at)
        for row in rows
        if row.kind != "system" and row.deleted_at is None
    ]
    return RoomLines(rows[0].told_seq, rows[-1].seq, told)
