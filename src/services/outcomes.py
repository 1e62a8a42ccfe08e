"""What can become of work in the outbox, and what is to be done about it."""

import random
from datetime import datetime, timedelta

from ..db.repositories.outbox import GivenUp, PutOff
from ..db.rows import Row

FIRST_DELAY_SECONDS = 30
MAX_DELAY_SECONDS = 4 * 3600
SOON = timedelta(seconds=1)

Outcome = Exception | None
"""None: it is done. `Undeliverable`: given up. `Later`: put off. Any other: it failed, and is tried again.

A failure with an attribute `retry_after_seconds` says itself when.
"""


class Undeliverable(Exception):
    """This will never succeed: trying again would not help. Says which code, never to whom."""


class Later(Exception):
    """It is not yet time: look again at `due_at`. That is no failure, and counts as no attempt."""

    def __init__(self, due_at: datetime) -> None:
        super().__init__(f"not before {due_at}")
        self.due_at = due_at


def verdict(row: Row, outcome: Outcome, max_attempts: float, moment: datetime) -> PutOff | GivenUp | None:
    """What becomes of a leased row, as it was before; None: it is done."""
    if outcome is None:
        return None
    if isinstance(outcome, Later):
        return PutOff(row, max(outcome.due_at, moment + SOON), row.attempts, row.last_error)
    if isinstance(outcome, Undeliverable):
        return GivenUp(row.id, str(outcome))
    attempts = row.attempts + 1
    what = f"{type(outcome).__name__} {getattr(outcome, 'code', '')}".strip()
    if attempts >= max_attempts:
        return GivenUp(row.id, what)
    return PutOff(row, moment + _pause(outcome, attempts), attempts, what)


def delay(attempts: int) -> timedelta:
    """How long to wait after so many failures: half a minute, doubled each time, at most four hours, give or take."""
    seconds = min(FIRST_DELAY_SECONDS * 2 ** (attempts - 1), MAX_DELAY_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))


def _pause(failure: Exception, attempts: int) -> timedelta:
    """Whoever failed us may know better than we when to come again, within reason."""
    told = getattr(failure, "retry_after_seconds", None)
    return delay(attempts) if told is None else timedelta(seconds=min(max(told, 1), MAX_DELAY_SECONDS))
