"""How much is unread, told to who listens (contract §7): computed from cursors some times a second, never counted up.

All that can change it is heard on the bus, after its COMMIT; what is told is read after that, here alone and in one
order. So the last that a device hears is the truth.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from ..db.database import Database
from ..events import Event, MessageSent, RoomAdded, RoomLeft, RoomWasRead, UnreadChanged
from ..schemas.realtime import UnreadChange

log = logging.getLogger(__name__)

_AT_ONCE = 500
_RETRY_SECONDS = 1.0


class UnreadCounts:
    """`publish`: where it is told. `every_seconds`: how often at most."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Event]], None], *, every_seconds: float = 0.15
    ) -> None:
        self._database = database
        self._publish = publish
        self._every_seconds = every_seconds
        self._listening: Counter[UUID] = Counter()
        self._changed: defaultdict[UUID, set[UUID]] = defaultdict(set)  # rooms by person
        self._woken = asyncio.Event()

    def connected(self, user_id: UUID) -> None:
        """A socket of this person's listens here. Returns at once."""
        self._listening[user_id] += 1

    def disconnected(self, user_id: UUID) -> None:
        """A socket of this person's listens no longer. Returns at once."""
        self._listening[user_id] -= 1
        if self._listening[user_id] <= 0:
            del self._listening[user_id]
            self._changed.pop(user_id, None)

    def hear(self, events: Sequence[Event]) -> None:
        """Subscribed to the bus: note whose counts may have changed. Returns at once."""
        if not self._listening:
            return
        for event in events:
            match event:
                case MessageSent(message=message) if message.kind != "system":
                    self._note(event.audience, message.room_id)
                case RoomAdded(room=room):
                    self._note(event.audience, room.id)
                case RoomLeft(room=room):
                    self._note(event.audience, room.room_id)
                case RoomWasRead(read=read):
                    self._note(frozenset({read.user_id}), read.room_id)

    async def run(self) -> None:
        """Tell what has changed until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while self._changed:
                    await self._tell(self._some())
            except Exception:
                log.warning("What is unread could not be told; trying again.", exc_info=True)
                await asyncio.sleep(_RETRY_SECONDS)
                self._woken.set()
            await asyncio.sleep(self._every_seconds)

    def _note(self, user_ids: frozenset[UUID], room_id: UUID) -> None:
        for user_id in user_ids & self._listening.keys():
            self._changed[user_id].add(room_id)
            self._woken.set()

    def _some(self) -> list[tuple[UUID, UUID]]:
        """Take some people's rooms out of what has changed: at least one person's."""
        taken: list[tuple[UUID, UUID]] = []
        while self._changed and len(taken) < _AT_ONCE:
            user_id, room_ids = self._changed.popitem()
            taken += [(user_id, room_id) for room_id in room_ids]
        return taken

    async def _tell(self, pairs: list[tuple[UUID, UUID]]) -> None:
        try:
            async with self._database.snapshot() as reads:
                unread = await reads.cursors.unread_of(pairs)
        except BaseException:
            for user_id, room_id in pairs:
                self._note(frozenset({user_id}), room_id)
            raise
        self._publish([_event(user_id, room_id, *counts) for (user_id, room_id), counts in unread.items()])


def _event(user_id: UUID, room_id: UUID, count: int, total: int) -> UnreadChanged:
    return UnreadChanged(frozenset({user_id}), UnreadChange(total=total, room_id=room_id, unread_count=count))
