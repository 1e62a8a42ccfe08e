"""`/chat`: what a client may ask for over its socket, and how it is greeted (contract §7)."""

import asyncio

from ..clock import now
from ..schemas.drafts import DeleteMessage, EditMessage, ReactToMessage, SendMessage
from ..schemas.messages import Changed, Sent
from ..schemas.realtime import MarkRead, ReadState, RefreshSession, SessionRefreshed, SetTyping, Synced, SyncRequest
from ..services.cursors import Cursors
from ..services.edits import Edits
from ..services.presence import Presence
from ..services.reactions import Reactions
from ..services.sending import Sending
from ..services.sessions import Sessions
from ..services.sync import Sync
from ..services.typing import TypingState
from .socket_edge import Caller, on


class ChatNamespace:
    name = "/chat"

    def __init__(  # noqa: PLR0913 - the contract has all this in one namespace
        self,
        *,
        sending: Sending,
        edits: Edits,
        reactions: Reactions,
        cursors: Cursors,
        typing: TypingState,
        sync: Sync,
        sessions: Sessions,
        presence: Presence,
    ) -> None:
        self._sending = sending
        self._edits = edits
        self._reactions = reactions
        self._cursors = cursors
        self._typing = typing
        self._sync = sync
        self._sessions = sessions
        self._presence = presence

    async def greet(self, caller: Caller) -> None:
        """Say `ready` first; then the person counts as online."""
        caller.send("ready", await self._sync.ready(caller.viewer.user_id))
        self._presence.connected(caller.viewer.user_id)

    def left(self, caller: Caller) -> None:
        self._presence.disconnected(caller.viewer.user_id)
        if not self._presence.is_here(caller.viewer.user_id):
            self._typing.disconnected(caller.viewer.user_id)

    @on("send_message", limit="messages")
    async def send_message(self, caller: Caller, payload: SendMessage) -> asyncio.Future[Sent]:
        """Send a message. Sending the same `client_id` again stores nothing and answers the original."""
        return await self._sending.begin(caller.viewer.user_id, payload.room_id, payload, caller.connection_id)

    @on("edit_message", limit="messages")
    async def edit_message(self, caller: Caller, payload: EditMessage) -> Changed:
        """Give a message of mine another text, within the window. The same text changes nothing."""
        return Changed(message=await self._edits.edit(caller.viewer.user_id, payload.message_id, payload.text))

    @on("delete_message", limit="messages")
    async def delete_message(self, caller: Caller, payload: DeleteMessage) -> Changed:
        """Delete a message of mine, within the window; its place in the room stays. Again changes nothing."""
        return Changed(message=await self._edits.delete(caller.viewer.user_id, payload.message_id))

    @on("react_to_message", limit="messages")
    async def react_to_message(self, caller: Caller, payload: ReactToMessage) -> Changed:
        """Put my reaction to a message, or take it back. Again changes nothing."""
        reacted = self._reactions.react(caller.viewer.user_id, payload.message_id, payload.emoji, on=payload.on)
        return Changed(message=await reacted)

    @on("mark_read")
    async def mark_read(self, caller: Caller, payload: MarkRead) -> ReadState:
        """I have read up to a line; never back. What is unread then."""
        return await self._cursors.mark_read(caller.viewer.user_id, payload.room_id, payload.seq)

    @on("set_typing", limit="typing")
    async def set_typing(self, caller: Caller, payload: SetTyping) -> None:
        """I type in a room, still type, or no longer; it ends by itself after 6 s."""
        await self._typing.set(caller.viewer.user_id, payload.room_id, payload.on)

    @on("sync")
    async def sync(self, caller: Caller, payload: SyncRequest) -> Synced:
        """Every room of mine that has changed since the `rev` given, and what has changed in it."""
        return await self._sync.sync(caller.viewer.user_id, payload)

    @on("refresh_session")
    async def refresh_session(self, caller: Caller, payload: RefreshSession) -> SessionRefreshed:
        """Give a new access token of the same session; it holds for the whole connection."""
        viewer = await self._sessions.authenticate(payload.token)
        caller.extend(viewer)
        remaining = viewer.expires_at - now()
        return SessionRefreshed(expires_in_ms=int(remaining.total_seconds() * 1000))
