"""Messages, as they are shown (contract §5). What is sent is in drafts.py."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from .common import Seq, Timestamp, View, rfc3339
from .files import File
from .links import Link, Reader
from .people import User

SystemType = Literal["created", "joined", "left", "removed", "renamed", "notice_set", "notice_cleared"]


class ReplyTo(View):
    """What is quoted. `text` is null when it was deleted."""

    id: UUID
    seq: int
    sender: User | None
    text: str | None


class Reaction(View):
    """Everybody's one emoji; `user_ids` names the first 100 of them."""

    emoji: str
    count: int
    user_ids: list[UUID]


class SystemLine(View):
    """What a line of kind `system` tells. `name`: the room's new one; `seq`: of the line that was pinned."""

    type: SystemType
    actor: User | None
    targets: list[User] = Field(default_factory=list)
    name: str | None = None
    seq: int | None = None


class Message(View):
    """One line of a room. A deleted one keeps its place as a tombstone without content.

    `reply_to` is null for who may not read what is quoted.
    """

    id: UUID
    room_id: UUID
    seq: int
    rev: int
    kind: Literal["text", "image", "file", "system"]
    sender: User | None
    text: str | None
    files: list[File] = Field(default_factory=list)
    reply_to: ReplyTo | None = None
    mentions: list[UUID] = Field(default_factory=list)
    reactions: list[Reaction] = Field(default_factory=list)
    client_id: UUID | None
    system: SystemLine | None = None
    created_at: Timestamp
    edited_at: Timestamp | None = None
    deleted_at: Timestamp | None = None

    def encoded(self, reader: Reader | None = None) -> bytes:
        """As pydantic writes it, in a third of the time: there is one of these for every message sent.

        What is alike for everybody on a service is written once, for the acknowledgement and the event.
        """
        known: bytes | None = self.__dict__.get("_json")
        if known is not None:
            return known
        writer = _Writer(reader)
        json = orjson.dumps(self.__dict__, default=writer.plain, option=_PASSED_ON)
        if writer.alike:
            self.__dict__["_json"] = json
        return json

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_json", None)  # it is of the original
        return copied


_PASSED_ON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


class _Writer:
    """Writes what orjson is not to write by itself, or cannot. `alike`: another reader gets the same."""

    __slots__ = ("_reader", "alike")

    def __init__(self, reader: Reader | None) -> None:
        self._reader = reader
        self.alike = True

    def plain(self, value: View | datetime | UUID | Link) -> Any:
        """A value in simpler terms; a driver's own kind of UUID is one of those that orjson cannot write."""
        if isinstance(value, View):
            return value.__dict__
        if isinstance(value, datetime):
            return rfc3339(value)
        if isinstance(value, Link):
            if self._reader is None or value.personal:
                self.alike = False
            return value.written(self._reader)
        return str(value)


class Changed(View):
    """The answer to an edit, a deletion or a reaction over a socket."""

    message: Message


class ReactionBy(View):
    """One person's reaction."""

    emoji: str
    user: User
    created_at: Timestamp


class Receipt(View):
    """Somebody who has read a message. `read_at` is when their cursor passed it."""

    user: User
    read_at: Timestamp


class Sent(View):
    """The answer to a send; `replayed` when this `client_id` was stored before, and nothing was stored now."""

    message: Message
    replayed: bool

    def encoded(self, reader: Reader | None = None) -> bytes:
        replayed = b"true" if self.replayed else b"false"
        return b'{"message":%b,"replayed":%b}' % (self.message.encoded(reader), replayed)


class HistoryQuery(BaseModel):
    """One of the three positions, or none for the latest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before_seq: Seq | None = None
    after_seq: Seq | None = None
    around_seq: Seq | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50

    @model_validator(mode="after")
    def _one_position(self) -> "HistoryQuery":
        if sum(value is not None for value in (self.before_seq, self.after_seq, self.around_seq)) > 1:
            raise PydanticCustomError("one_position", "give one of before_seq, after_seq and around_seq")
        return self


class History(View):
    """Messages, ascending by `seq`."""

    items: list[Message]
    has_before: bool
    has_after: bool
