"""Telling who listens what has changed of theirs: some times a second, however often it does.

All that can change it is heard on the bus, after its COMMIT; what is told is read after that, here alone and in one
order. So the last that a device hears is the truth.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from uuid import UUID

log = logging.getLogger(__name__)

AT_ONCE = 200
RETRY_SECONDS = 1.0

Changes = Mapping[UUID, Mapping[UUID, int]]
"""What has changed, by person: ids of things, each with bits that say how."""


class Listeners:
    """`tell`: reads how the changes have come out and publishes it; called again with the same if it fails.

    `every_seconds`: how often at most. `gone`: called when a person listens no longer.
    """

    def __init__(
        self,
        tell: Callable[[Changes], Awaitable[None]],
        *,
        every_seconds: float = 0.15,
        gone: Callable[[UUID], None] = lambda user_id: None,
    ) -> None:
        self._tell = tell
        self._every_seconds = every_seconds
        self._gone = gone
        self._listening: Counter[UUID] = Counter()
        self._changed: defaultdict[UUID, dict[UUID, int]] = defaultdict(dict)
        self._woken = asyncio.Event()

    def __bool__(self) -> bool:
        """Does anybody listen?"""
        return bool(self._listening)

    def connected(self, user_id: UUID) -> None:
        """A socket of this person's listens here. Returns at once."""
        self._listening[user_id] += 1

    def disconnected(self, user_id: UUID) -> None:
        """A socket of this person's listens no longer. Returns at once."""
        self._listening[user_id] -= 1
        if self._listening[user_id] <= 0:
            del self._listening[user_id]
            self._changed.pop(user_id, None)
            self._gone(user_id)

    def among(self, user_ids: Collection[UUID]) -> Collection[UUID]:
        """Those of these people who listen."""
        return self._listening.keys() & user_ids

    def note(self, user_ids: Collection[UUID], id: UUID, how: int = 0) -> None:
        """Something of these people's has changed. Returns at once."""
        for user_id in self.among(user_ids):
            changed = self._changed[user_id]
            changed[id] = changed.get(id, 0) | how
            self._woken.set()

    def waits(self, user_id: UUID, id: UUID) -> bool:
        """Has it changed since it was last taken to be told?"""
        return id in self._changed.get(user_id, ())

    async def run(self) -> None:
        """Tell what has changed until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while self._changed:
                    await self._tell_some()
                    await asyncio.sleep(0)  # SQLite works without letting anybody else run
            except Exception:
                log.warning("What has changed could not be told; trying again.", exc_info=True)
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()
            await asyncio.sleep(self._every_seconds)

    async def _tell_some(self) -> None:
        some = self._some()
        try:
            await self._tell(some)
        except BaseException:
            for user_id, changed in some.items():
                for id, how in changed.items():
                    self.note((user_id,), id, how)
            raise

    def _some(self) -> Changes:
        """Take some people out of what has changed: at least one."""
        taken: dict[UUID, dict[UUID, int]] = {}
        size = 0
        while self._changed and size < AT_ONCE:
            user_id, changed = self._changed.popitem()
            taken[user_id] = changed
            size += len(changed)
        return taken
