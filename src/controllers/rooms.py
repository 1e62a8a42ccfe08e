"""Rooms over REST (contract §4)."""

from uuid import UUID

from ..errors import Blocked, NotFound
from ..schemas.rooms import DirectRoomDraft, Room
from ..services.rooms import Rooms
from ..viewer import Viewer
from .api import Answer, get, post


class RoomsController:
    tag = "rooms"

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

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
