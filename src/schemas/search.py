"""Searching messages (contract §5, §9)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, StringConstraints

from .common import Id, Moment, PageQuery, Timestamp, View, nfc
from .people import User


def _trimmed(value: Any) -> Any:
    value = nfc(value)
    return value.strip() if isinstance(value, str) else value


class MessageSearch(PageQuery):
    """`q`: words, all of which a message has, in any order, each also as a part of a word; also in its files' names.

    `before` and `after`: when it was sent. `has`: what it shows: an image, or a file that is none.
    """

    q: Annotated[str, BeforeValidator(_trimmed), StringConstraints(min_length=1, max_length=100)]
    room_id: Id | None = None
    sender_id: Id | None = None
    has: Literal["image", "file"] | None = None
    before: Moment | None = None
    after: Moment | None = None


class Hit(View):
    """A message that was found.

    `snippet`: some of its text, or of its files' names, around the first word found, plain, for people to read.
    """

    message_id: Id
    room_id: Id
    seq: int
    snippet: str
    sender: User | None
    created_at: Timestamp
