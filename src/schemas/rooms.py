"""Rooms (contract §4)."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    RootModel,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from .common import Id, Moment, PageQuery, Query, Request, RoomName, Timestamp, View
from .links import Link
from .messages import Message
from .people import Kept, User

M = TypeVar("M", bound=BaseModel)
MAX_NAMED = 1_000

Role = Literal["owner", "admin", "member"]


class DirectRoomDraft(Request):
    """The one room of me and somebody else."""

    kind: Literal["direct"]
    user_id: Id


class GroupDraft(Request):
    """A new group of me and friends of mine. Without a name it shows its members' names."""

    kind: Literal["group"]
    name: RoomName | None = None
    member_ids: Annotated[list[Id], Field(max_length=MAX_NAMED)]


class RoomDraft(RootModel[Annotated[DirectRoomDraft | GroupDraft, Field(discriminator="kind")]]):
    """A direct room or a group, as `kind` says."""

    @model_validator(mode="wrap")
    @classmethod
    def _say_which_field(cls, given: Any, check: ModelWrapValidatorHandler["RoomDraft"]) -> "RoomDraft":
        """Pydantic puts the kind before each field's name, where a client looks for the field."""
        try:
            return check(given)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [_of_field(each) for each in error.errors()]
            ) from None


def _of_field(entry: Any) -> InitErrorDetails:
    kind = PydanticCustomError(entry["type"], "{message}", {"message": entry["msg"]})
    return InitErrorDetails(type=kind, loc=entry["loc"][1:] or ("kind",), input=None)


def _something_given(model: M) -> M:
    if not model.model_fields_set:
        raise PydanticCustomError("nothing_given", "say what to change")
    return model


class RoomPatch(Request):
    """What changes for everybody; what is absent stays, null takes it away. `notice_id`: a message of this room."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: RoomName | None = None
    notice_id: Id | None = None

    _given = model_validator(mode="after")(_something_given)


class MembershipPatch(Request):
    """What changes for me alone; what is absent stays. Muted until a time that has passed, or null, is not muted.

    `alias`: my own name for the room; null takes it away.
    """

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    muted_until: Moment | None = None
    pinned: Kept[bool] = None
    alias: RoomName | None = None

    _given = model_validator(mode="after")(_something_given)


class Invitation(Request):
    """Friends of mine, to be members from now on."""

    user_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_NAMED)]


class RolePatch(Request):
    """`owner` hands the group over: I am an admin from then on."""

    role: Role


class LeaveRoom(Request):
    """`quiet`: no line in the history says so."""

    quiet: bool = False


class RoomsQuery(PageQuery):
    """`q`: a part of the room's name, of my alias for it or of a member's nickname, or their initial consonants."""

    q: Query | None = None


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
    avatar_url: Link | None
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
