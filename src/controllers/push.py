"""Web Push over REST: which browsers take pushes (contract §7)."""

from ..schemas.notifications import PushKey, PushSubscriptionDraft, PushSubscriptionEnd
from ..services.push_subscriptions import PushSubscriptions
from ..viewer import Viewer
from .api import delete, get, put


class PushController:
    tag = "notifications"

    def __init__(self, subscriptions: PushSubscriptions) -> None:
        self._subscriptions = subscriptions

    @get("/notifications/push/key")
    async def key(self, viewer: Viewer) -> PushKey:
        """The key with which a browser subscribes, as its `applicationServerKey`."""
        return PushKey(key=self._subscriptions.key)

    @put("/notifications/push", limit="push_subscriptions")
    async def subscribe(self, viewer: Viewer, body: PushSubscriptionDraft) -> None:
        """Have this browser take pushes while this session lasts: for me, and no longer for who signed in before.

        Asking again changes nothing. Of more than 20 browsers the one that asked the longest ago is forgotten.
        """
        await self._subscriptions.put(viewer, body)

    @delete("/notifications/push", limit="push_subscriptions")
    async def unsubscribe(self, viewer: Viewer, body: PushSubscriptionEnd) -> None:
        """Have a browser of mine take no pushes any more; none is as good as an end."""
        await self._subscriptions.remove(viewer, body.endpoint)
