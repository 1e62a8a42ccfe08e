"""The JSON that a service worker gets (docs/decisions/0018-web-push.md). Pure."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import orjson

from ..db.excerpts import excerpt
from ..push.sender import MAX_PAYLOAD
from ..schemas.common import rfc3339
from ..schemas.links import Reader
from .push_matters import Matter, Person
from .push_texts import hidden, written

_SHORTER: Final = (256, 128, 64, 32, 16)
"""Characters of title and body, where more are too many bytes."""


def notification(
    matter: Matter, person: Person, reader: Reader, unread_total: int, read_tags: Sequence[str] = ()
) -> bytes:
    """To be shown, in place of an earlier one of the same tag. `read_tags`: to be closed by the way."""
    text = (hidden if person.hides_content else written)(matter.told, person.language)
    payload: dict[str, Any] = {
        "type": "notification",
        "tag": str(matter.tag),
        "kind": matter.told.kind,
        "title": text.title,
        "body": text.body,
        "count": matter.told.messages,
        "unread_total": unread_total,
        "room_id": matter.room_id and str(matter.room_id),
        "message_id": matter.message_id and str(matter.message_id),
        "created_at": rfc3339(matter.created_at),
        "url": f"/rooms/{matter.room_id}" if matter.room_id else "/friends",
        "language": person.language,
    }
    if matter.actor and not person.hides_content:
        avatar = matter.actor.avatar_url
        payload["actor"] = {
            "id": str(matter.actor.id),
            "nickname": matter.actor.nickname,
            "avatar_url": avatar and avatar.written(reader),
        }
    if read_tags:
        payload["read_tags"] = list(read_tags)
    return _fitted(payload)


def closing(tag: UUID, unread_total: int) -> bytes:
    """What is shown of this tag was read elsewhere."""
    return orjson.dumps({"type": "read", "tags": [str(tag)], "unread_total": unread_total})


def _fitted(payload: dict[str, Any]) -> bytes:
    """As JSON that every push service takes: first without what is least needed, then with less of the text."""
    encoded = orjson.dumps(payload)
    for name in ("read_tags", "actor"):
        if len(encoded) > MAX_PAYLOAD and payload.pop(name, None):
            encoded = orjson.dumps(payload)
    for most in _SHORTER:
        if len(encoded) <= MAX_PAYLOAD:
            break
        encoded = orjson.dumps(payload | {name: excerpt(payload[name], most) for name in ("title", "body")})
    return encoded
