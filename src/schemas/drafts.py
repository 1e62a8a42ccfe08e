"""What people send to be a message, or to change one (contract §5)."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from .common import Id, Request, nfc, visible

MAX_TEXT = 5_000
MAX_MENTIONS = 50
MAX_EMOJIS = 20
MAX_FILES = 10


def _body(value: Any) -> Any:
    value = nfc(value)
    return value.strip() if isinstance(value, str) else value


MessageText = Annotated[
    str,
    BeforeValidator(_body),
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    AfterValidator(visible),
]


DraftText = Annotated[str, BeforeValidator(_body), StringConstraints(max_length=MAX_TEXT)] | None


def _text_or_files(schema: dict[str, Any]) -> None:
    """What the validators demand, in JSON Schema's words."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    files = {"type": "array", "minItems": 1}
    schema["anyOf"] = [
        {"required": ["text"], "properties": {"text": text}},
        {"required": ["file_ids"], "properties": {"file_ids": files}},
    ]


def _one_emoji(value: str) -> str:
    from ..emojis import qualified  # at the first reaction rather than at every start

    emoji = qualified(value)
    if emoji is None:
        raise PydanticCustomError("emoji", "must be one emoji")
    return emoji


Emoji = Annotated[
    str,
    BeforeValidator(nfc),
    StringConstraints(min_length=1, max_length=32),
    AfterValidator(_one_emoji),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 32, "examples": ["👍", "❤️"]}),
]
"""Exactly one, in the spelling that Unicode calls fully qualified: ❤ and ❤️ are one reaction."""


class MessageDraft(Request):
    """What is sent. `client_id` is made once per draft and is the message's idempotency key for ever.

    It has a text, or files, or both. `file_ids`: files that I have uploaded into this room, in the order in which they
    are shown. `reply_to`: a message of the same room. `mentions`: members of the room.
    """

    model_config = ConfigDict(json_schema_extra=_text_or_files)

    client_id: Id
    file_ids: Annotated[list[Id], Field(max_length=MAX_FILES)] = Field(default_factory=list)
    text: DraftText = Field(default=None, validate_default=True)
    reply_to: Id | None = None
    mentions: Annotated[list[Id], Field(max_length=MAX_MENTIONS)] = Field(default_factory=list)

    @field_validator("file_ids")
    @classmethod
    def _each_once(cls, value: list[Id]) -> list[Id]:
        if len({*value}) != len(value):
            raise PydanticCustomError("repeated", "must name each file once")
        return value

    @field_validator("text")
    @classmethod
    def _or_files(cls, value: str | None, info: ValidationInfo) -> str | None:
        """A text that is blank is none; then there must be files, which stand before it for that."""
        if value:
            return visible(value)
        if not info.data.get("file_ids", True):  # where those are faulty, they alone are told of
            raise PydanticCustomError("string_too_short", "must have at least 1 character, or send files")
        return None


class SendMessage(MessageDraft):
    """The same over a socket, where no path names the room."""

    room_id: Id


class MessageEdit(Request):
    text: MessageText


class EditMessage(MessageEdit):
    """The same over a socket, where no path names the message."""

    message_id: Id


class DeleteMessage(Request):
    message_id: Id


class ReactToMessage(Request):
    """Put my reaction to a message, or take it back."""

    message_id: Id
    emoji: Emoji
    on: bool
