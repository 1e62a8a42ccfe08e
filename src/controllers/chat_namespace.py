"""`/chat`: what a client may ask for over its socket, and how it is greeted (contract §7)."""

from ..clock import now
from ..schemas.messages import SendMessage, Sent
from ..schemas.realtime import RefreshSession, SessionRefreshed
from ..services.presence import Presence
from ..services.sending import Sending
from ..services.sessions import Sessions
from ..services.sync import Sync
from .socket_edge import Caller, on


class ChatNamespace:
    name = "/chat"

    def __init__(self, sending: Sending, sync: Sync, sessions: Sessions, presence: Presence) -> None:
        self._sending = sending
        self._sync = sync
        self._sessions = sessions
        self._presence = presence

    async def greet(self, caller: Caller) -> None:
        """Say `ready` first; then the person counts as online."""
        caller.send("ready", await self._sync.ready(caller.viewer.user_id))
        self._presence.connected(caller.viewer.user_id)

    def left(self, caller: Caller) -> None:
        self._presence.disconnected(caller.viewer.user_id)

    @on("send_message", limit="messages")
    async def send_message(self, caller: Caller, payload: SendMessage) -> Sent:
        """Send a message. Sending the same `client_id` again stores nothing and answers the original."""
        return await self._sending.send(caller.viewer.user_id, payload.room_id, payload, origin=caller.connection_id)

    @on("refresh_session")
    async def refresh_session(self, caller: Caller, payload: RefreshSession) -> SessionRefreshed:
        """Give a new access token of the same session; it holds for the whole connection."""
        viewer = await self._sessions.authenticate(payload.token)
        caller.extend(viewer)
        remaining = viewer.expires_at - now()
        return SessionRefreshed(expires_in_ms=int(remaining.total_seconds() * 1000))
