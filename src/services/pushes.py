"""Pushing what somebody has still not read to their browsers: the work of the outbox's kind `push` (contract §7).

A row says whom and about which room or notification; what there is to tell, and whether, is read when it is done. What
is done twice, after a crash or by two workers, is the same push with the same tag twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from ..clock import now
from ..db.database import Database
from ..db.rows import Row
from ..push.sender import PushSender
from ..schemas.links import Reader
from . import push_payloads
from .push_closing import Closing
from .push_errands import Errand, errand_of
from .push_notes import Done, note
from .push_plans import Decision, Plan, plans_for
from .push_rounds import Push, Result, Rounds
from .together import Together

DAY_SECONDS: Final = 24 * 3600
WEEK_SECONDS: Final = 7 * DAY_SECONDS
AT_ONCE: Final = 10
"""So many are planned, and noted, together: messages wait meanwhile, for some milliseconds."""
PAUSE_SECONDS: Final = 0.05
"""For so long it is collected what became of pushes. They go out once more if the process is killed."""


class Pushes:
    """`reader`: writes out the addresses of pictures. `wait`: for how long a push waits that somebody is here."""

    def __init__(self, database: Database, sender: PushSender, reader: Reader, wait: timedelta) -> None:
        self._database = database
        self._wait = wait
        self._rounds = Rounds(sender)
        self._closing = Closing(database, self._rounds)
        self._reader = reader
        self._plans = Together(self._plan_some, most=AT_ONCE)
        self._notes = Together(self._note_some, most=AT_ONCE, pause_seconds=PAUSE_SECONDS)
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
        decision = await self._plans.ask(errand)
        results: Mapping[UUID, Result] = {}
        if isinstance(decision, Plan):
            results = await self._rounds.push(self._push(decision), decision.subscriptions)
        done = Done(errand, decision, results)
        if done.is_to_note:
            await self._note(done)

    async def _plan_some(self, errands: Sequence[Errand]) -> Sequence[Decision]:
        async with self._database.snapshot() as reads:
            return await plans_for(reads, errands, now(), self._wait)

    async def _note(self, done: Done) -> None:
        """With others that are done; by itself, if somebody is just reading it: others do not wait for that."""
        if not await self._notes.ask(done):
            async with self._database.transaction() as tx:
                await note(tx, [done], now(), wait=True)

    async def _note_some(self, some: Sequence[Done]) -> Sequence[bool]:
        async with self._database.patient_transaction() as tx:
            return await note(tx, some, now())

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
