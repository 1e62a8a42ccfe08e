"""`/notifications`: what concerns a person apart from any room (contract §7). It only speaks, so far."""

from ..services.unread import UnreadCounts
from .socket_edge import Caller


class NotificationNamespace:
    name = "/notifications"

    def __init__(self, unread: UnreadCounts) -> None:
        self._unread = unread

    async def greet(self, caller: Caller) -> None:
        """Nothing is said at the start."""
        self._unread.connected(caller.viewer.user_id)

    def left(self, caller: Caller) -> None:
        """Nobody counts as online by this namespace alone."""
        self._unread.disconnected(caller.viewer.user_id)
