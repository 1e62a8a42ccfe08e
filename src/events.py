"""What has happened, in the past tense, each with its audience.

Announced inside a transaction (`tx.announce`), published after its COMMIT. The audience is decided in the transaction:
who was removed in it hears nothing from it on.
"""

from dataclasses import dataclass
from uuid import UUID

from .schemas.messages import Message
from .schemas.people import FriendChange, PresenceChange, User
from .schemas.rooms import Room

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
class SessionsEnded:
    """These sessions are over: their tokens and sockets end with them. Not shown to anybody."""

    audience: Audience
    session_ids: frozenset[UUID]


Event = MessageSent | RoomAdded | FriendChanged | UserChanged | PresenceChanged | SessionsEnded
