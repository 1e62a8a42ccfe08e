"""Why somebody was told of a message, or not: to its sender, and to whoever runs the service (contract §7, §9)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ..clock import now
from ..db import cursors
from ..db.database import Database
from ..db.read_times import read_at
from ..db.repositories import Repositories
from ..db.repositories.presence import ALIVE_FOR
from ..db.rows import Row
from ..db.views import user_view
from ..schemas.common import Page, PageQuery
from ..schemas.notifications import Delivery
from .delivery_outcomes import Fate, for_sender
from .lines import readable, refuse_unless_own
from .mails import email_key
from .notices import DIGEST, PUSH


@dataclass(frozen=True)
class Explanation:
    """A message and what became of it for a person. `delivery` is None for who is not in the room.

    `may_read`: was it sent while they were a member? `work`: what the outbox has to do for them.
    """

    line: Row
    nickname: str | None
    delivery: Delivery | None
    is_sender: bool
    may_read: bool
    work: Sequence[Row]


class Deliveries:
    """`push_after`: how long after a message the ladder looks who has not read it."""

    def __init__(self, database: Database, push_after: timedelta) -> None:
        self._database = database
        self._push_after = push_after

    async def of_message(self, user_id: UUID, message_id: UUID, query: PageQuery) -> Page[Delivery]:
        """What became of a message of mine for the others, the earliest members first.

        Raises NotFound for what I may not read, Forbidden for another's, Invalid for a cursor that was not given out.
        """
        after = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            line, _ = await readable(reads, user_id, message_id)
            refuse_unless_own(line, user_id)
            rows = await reads.recipients.page(line, after, query.limit)
            rows, following = cursors.cut(rows, query.limit, lambda row: (row.joined_at, row.id))
            found = await self._deliveries(reads, line, rows)
        items = [each.model_copy(update={"channels": for_sender(each.channels, each.read_at)}) for each in found]
        return Page(items=items, next_cursor=following)

    async def explain(self, message_id: UUID, person: str) -> Explanation | None:
        """What became of any message for somebody, by id or address. None if there is not the one or the other."""
        async with self._database.snapshot() as reads:
            room_id = await reads.messages.room_of(message_id)
            line = await reads.messages.in_room(room_id, message_id) if room_id else None
            user = await _person(reads, person)
            if line is None or user is None:
                return None
            row = await reads.recipients.one(line, user.id)
            found = await self._deliveries(reads, line, [row] if row else [])
            work = await reads.recipients.work_for(user.id, [PUSH, DIGEST])
        may_read = row is not None and (row.kind == "direct" or row.first_seq <= line.seq)
        delivery, is_sender = found[0] if found else None, line.sender_id == user.id
        return Explanation(line, user.nickname, delivery, is_sender, may_read, work)

    async def _deliveries(self, reads: Repositories, line: Row, rows: Sequence[Row]) -> list[Delivery]:
        people = [row.id for row in rows]
        spans = await reads.deliveries.of_line(line.room_id, line.seq, people)
        preferences = await reads.notification_preferences.of(people)
        blocks = await reads.recipients.blocks_with(line.sender_id, people) if line.sender_id else {}
        online = await _online(reads, people)
        found = []
        for row in rows:
            read = read_at(row, line) if row.read_seq >= line.seq else None
            fate = Fate(
                line=line,
                read_at=read,
                here=row.id in online or (row.last_seen_at is not None and row.last_seen_at >= line.created_at),
                left=row.listed_at is None or row.first_seq > line.seq,
                told=row.told_seq >= line.seq,
                blocked_at=blocks.get(row.id),
                muted_until=row.muted_until,
                mentioned=str(row.id) in (line.mentions or ()),
                preferences=preferences.get(row.id),
                spans={rung: span for (user_id, rung), span in spans.items() if user_id == row.id},
                push_after=self._push_after,
            )
            found.append(Delivery(user=user_view(row), read_at=read, channels=fate.channels))
        return found


async def _online(reads: Repositories, people: Collection[UUID]) -> frozenset[UUID]:
    since = now() - ALIVE_FOR
    return frozenset(user_id for user_id, at in (await reads.presence.heartbeats(people)).items() if at > since)


async def _person(reads: Repositories, named: str) -> Row | None:
    """Somebody by id or by address."""
    if "@" in named:
        return await reads.users.credentials(email_key(named))
    try:
        return await reads.users.me_row(UUID(named))
    except ValueError:
        return None
