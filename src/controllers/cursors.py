"""How far I have read, over REST (contract §4)."""

from uuid import UUID

from ..errors import NotFound
from ..schemas.realtime import ReadState, ReadUpTo
from ..services.cursors import Cursors
from ..viewer import Viewer
from .api import post


class CursorsController:
    tag = "rooms"

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors

    @post("/rooms/{room_id}/read", status=200, errors=(NotFound,))
    async def mark_read(self, viewer: Viewer, room_id: UUID, body: ReadUpTo) -> ReadState:
        """I have read up to a line; never back. What is unread then."""
        return await self._cursors.mark_read(viewer.user_id, room_id, body.seq)
