"""The worker that looks who has not read what was sent a while ago, and sets the rungs above in-app for them.

A room says when to look (`rooms.tell_at`), written by who sends. A worker claims it for a while, decides for its
members, some at a time and without the room's lock, and then writes up to where they were told. If it dies in between,
another one does it again: everything it writes may be written twice. See docs/decisions/0019-the-ladder.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database
from ..db.repositories.ladder import Place
from ..errors import Unavailable
from .notices import Rungs
from .portions import decided, rooms_of
from .rungs import RoomLines

log = structlog.get_logger("chatty.ladder")

POLL_SECONDS = 1.0
HELD_SECONDS = 0.05
"""How long to wait where somebody holds all rooms that are due."""
LEASE = timedelta(seconds=60)
ROOMS_AT_ONCE = 50
LINES_AT_ONCE = 1000
MEMBERS_AT_ONCE = 100
"""Others wait while so many are decided about: some milliseconds."""
REST_SECONDS = 0.01
ROOM_RESTS = timedelta(seconds=1)
LONGEST_REST = timedelta(seconds=5)


class Ladder:
    """`rungs`: how long after a line a push, and how long after it a mail, tells of it."""

    def __init__(self, database: Database, rungs: Rungs) -> None:
        self._database = database
        self._rungs = rungs

    @property
    def _rest(self) -> timedelta:
        """In a room in which somebody always writes, those who do not read are looked at so often and no oftener:
        their phones ring for it.
        """
        return max(ROOM_RESTS, min(LONGEST_REST, self._rungs.push / 4))

    async def run(self) -> None:
        """Run until cancelled. What was under way then is done again after its lease."""
        while True:
            try:
                while await self.work():
                    pass
            except Exception as error:
                log.warning("The ladder waits; what was claimed comes again.", error=type(error).__name__)
            await asyncio.sleep(POLL_SECONDS)

    async def work(self) -> bool:
        """Tell of what is due in some rooms. False if there was none."""
        at = now()
        async with self._database.single_read() as reads:
            if not await reads.ladder.has_due(at):
                return False
        async with self._database.patient_transaction() as tx:
            room_ids = await tx.ladder.claim(at, at + LEASE, ROOMS_AT_ONCE)
        if room_ids:
            await self._tell(room_ids)
        else:
            await asyncio.sleep(HELD_SECONDS)
        return True

    async def _tell(self, room_ids: Sequence[UUID]) -> None:
        """Together; if that fails, one by one: what is wrong with one room must not hold up the others."""
        try:
            await self._tell_in(room_ids)
        except Unavailable:
            raise
        except Exception as error:
            log.warning("Rooms could not be told of; they come again.", rooms=len(room_ids), error=type(error).__name__)
            for room_id in room_ids if len(room_ids) > 1 else ():
                await self._tell([room_id])

    async def _tell_in(self, room_ids: Sequence[UUID]) -> None:
        async with self._database.snapshot() as reads:
            rows = await reads.ladder.lines(room_ids, now() - self._rungs.push, LINES_AT_ONCE)
        rooms = rooms_of(rows)
        after: Place | None = None
        while rooms and (after := await self._tell_some(rooms, after)):  # noqa: ASYNC110 - it rests, and waits for nothing
            await asyncio.sleep(REST_SECONDS)
        told = dict.fromkeys(room_ids, 0) | {room_id: room.last_seq for room_id, room in rooms.items()}
        await self._finish(told)

    async def _tell_some(self, rooms: Mapping[UUID, RoomLines], after: Place | None) -> Place | None:
        """Decide for a portion of the members, after that place; its own place, or None if there are no more."""
        at = now()
        async with self._database.snapshot() as reads:
            members = await reads.ladder.members(rooms, after, MEMBERS_AT_ONCE)
            portion = await decided(reads, self._rungs, rooms, members, at)
        if portion.spans:
            async with self._database.patient_transaction() as tx:
                await portion.write(tx)
        full = len(members) == MEMBERS_AT_ONCE
        return (members[-1].room_id, members[-1].user_id) if full else None

    async def _finish(self, told: Mapping[UUID, int]) -> None:
        """Write up to where rooms were told. Nobody's lock is waited for while another room's is held."""
        async with self._database.patient_transaction() as tx:
            free = await tx.ladder.lock([*told], skip_locked=True)
            await tx.ladder.finish({room_id: told[room_id] for room_id in free}, self._rungs.push, now() + self._rest)
        for room_id in told.keys() - set(free):
            async with self._database.patient_transaction() as tx:
                held = await tx.ladder.lock([room_id], skip_locked=False)
                await tx.ladder.finish({each: told[each] for each in held}, self._rungs.push, now() + self._rest)
