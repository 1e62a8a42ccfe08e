"""Committed events out: which socket event each becomes, and to whose sockets it goes (contract §7)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from ..events import (
    Event,
    FriendChanged,
    MessageChanged,
    MessageSent,
    NotificationCreated,
    NotificationsSettled,
    NotificationStored,
    NotificationsWereRead,
    PresenceChanged,
    RoomAdded,
    RoomChanged,
    RoomHeadSeen,
    RoomLeft,
    RoomSettingsChanged,
    RoomWasRead,
    SessionsEnded,
    TypingChanged,
    UnreadChanged,
    UserChanged,
)
from ..realtime.connections import Connections, FormLetter, Letter
from ..realtime.packets import event_frame
from ..schemas.common import View
from ..schemas.messages import Message
from ..schemas.notifications import Notification, NotificationsRead
from ..schemas.people import FriendChange, PresenceChange, User
from ..schemas.realtime import Ready, SessionExpiring, UnreadChange
from ..schemas.rooms import Room, RoomChange, RoomHead, RoomRead, RoomRemoved, RoomSettings, Typing
from .links import Links


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A socket event that clients hear. `payload` takes the view out of what happened."""

    namespace: str
    name: str
    model: type[BaseModel]
    doc: str
    payload: Callable[[Any], View] = lambda view: view


OUTGOING: Mapping[type[Any], Outgoing] = {
    MessageSent: Outgoing(
        "/chat",
        "message_sent",
        Message,
        "A line was stored; its sender has read up to it. To every member's every socket but the one that sent it.",
        lambda event: event.message,
    ),
    MessageChanged: Outgoing(
        "/chat", "message_changed", Message, "Edited, deleted or reacted to.", lambda event: event.message
    ),
    RoomAdded: Outgoing(
        "/chat",
        "room_added",
        Room,
        "A room came into my list, as I see it. Its last_message, if any, is the one line that I may read so far.",
        lambda event: event.room,
    ),
    RoomLeft: Outgoing("/chat", "room_removed", RoomRemoved, "A room is no longer mine.", lambda event: event.room),
    RoomChanged: Outgoing(
        "/chat", "room_changed", RoomChange, "What changed of a room of mine.", lambda event: event.change
    ),
    RoomSettingsChanged: Outgoing(
        "/chat",
        "room_settings_changed",
        RoomSettings,
        "I have muted, pinned or renamed a room for me, on some device.",
        lambda event: event.settings,
    ),
    RoomWasRead: Outgoing(
        "/chat", "room_read", RoomRead, "A member, or I on another device, has read on.", lambda event: event.read
    ),
    RoomHeadSeen: Outgoing(
        "/chat",
        "room_head",
        RoomHead,
        "A beacon for rooms with recent activity: who holds a lower rev asks sync.",
        lambda event: event.head,
    ),
    TypingChanged: Outgoing(
        "/chat",
        "typing_changed",
        Typing,
        "A member writes, or no longer; it ends by itself.",
        lambda event: event.typing,
    ),
    PresenceChanged: Outgoing(
        "/chat",
        "presence_changed",
        PresenceChange,
        "A friend, or somebody I share a direct room with, came or went.",
        lambda event: event.change,
    ),
    FriendChanged: Outgoing(
        "/notifications",
        "friend_changed",
        FriendChange,
        "How I stand to somebody has changed.",
        lambda event: event.change,
    ),
    UnreadChanged: Outgoing(
        "/notifications",
        "unread_changed",
        UnreadChange,
        "How much is unread, over all rooms and in one.",
        lambda event: event.unread,
    ),
    NotificationCreated: Outgoing(
        "/notifications",
        "notification_created",
        Notification,
        "There is something new for me. One with an id that I hold replaces it.",
        lambda event: event.notification,
    ),
    NotificationsWereRead: Outgoing(
        "/notifications",
        "notifications_read",
        NotificationsRead,
        "These of my notifications are read, or gone; null: all.",
        lambda event: event.read,
    ),
    UserChanged: Outgoing(
        "/notifications", "user_changed", User, "Somebody I know changed their profile.", lambda event: event.user
    ),
}
"""Events of transactions, each as one socket event."""

GREETINGS = (
    Outgoing("/chat", "ready", Ready, "The first event on each connection."),
    Outgoing("/chat", "session_expiring", SessionExpiring, "The access token ends soon: answer with refresh_session."),
)
"""What the server says by itself, to one connection."""


class Broadcast:
    """Listens on the bus and sends: each event is encoded once, for however many sockets.

    Where it holds addresses that differ from person to person, these are filled in for whoever is here.
    Lines that a transaction stored in one room for the same people go out together; within a room nothing overtakes.
    """

    def __init__(self, connections: Connections, links: Links) -> None:
        self._connections = connections
        self._links = links

    def __call__(self, events: Sequence[Event]) -> None:
        lines: dict[UUID, list[MessageSent]] = {}  # of each room, for one audience
        for event in events:
            if isinstance(event, MessageSent):
                waiting = lines.setdefault(event.message.room_id, [])
                if waiting and waiting[0].audience is not event.audience:
                    self._send_together(waiting)
                    waiting.clear()
                waiting.append(event)
                continue
            self._send_all(lines)
            if isinstance(event, SessionsEnded):
                for session_id in event.session_ids:
                    self._connections.close_session(session_id)
            elif not isinstance(event, NotificationStored | NotificationsSettled):
                self._send_together([event])
        self._send_all(lines)

    def _send_all(self, lines: dict[UUID, list[MessageSent]]) -> None:
        for waiting in lines.values():
            self._send_together(waiting)
        lines.clear()

    def _send_together(self, events: Sequence[Any]) -> None:
        """Send events of one kind and one audience."""
        outgoing = OUTGOING[type(events[0])]
        letters = [self._letter(outgoing, event) for event in events]
        self._connections.send(events[0].audience, outgoing.namespace, letters)

    def _letter(self, outgoing: Outgoing, event: Any) -> Letter | FormLetter:
        template = self._links.to_each()
        json = outgoing.payload(event).encoded(template)
        framed = partial(event_frame, outgoing.namespace, outgoing.name)
        origin = getattr(event, "origin", None)
        if not template.personal:
            return Letter(framed(json), origin)
        fill = template.filled(json)
        return FormLetter(lambda user_id: framed(fill(user_id)), origin)
