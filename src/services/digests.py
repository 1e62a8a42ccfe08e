"""Mailing people what they have not read: the work of the outbox's kind `digest` (contract §7).

A row says whom; what there is to tell, and whether, is read when it is done. See docs/decisions/0020-digests.md.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..db.spans import Span
from ..db.uninterrupted import uninterrupted
from .digest_mails import DigestMails
from .digest_plans import Pace, Plan, Plans, plans_for
from .mailer import Mailer
from .outbox import MAX_ATTEMPTS
from .outcomes import Later, Outcome, Undeliverable
from .smtp_refusals import AddressRefused

log = structlog.get_logger("chatty.digests")

AT_ONCE = 64
"""People for whom all is read together."""
TOGETHER = 12
"""Mails that are written down as sent together."""
UNNOTED = 2
"""So many times TOGETHER are sent and not yet written down, over all batches: these go out once more if the process is
killed. What was left by one that was killed comes in several batches at once.
"""
CONNECTIONS = 6
"""Fewer than there are: the mails of accounts must not wait for these."""
MAIL_SECONDS = 15
BEGUN_WITHIN_SECONDS = 25
"""After that no more mails of a batch are begun. With all that is still under way it stays below WORK_SECONDS."""
TAKEN = timedelta(seconds=2)
"""How long to wait where another worker is busy with the same person."""


class Digests:
    """`public_url`: where the links to rooms lead."""

    def __init__(self, database: Database, mailer: Mailer, mails: DigestMails, public_url: str, pace: Pace) -> None:
        self._database = database
        self._mailer = mailer
        self._mails = mails
        self._public_url = public_url
        self._pace = pace
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._unnoted = asyncio.Semaphore(UNNOTED)

    async def carry_out(self, items: Sequence[Row]) -> Mapping[UUID, Outcome]:
        """Send what is due of what these rows ask for: the outbox's handler of batches."""
        deadline = asyncio.get_running_loop().time() + BEGUN_WITHIN_SECONDS
        by_person = {UUID(item.payload["user_id"]): item for item in items}  # of two for one person one tells all
        async with self._database.exclusively(by_person) as mine:
            outcomes: dict[UUID, Outcome] = {
                item.id: Later(now() + TAKEN) for user_id, item in by_person.items() if user_id not in mine
            }
            plans = await self._plans({user_id: by_person[user_id] for user_id in mine})
            outcomes |= plans.later
            outcomes |= await uninterrupted(self._send_all(plans.mails, deadline))
        return outcomes

    async def _plans(self, items: Mapping[UUID, Row]) -> Plans:
        async with self._database.snapshot() as reads:
            plans = await plans_for(reads, items, self._pace, self._public_url, now())
        if plans.spans:
            async with self._database.transaction() as tx:
                await tx.deliveries.record(plans.spans)
        return plans

    async def _send_all(self, plans: Sequence[Plan], deadline: float) -> Mapping[UUID, Outcome]:
        """Send some mails at a time, and write down what became of them while the next ones are sent."""
        outcomes: dict[UUID, Outcome] = {}
        noting: asyncio.Task[Mapping[UUID, Outcome]] | None = None
        for first in range(0, len(plans), TOGETHER):
            fates = await self._send(plans[first : first + TOGETHER], deadline)
            if noting:
                outcomes |= await noting
            noting = asyncio.create_task(self._note(fates))
        if noting:
            outcomes |= await noting
        return outcomes

    async def _send(self, plans: Sequence[Plan], deadline: float) -> Sequence["_Fate"]:
        await self._unnoted.acquire()  # until `_note` lets go, which waits for nobody who waits here
        try:
            outcomes = await asyncio.gather(*(self._outcome(plan, deadline) for plan in plans))
        except BaseException:
            self._unnoted.release()
            raise
        return [_fate_of(plan, outcome) for plan, outcome in zip(plans, outcomes, strict=True)]

    async def _note(self, fates: Sequence["_Fate"]) -> Mapping[UUID, Outcome]:
        """What becomes of the work, once it is written down what became of the mails."""
        try:
            async with self._database.transaction() as tx:
                await _write(tx, fates, now())
        except Exception as error:
            log.warning("Digests were sent, and that could not be noted; they come again.", error=type(error).__name__)
            return {fate.plan.item.id: error for fate in fates}
        finally:
            self._unnoted.release()
        return {fate.plan.item.id: fate.outcome for fate in fates}

    async def _outcome(self, plan: Plan, deadline: float) -> Outcome:
        async with self._turns:
            if asyncio.get_running_loop().time() > deadline:
                return Later(now())
            try:
                letter = self._mails.write(plan.digest, now())
                async with asyncio.timeout(MAIL_SECONDS):
                    await self._mailer.send(letter)
            except Exception as error:
                return error
        return None


class _Fate(NamedTuple):
    """What became of a mail. `outcome`: of the work. `spans`: of the lines that are in it."""

    plan: Plan
    outcome: Outcome
    spans: Sequence[Span]
    sent: bool = False
    bounced: bool = False


def _fate_of(plan: Plan, outcome: Outcome) -> _Fate:
    user_id, contents = plan.user_id, plan.contents
    if outcome is None:
        return _Fate(plan, None, contents.spans(user_id, now(), "sent"), sent=True)
    if isinstance(outcome, AddressRefused):
        return _Fate(plan, None, contents.spans(user_id, now(), "failed", "bounced"), bounced=True)
    is_last = isinstance(outcome, Undeliverable) or plan.item.attempts + 1 >= MAX_ATTEMPTS
    if is_last and not isinstance(outcome, Later):
        return _Fate(plan, outcome, contents.spans(user_id, now(), "failed", "refused"))
    return _Fate(plan, outcome, ())


async def _write(tx: Transaction, fates: Sequence[_Fate], at: datetime) -> None:
    """All of it at once: whoever looks next sees that it was sent, or does it again."""
    if bounced := {fate.plan.email_key for fate in fates if fate.bounced}:
        await tx.users.mark_bounced(bounced, at)
    if sent := [fate.plan for fate in fates if fate.sent]:
        await tx.notification_preferences.set_mailed([plan.user_id for plan in sent], sent[0].at)
    if spans := [span for fate in fates for span in fate.spans]:
        await tx.deliveries.record(spans)
    await tx.outbox.done([fate.plan.item.id for fate in fates if fate.outcome is None])
