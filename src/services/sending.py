"""Sending: a line is stored once, numbered under its room's lock, and announced (contract §5).

Sends that come together are stored together: see docs/decisions/0008-group-commit.md. From here they go to the lane of
their room (lanes.py), which decides them in a transaction (batches.py).
"""

import asyncio
from uuid import UUID

from ..db.database import Database
from ..db.ids import new_id
from ..db.message_views import message_views
from ..db.sends import Place
from ..errors import NotFound
from ..schemas.messages import Message, MessageDraft, Sent
from .batches import Send
from .lanes import Lane

FINISH_SECONDS = 5.0


class Sending:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._lanes = [Lane(sends) for sends in database.sends]

    async def send(self, author_id: UUID, room_id: UUID, draft: MessageDraft, origin: str | None = None) -> Sent:
        """Store a line and tell the room; stored once per `client_id` for ever, a repeat answers the original.

        `origin` is the connection that asked: it gets the answer and no echo. Raises NotFound for who is not in the
        room, Blocked and Gone where the partner of a direct room cannot be written to, Invalid for a `reply_to` that
        may not be quoted here and for `mentions` of others than members, Unavailable with the outcome unknown when the
        database stays away.
        """
        loop = asyncio.get_running_loop()
        place = Place(room_id, author_id, draft.client_id)
        send = Send(new_id(), place, draft, origin, loop.time(), loop.create_future())
        self._lanes[room_id.int % len(self._lanes)].put(send)
        answer = await send.answered
        return answer if isinstance(answer, Sent) else await self._original(send)

    async def close(self) -> None:
        """Let the sends under way be stored, in bounded time."""
        await asyncio.gather(*(lane.finish(FINISH_SECONDS) for lane in self._lanes))

    async def _original(self, send: Send) -> Sent:
        """What was stored under this `client_id`, as its sender sees it now. Ours, if an attempt had stored it."""
        async with self._database.snapshot() as reads:
            row = await reads.messages.by_client_id(*send.place)
            if row is None:
                raise NotFound
            mine = await reads.rooms.joined_by(send.place.sender_id, send.place.room_id)
            first_seq = mine.first_seq if mine else row.seq
            (message,) = await message_views(reads, [row], {row.room_id: first_seq})
        return Sent(message=message if mine else _left_behind(message), replayed=row.id != send.id)


def _left_behind(message: Message) -> Message:
    """A line of one's own in a room that one has left: what others did to it since is not to be seen."""
    return message.model_copy(update={"reactions": []})
