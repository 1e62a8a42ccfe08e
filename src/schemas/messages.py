"""Messages (contract §5)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from .common import Id, Request, Seq, Timestamp, View, nfc, visible
from .people import User

MAX_TEXT = 5_000


def _body(value: Any) -> Any:
    value = nfc(value)
    return value.strip() if isinstance(value, str) else value


MessageText = Annotated[
    str,
    BeforeValidator(_body),
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    AfterValidator(visible),
]


class MessageDraft(Request):
    """What is sent. `client_id` is made once per draft and is the message's idempotency key for ever."""

    client_id: Id
    text: MessageText


class SendMessage(MessageDraft):
    """The same over a socket, where no path names the room."""

    room_id: Id


class Message(View):
    """One line of a room. A deleted one keeps its place as a tombstone without content."""

    id: Id
    room_id: Id
    seq: int
    rev: int
    kind: Literal["text", "image", "file", "system"]
    sender: User | None
    text: str | None
    files: list[Any] = Field(default_factory=list)
    reply_to: Any | None = None
    mentions: list[Id] = Field(default_factory=list)
    reactions: list[Any] = Field(default_factory=list)
    client_id: Id | None
    system: dict[str, Any] | None = None
    created_at: Timestamp
    edited_at: Timestamp | None = None
    deleted_at: Timestamp | None = None


class Sent(View):
    """The answer to a send; `replayed` when this `client_id` was stored before, and nothing was stored now."""

    message: Message
    replayed: bool


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
