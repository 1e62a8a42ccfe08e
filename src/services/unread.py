"""How much is unread, told to who listens (contract §7): computed from cursors, never counted up."""

from collections.abc import Callable, Sequence
from uuid import UUID

from ..db.database import Database
from ..events import Event, MessageSent, RoomAdded, RoomLeft, RoomWasRead, UnreadChanged
from ..schemas.realtime import UnreadChange
from .listeners import Changes, Listeners


class UnreadCounts:
    """`publish`: where it is told, to `listeners`. What has changed of a person's are rooms."""

    def __init__(self, database: Database, publish: Callable[[Sequence[Event]], None]) -> None:
        self._database = database
        self._publish = publish
        self.listeners = Listeners(self._tell)

    def hear(self, events: Sequence[Event]) -> None:
        """Subscribed to the bus: note whose counts may have changed. Returns at once."""
        if not self.listeners:
            return
        for event in events:
            match event:
                case MessageSent(message=message) if message.kind != "system":
                    self.listeners.note(event.audience, message.room_id)
                case RoomAdded(room=room):
                    self.listeners.note(event.audience, room.id)
                case RoomLeft(room=room):
                    self.listeners.note(event.audience, room.room_id)
                case RoomWasRead(read=read):
                    self.listeners.note((read.user_id,), read.room_id)

    async def _tell(self, changes: Changes) -> None:
        pairs = [(user_id, room_id) for user_id, rooms in changes.items() for room_id in rooms]
        async with self._database.snapshot() as reads:
            unread = await reads.cursors.unread_of(pairs)
        self._publish([_event(user_id, room_id, *counts) for (user_id, room_id), counts in unread.items()])


def _event(user_id: UUID, room_id: UUID, count: int, total: int) -> UnreadChanged:
    return UnreadChanged(frozenset({user_id}), UnreadChange(total=total, room_id=room_id, unread_count=count))
