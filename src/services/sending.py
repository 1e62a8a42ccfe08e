"""Sending: a line is stored once, numbered under its room's lock, and announced (contract §5).

Sends that come together are stored together: see docs/decisions/0008-group-commit.md. From here they go to the lane of
their room (lanes.py), which decides them in a transaction (batches.py).
"""

import asyncio
from datetime import timedelta
from functools import partial
from uuid import UUID

from ..db.database import Database
from ..db.ids import new_id
from ..db.message_views import message_views
from ..db.sends import Place
from ..errors import NotFound
from ..schemas.drafts import MessageDraft
from ..schemas.messages import Message, Sent
from .batches import Send
from .lanes import Lane

FINISH_SECONDS = 5.0


class Sending:
    """`tell_after`: how long after a line to look who has not read it."""

    def __init__(self, database: Database, tell_after: timedelta) -> None:
        self._database = database
        self._lanes = [Lane(sends, self._original, tell_after) for sends in database.sends]
        self._underway: dict[str, tuple[Lane, set[asyncio.Future[Sent]]]] = {}

    async def send(self, author_id: UUID, room_id: UUID, draft: MessageDraft) -> Sent:
        """Store a line and tell the room; stored once per `client_id` for ever, a repeat answers the original.

        Raises NotFound for who is not in the room, Blocked and Gone where the partner of a direct room cannot be
        written to, Invalid for a `reply_to` that may not be quoted here and for `mentions` of others than members,
        Unavailable with the outcome unknown when the database stays away.
        """
        return await self._put(self._lane(room_id), author_id, room_id, draft, None)

    async def begin(self, author_id: UUID, room_id: UUID, draft: MessageDraft, origin: str) -> asyncio.Future[Sent]:
        """`send` for the connection `origin`, which need not wait before it sends on; it hears no echo.

        Its sends are committed in the order in which they come here: those to rooms of one lane follow each other
        there, and one to another lane waits until all before it have been answered.
        """
        lane = self._lane(room_id)
        while (underway := self._underway.get(origin)) and underway[0] is not lane:
            await asyncio.wait(underway[1])
        sent = self._put(lane, author_id, room_id, draft, origin)
        self._underway.setdefault(origin, (lane, set()))[1].add(sent)
        sent.add_done_callback(partial(self._forget, origin))
        return sent

    def _lane(self, room_id: UUID) -> Lane:
        return self._lanes[room_id.int % len(self._lanes)]

    def _put(
        self, lane: Lane, author_id: UUID, room_id: UUID, draft: MessageDraft, origin: str | None
    ) -> asyncio.Future[Sent]:
        loop = asyncio.get_running_loop()
        place = Place(room_id, author_id, draft.client_id)
        send = Send(new_id(), place, draft, origin, loop.time(), loop.create_future())
        lane.put(send)
        return send.answered

    def _forget(self, origin: str, sent: asyncio.Future[Sent]) -> None:
        _, underway = self._underway[origin]
        underway.discard(sent)
        if not underway:
            del self._underway[origin]

    @property
    def is_busy(self) -> bool:
        """Is there a message on its way?"""
        return any(lane.is_busy for lane in self._lanes)

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
        readable = mine is not None and row.seq >= mine.first_seq
        return Sent(message=message if readable else _left_behind(message), replayed=row.id != send.id)


def _left_behind(message: Message) -> Message:
    """A line of one's own from before one left the room: what others did to it since is not to be seen."""
    return message.model_copy(update={"reactions": []})
