"""Rooms and their lines over REST (contract §4, §5)."""

from uuid import UUID

from ..errors import Blocked, Gone, NotFound
from ..schemas.messages import History, HistoryQuery, MessageDraft, Sent
from ..schemas.rooms import DirectRoomDraft, Room
from ..services.messages import Messages
from ..services.rooms import Rooms
from ..viewer import Viewer
from .api import Answer, get, post


class RoomsController:
    tag = "rooms"

    def __init__(self, rooms: Rooms, messages: Messages) -> None:
        self._rooms = rooms
        self._messages = messages

    @post(
        "/rooms",
        status=201,
        also={200: "The one room of the two of you."},
        limit="rooms",
        errors=(NotFound, Blocked),
    )
    async def open_room(self, viewer: Viewer, body: DirectRoomDraft) -> Answer[Room]:
        """Open the one direct room with somebody; they see it with its first message."""
        room, made = await self._rooms.open_direct(viewer.user_id, body.user_id)
        return Answer(room, status=201 if made else 200)

    @get("/rooms/{room_id}", errors=(NotFound,))
    async def show_room(self, viewer: Viewer, room_id: UUID) -> Room:
        """A room of mine."""
        return await self._rooms.one(viewer.user_id, room_id)

    @get("/rooms/{room_id}/messages", errors=(NotFound,))
    async def history(self, viewer: Viewer, room_id: UUID, query: HistoryQuery) -> History:
        """Lines of a room, ascending: before, after or around a `seq`; without one, the latest."""
        return await self._messages.history(viewer.user_id, room_id, query)

    @post(
        "/rooms/{room_id}/messages",
        status=201,
        also={200: "This client_id was stored before: the original."},
        limit="messages",
        errors=(NotFound, Blocked, Gone),
    )
    async def send_message(self, viewer: Viewer, room_id: UUID, body: MessageDraft) -> Answer[Sent]:
        """Send a message. Sending the same `client_id` again stores nothing and answers the original."""
        sent = await self._messages.send(viewer.user_id, room_id, body)
        return Answer(sent, status=200 if sent.replayed else 201)
