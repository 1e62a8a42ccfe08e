"""What this process knows of sessions without asking the database: which have just been seen alive, which are over."""

import time
from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

ALIVE_SECONDS = 1.0
MAX_ALIVE = 20_000
SLACK_SECONDS = 60


class Liveness:
    """`token_seconds`: how long the tokens of an ended session might still be shown."""

    def __init__(self, token_seconds: int) -> None:
        self._remembered_seconds = token_seconds + SLACK_SECONDS
        self._seen_alive: dict[UUID, float] = {}
        self._ended: OrderedDict[UUID, float] = OrderedDict()  # of a dict the first becomes slow to find

    def has_ended(self, session_id: UUID) -> bool:
        return session_id in self._ended

    def was_alive(self, session_id: UUID) -> bool:
        """Was it alive within the last second?"""
        return time.monotonic() - self._seen_alive.get(session_id, -ALIVE_SECONDS) < ALIVE_SECONDS

    def note_alive(self, session_id: UUID, asked_at: float) -> None:
        """The database said so when it was asked, at `asked_at` on the monotonic clock."""
        if len(self._seen_alive) >= MAX_ALIVE:
            fresh = [(known, seen) for known, seen in self._seen_alive.items() if asked_at - seen < ALIVE_SECONDS]
            self._seen_alive = dict(fresh)
        self._seen_alive[session_id] = asked_at

    def note_ended(self, session_ids: Iterable[UUID]) -> None:
        """Remember these until their last access token has expired, when nobody can show one any more."""
        moment = time.monotonic()
        while self._ended and next(iter(self._ended.values())) < moment:
            self._ended.popitem(last=False)
        for session_id in session_ids:
            self._seen_alive.pop(session_id, None)
            self._ended[session_id] = moment + self._remembered_seconds
