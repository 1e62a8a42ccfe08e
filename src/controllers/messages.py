"""The lines of rooms over REST (contract §5)."""

from uuid import UUID

from ..errors import Blocked, Gone, NotFound
from ..schemas.messages import History, HistoryQuery, MessageDraft, Sent
from ..services.messages import Messages
from ..services.sending import Sending
from ..viewer import Viewer
from .api import Answer, get, post


class MessagesController:
    tag = "messages"

    def __init__(self, messages: Messages, sending: Sending) -> None:
        self._messages = messages
        self._sending = sending

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
        sent = await self._sending.send(viewer.user_id, room_id, body)
        return Answer(sent, status=200 if sent.replayed else 201)
