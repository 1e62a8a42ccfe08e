"""`/notifications`: what concerns a person apart from any room (contract §7). It only speaks, so far."""

from .socket_edge import Caller


class NotificationNamespace:
    name = "/notifications"

    async def greet(self, caller: Caller) -> None:
        """Nothing is said at the start."""

    def left(self, caller: Caller) -> None:
        """Nobody counts as online by this namespace alone."""
