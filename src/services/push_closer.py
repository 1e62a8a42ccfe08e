"""What is read, or gone, is closed on devices too, by whichever way that happened: this hears of it on the bus.

A hint that is lost with the process leaves a notification open that was read, until the next one takes its place.
`Cursors.mark_read` leaves the work in its own transaction.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database
from ..events import Event, MessageChanged, MessageSent, NotificationsSettled, RoomLeft
from .push_closing import shown_by, shown_key

log = structlog.get_logger("chatty.pushes")

EVERY_SECONDS = 0.5
AT_ONCE = 500


class PushCloser:
    """`wake`: called after a COMMIT that left work."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake
        self._settled: set[str] = set()
        self._all_of: set[UUID] = set()
        self._woken = asyncio.Event()

    def hear(self, events: Sequence[Event]) -> None:
        """Subscribed to the bus: note what may have been read. Returns at once."""
        for event in events:
            match event:
                case MessageSent(message=message) if message.sender:
                    self._settled.add(shown_key(message.sender.id, message.room_id))
                case MessageChanged(message=message) if message.deleted_at:
                    self._settled.update(shown_key(user_id, message.room_id) for user_id in event.audience)
                case RoomLeft(room=room):
                    self._settled.update(shown_key(user_id, room.room_id) for user_id in event.audience)
                case NotificationsSettled(notification_ids=None):
                    self._all_of |= event.audience
                case NotificationsSettled(notification_ids=ids):
                    self._settled.update(shown_key(user_id, id) for user_id in event.audience for id in ids or ())
        if self._settled or self._all_of:
            self._woken.set()

    async def run(self) -> None:
        """Have closed what was read until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(EVERY_SECONDS)
            keys, people = sorted(self._settled), sorted(self._all_of)
            self._settled.clear()
            self._all_of.clear()
            try:
                for some in _portions(keys):
                    await self._release(some, ())
                if people:
                    await self._release((), people)
            except Exception as error:
                log.warning("What was read stays open on devices.", error=type(error).__name__)

    async def _release(self, keys: Sequence[str], people: Sequence[UUID]) -> None:
        """Most are not shown anywhere: what reads need not wait for those who write."""
        async with self._database.snapshot() as reads:
            shown = [*await reads.pushes.waiting(keys)] if keys else []
            for user_id in people:
                shown += await reads.pushes.waiting_under(shown_by(user_id))
        if shown:
            async with self._database.patient_transaction() as tx:
                released = await tx.pushes.release(sorted(shown), now())
            if released:
                self._wake()


def _portions(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    return (keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE))
