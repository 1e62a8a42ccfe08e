"""`/notifications`: what concerns a person apart from any room (contract §7)."""

from collections.abc import Sequence

from ..schemas.notifications import MarkNotificationsRead, NotificationsUnread
from ..services.listeners import Listeners
from ..services.notifications import Notifications
from .socket_edge import Caller, on


class NotificationNamespace:
    name = "/notifications"

    def __init__(self, listeners: Sequence[Listeners], notifications: Notifications) -> None:
        self._listeners = listeners
        self._notifications = notifications

    async def greet(self, caller: Caller) -> None:
        """Nothing is said at the start."""
        for each in self._listeners:
            each.connected(caller.viewer.user_id)

    def left(self, caller: Caller) -> None:
        """Nobody counts as online by this namespace alone."""
        for each in self._listeners:
            each.disconnected(caller.viewer.user_id)

    @on("mark_notifications_read")
    async def mark_notifications_read(self, caller: Caller, payload: MarkNotificationsRead) -> NotificationsUnread:
        """Mark notifications read, on all my devices.

        A room's is hidden until its next message; the room stays unread.
        """
        return await self._notifications.mark_read(caller.viewer.user_id, payload)
