"""The lines of rooms over REST (contract §5)."""

from uuid import UUID

from ..errors import Blocked, Conflict, Forbidden, Gone, NotFound
from ..schemas.common import Items, Page, PageQuery
from ..schemas.drafts import Emoji, MessageDraft, MessageEdit
from ..schemas.messages import History, HistoryQuery, Message, ReactionBy, Receipt, Sent
from ..services.edits import Edits
from ..services.messages import Messages
from ..services.reactions import Reactions
from ..services.sending import Sending
from ..viewer import Viewer
from .api import Answer, delete, get, patch, post, put


class MessagesController:
    tag = "messages"

    def __init__(self, messages: Messages, sending: Sending, edits: Edits, reactions: Reactions) -> None:
        self._messages = messages
        self._sending = sending
        self._edits = edits
        self._reactions = reactions

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

    @patch("/messages/{message_id}", limit="messages", errors=(NotFound, Forbidden, Blocked, Gone))
    async def edit_message(self, viewer: Viewer, message_id: UUID, body: MessageEdit) -> Message:
        """Give a message of mine another text, within the window. The same text changes nothing."""
        return await self._edits.edit(viewer.user_id, message_id, body.text)

    @delete("/messages/{message_id}", limit="messages", errors=(NotFound, Forbidden))
    async def delete_message(self, viewer: Viewer, message_id: UUID) -> Message:
        """Delete a message of mine, within the window; its place in the room stays. Again changes nothing."""
        return await self._edits.delete(viewer.user_id, message_id)

    @put(
        "/messages/{message_id}/reactions/{emoji}",
        limit="messages",
        errors=(NotFound, Forbidden, Blocked, Conflict, Gone),
    )
    async def react(self, viewer: Viewer, message_id: UUID, emoji: Emoji) -> Message:
        """Put my reaction to a message: one emoji. Again changes nothing."""
        return await self._reactions.react(viewer.user_id, message_id, emoji, on=True)

    @delete("/messages/{message_id}/reactions/{emoji}", limit="messages", errors=(NotFound, Forbidden, Blocked, Gone))
    async def take_reaction_back(self, viewer: Viewer, message_id: UUID, emoji: Emoji) -> Message:
        """Take my reaction back. Again changes nothing."""
        return await self._reactions.react(viewer.user_id, message_id, emoji, on=False)

    @get("/messages/{message_id}/reactions", errors=(NotFound,))
    async def list_reactions(self, viewer: Viewer, message_id: UUID, page: PageQuery) -> Page[ReactionBy]:
        """Who reacted how, the earliest first."""
        return await self._reactions.list_reactions(viewer.user_id, message_id, page)

    @get("/messages/{message_id}/receipts", errors=(NotFound,))
    async def receipts(self, viewer: Viewer, message_id: UUID) -> Items[Receipt]:
        """Who but the sender has read a message, and when."""
        return await self._messages.receipts(viewer.user_id, message_id)
