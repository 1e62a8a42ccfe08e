"""The beacon (contract §7): what `rev` recently active rooms have reached, so that a lost event is noticed."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..events import Event, RoomHeadSeen
from ..schemas.rooms import RoomHead

log = logging.getLogger(__name__)

_PEOPLE_AT_ONCE = 200


class Heads:
    """`publish`: where it is told. `here`: who is connected to this node."""

    def __init__(
        self,
        database: Database,
        publish: Callable[[Sequence[Event]], None],
        here: Callable[[], Collection[UUID]],
        *,
        every_seconds: float = 20.0,
    ) -> None:
        self._database = database
        self._publish = publish
        self._here = here
        self._every_seconds = every_seconds
        self._told_at = now()

    async def run(self) -> None:
        """Tell the heads until cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self.tell()
            except Exception as error:
                log.warning("The heads could not be told; the next time covers it.", extra={"error": repr(error)})

    async def tell(self) -> None:
        """Tell everybody here of their rooms that have changed since the time before the last."""
        at, since = now(), self._told_at - timedelta(seconds=self._every_seconds)
        people = list(self._here())
        for first in range(0, len(people), _PEOPLE_AT_ONCE):
            async with self._database.snapshot() as reads:
                rows = await reads.cursors.changed_rooms_of(people[first : first + _PEOPLE_AT_ONCE], since)
            rooms: defaultdict[tuple[UUID, int], set[UUID]] = defaultdict(set)
            for row in rows:
                rooms[row.room_id, row.rev].add(row.user_id)
            self._publish([_event(room_id, rev, user_ids) for (room_id, rev), user_ids in rooms.items()])
            await asyncio.sleep(0)  # SQLite answers without letting anybody else run
        self._told_at = at


def _event(room_id: UUID, rev: int, user_ids: set[UUID]) -> RoomHeadSeen:
    return RoomHeadSeen(frozenset(user_ids), RoomHead(room_id=room_id, rev=rev))
