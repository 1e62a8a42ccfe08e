"""Notifications and how somebody wants them, over REST (contract §7)."""

from ..schemas.common import Page
from ..schemas.notifications import (
    MarkNotificationsRead,
    Notification,
    NotificationsQuery,
    NotificationsUnread,
    PreferencesDraft,
)
from ..schemas.notifications import (
    Preferences as PreferencesView,
)
from ..services.notifications import Notifications
from ..services.preferences import Preferences
from ..viewer import Viewer
from .api import get, post, put


class NotificationsController:
    tag = "notifications"

    def __init__(self, notifications: Notifications, preferences: Preferences) -> None:
        self._notifications = notifications
        self._preferences = preferences

    @get("/notifications")
    async def find(self, viewer: Viewer, query: NotificationsQuery) -> Page[Notification]:
        """What I am told, the newest first; one notification for all messages of a room, which goes when I read it."""
        return await self._notifications.find(viewer.user_id, query)

    @post("/notifications/read", status=200)
    async def mark_read(self, viewer: Viewer, body: MarkNotificationsRead) -> NotificationsUnread:
        """Mark notifications read, on all my devices. A room's is hidden until its next message; the room stays unread.

        What is not mine or read already is passed over.
        """
        return await self._notifications.mark_read(viewer.user_id, body)

    @get("/notifications/preferences")
    async def preferences(self, viewer: Viewer) -> PreferencesView:
        """How I want to be told: by kind and channel, when not, and with what in it."""
        return await self._preferences.of(viewer.user_id)

    @put("/notifications/preferences")
    async def change_preferences(self, viewer: Viewer, body: PreferencesDraft) -> PreferencesView:
        """Change what is given; the rest stays. `quiet_hours: null` ends them."""
        return await self._preferences.change(viewer.user_id, body)
