"""`/notifications`: what concerns a person apart from any room (contract §7)."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from ..schemas.notifications import MarkNotificationsRead, NotificationsUnread
from ..services.notifications import Notifications
from .socket_edge import Caller, on


class Listens(Protocol):
    """Whom it concerns who is connected here: each connection of a person's counts."""

    def connected(self, user_id: UUID) -> None: ...

    def disconnected(self, user_id: UUID) -> None: ...


class NotificationNamespace:
    name = "/notifications"

    def __init__(self, listeners: Sequence[Listens], notifications: Notifications) -> None:
        self._listeners = listeners
        self._notifications = notifications

    async def greet(self, caller: Caller) -> None:
        """Nothing is said at the start."""
        for each in self._listeners:
            each.connected(caller.viewer.user_id)

    def left(self, caller: Caller) -> None:
        """Who is here was online, too."""
        for each in self._listeners:
            each.disconnected(caller.viewer.user_id)

    @on("mark_notifications_read")
    async def mark_notifications_read(self, caller: Caller, payload: MarkNotificationsRead) -> NotificationsUnread:
        """Mark notifications read, on all my devices.

        A room's is hidden until its next message; the room stays unread.
        """
        return await self._notifications.mark_read(caller.viewer.user_id, payload)
