"""Rooms (contract §4)."""

from typing import Literal

from .common import Id, Request, Timestamp, View
from .messages import Message
from .people import User

Role = Literal["owner", "admin", "member"]


class DirectRoomDraft(Request):
    """The one room of me and somebody else."""

    kind: Literal["direct"]
    user_id: Id


class Member(View):
    user: User
    role: Role
    read_seq: int
    joined_at: Timestamp


class MyMembership(View):
    """What is mine alone in a room. What lies before `first_seq` I may not read."""

    role: Role
    read_seq: int
    unread_count: int
    muted_until: Timestamp | None = None
    pinned: bool = False
    alias: str | None = None
    first_seq: int


class Room(View):
    """A room, as one member sees it."""

    id: Id
    kind: Literal["direct", "group"]
    name: str | None
    display_name: str
    avatar_url: str | None
    members: list[Member]
    member_count: int
    last_message: Message | None
    last_seq: int
    rev: int
    notice: Message | None = None
    me: MyMembership
    created_at: Timestamp
