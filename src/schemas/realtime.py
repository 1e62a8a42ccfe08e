"""What only travels over a socket (contract §7)."""

from typing import Annotated

from pydantic import Field

from .auth import AccessToken
from .common import Id, Request, Seq, Timestamp, View
from .messages import Message
from .people import Me
from .rooms import Room

MAX_ROOMS_NAMED = 1_000


class Ready(View):
    """The first event on each connection. `epoch` changes when the database was restored to an earlier state."""

    user: Me
    epoch: str
    unread_total: int
    server_time: Timestamp


class SessionExpiring(View):
    """The access token of this connection ends in so many milliseconds: answer with `refresh_session`."""

    in_ms: int


class RefreshSession(Request):
    token: AccessToken


class SessionRefreshed(View):
    """Until when the connection now lives, in milliseconds."""

    expires_in_ms: int


class ReadUpTo(Request):
    """How far I have read; beyond the last line counts as the last line."""

    seq: Seq


class MarkRead(ReadUpTo):
    """The same over a socket, where no path names the room."""

    room_id: Id


class ReadState(View):
    """How far I have read a room, how much is unread in it, and how much over all rooms."""

    read_seq: int
    unread_count: int
    unread_total: int


class UnreadChange(View):
    """How much is unread over all rooms, and in the room where it changed."""

    total: int
    room_id: Id
    unread_count: int


class SetTyping(Request):
    room_id: Id
    on: bool


class SyncRequest(Request):
    """What a client holds: the epoch, and the `rev` of each room. Without an epoch, of this one.

    Events that come while the answer is under way are kept and applied after it.
    """

    epoch: Annotated[str, Field(max_length=64)] | None = None
    rooms: Annotated[dict[Id, Seq], Field(max_length=MAX_ROOMS_NAMED)]


class RoomSync(View):
    """A room that has changed, and its messages with a higher `rev`, ascending by `rev`.

    `rev` is what the client holds after applying them. `reset`: forget what you hold of this room and take this.
    """

    room: Room
    rev: int
    messages: list[Message]
    reset: bool
    has_more: bool


class Synced(View):
    """`removed`: rooms named that are not mine."""

    epoch: str
    rooms: list[RoomSync]
    removed: list[Id]
    unread_total: int
