"""Rooms (contract §4)."""

from typing import Any, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

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


class RoomChange(View):
    """What changed of a room, alike for every member; what did not change is left out."""

    room_id: Id
    rev: int
    name: str | None = None
    notice: Message | None = None
    member_count: int | None = None
    joined: list[Member] | None = None
    left: list[Id] | None = None
    roles: dict[Id, Role] | None = None

    @model_serializer(mode="wrap")
    def _only_what_changed(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}


class RoomSettings(View):
    """What I have set for a room, for my own devices."""

    room_id: Id
    me: MyMembership


class RoomRemoved(View):
    """I am no longer in a room, or a direct room has left my list."""

    room_id: Id


class RoomRead(View):
    """Somebody has read up to a line."""

    room_id: Id
    user_id: Id
    read_seq: int


class RoomHead(View):
    """The highest `rev` of a room: who holds less has missed something."""

    room_id: Id
    rev: int


class Typing(View):
    """Somebody writes, or no longer."""

    room_id: Id
    user_id: Id
    on: bool
