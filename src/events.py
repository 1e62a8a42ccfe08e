"""What has happened, in the past tense, each with its audience.

Announced inside a transaction (`tx.announce`), published after its COMMIT. The audience is decided in the transaction:
who was removed in it hears nothing from it on.
"""

from dataclasses import dataclass
from uuid import UUID

from .schemas.messages import Message
from .schemas.notifications import Notification, NotificationsRead
from .schemas.people import FriendChange, PresenceChange, User
from .schemas.realtime import UnreadChange
from .schemas.rooms import Room, RoomChange, RoomHead, RoomRead, RoomRemoved, RoomSettings, Typing

Audience = frozenset[UUID]


@dataclass(frozen=True, slots=True)
class MessageSent:
    """`origin` is the connection that sent it: it has the acknowledgement and hears no echo."""

    audience: Audience
    message: Message
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class RoomAdded:
    """A room came into somebody's list; the view is that person's own."""

    audience: Audience
    room: Room


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A line was edited, deleted or reacted to: only to those who may read it, since then they know of it."""

    audience: Audience
    message: Message


@dataclass(frozen=True, slots=True)
class RoomLeft:
    """A room is no longer somebody's."""

    audience: Audience
    room: RoomRemoved


@dataclass(frozen=True, slots=True)
class RoomChanged:
    audience: Audience
    change: RoomChange


@dataclass(frozen=True, slots=True)
class RoomSettingsChanged:
    audience: Audience
    settings: RoomSettings


@dataclass(frozen=True, slots=True)
class RoomWasRead:
    audience: Audience
    read: RoomRead


@dataclass(frozen=True, slots=True)
class RoomHeadSeen:
    """Not a change: a beacon."""

    audience: Audience
    head: RoomHead


@dataclass(frozen=True, slots=True)
class TypingChanged:
    audience: Audience
    typing: Typing


@dataclass(frozen=True, slots=True)
class UnreadChanged:
    audience: Audience
    unread: UnreadChange


@dataclass(frozen=True, slots=True)
class FriendChanged:
    audience: Audience
    change: FriendChange


@dataclass(frozen=True, slots=True)
class UserChanged:
    audience: Audience
    user: User


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    audience: Audience
    change: PresenceChange


@dataclass(frozen=True, slots=True)
class NotificationStored:
    """There is something to tell these people, each a row of their own. Not shown: `NotificationCreated` is."""

    audience: Audience
    notification_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class NotificationsSettled:
    """Of these people's notifications these are read, or gone; None: all. Not shown: `NotificationsWereRead` is."""

    audience: Audience
    notification_ids: frozenset[UUID] | None


@dataclass(frozen=True, slots=True)
class NotificationCreated:
    audience: Audience
    notification: Notification


@dataclass(frozen=True, slots=True)
class NotificationsWereRead:
    audience: Audience
    read: NotificationsRead


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """These sessions are over: their tokens and sockets end with them. Not shown to anybody."""

    audience: Audience
    session_ids: frozenset[UUID]


Event = (
    MessageSent
    | MessageChanged
    | RoomAdded
    | RoomLeft
    | RoomChanged
    | RoomSettingsChanged
    | RoomWasRead
    | RoomHeadSeen
    | TypingChanged
    | UnreadChanged
    | FriendChanged
    | UserChanged
    | PresenceChanged
    | NotificationStored
    | NotificationsSettled
    | NotificationCreated
    | NotificationsWereRead
    | SessionsEnded
)
