"""What people were told of their files, and what the database says of them: read without the service's help."""

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

import asyncpg

AVATAR_SIZES = (64, 192, 512)
_SIZES = (
    "SELECT key, size FROM files UNION ALL SELECT thumbnail_key, thumbnail_size FROM files"
    " WHERE thumbnail_key IS NOT NULL UNION ALL SELECT key, size FROM upload_parts"
)
_ORDERS = "SELECT payload FROM outbox WHERE kind = 'remove_objects'"
_HURRY = "UPDATE outbox SET due_at = created_at WHERE kind = 'remove_objects'"


@dataclass
class Known:
    """A file of which somebody was told. `digest`: of what it answers, once that is known.

    `gone`: True once its deletion was acknowledged, None while nobody knows whether it was done.
    """

    id: str
    size: int
    digest: str | None
    gone: bool | None = False
    message_id: str | None = None
    width: int | None = None


@dataclass
class Truth:
    """What is known of each file, by its id."""

    files: dict[str, Known] = field(default_factory=dict)

    def told(self, view: dict[str, Any], data: bytes | None) -> Known:
        """Somebody was answered this file; `data` is what they sent, where it is kept as it is."""
        known = Known(view["id"], view["size"], data and hashlib.sha256(data).hexdigest(), width=view["width"])
        self.files[known.id] = known
        return known

    @property
    def deletable(self) -> list[str]:
        """Messages that nobody has tried to delete."""
        return sorted({each.message_id for each in self.files.values() if each.message_id and each.gone is False})

    def deleting(self, message_id: str, gone: bool | None) -> None:
        for each in self.files.values():
            if each.message_id == message_id:
                each.gone = gone


@dataclass
class Evidence:
    """`sizes`: of the objects that rows name; `to_be_removed`: keys that the outbox names, in `orders` orders."""

    url: str
    sizes: dict[str, int]
    to_be_removed: set[str]
    orders: int

    async def hurry(self) -> None:
        """Let all that is to be removed be due."""
        await _execute(self.url, _HURRY)


async def evidence(url: str) -> Evidence:
    sizes = dict(await _execute(url, _SIZES))
    orders = [payload for (payload,) in await _execute(url, _ORDERS)]
    named = {key for payload in orders for key in _read(payload).get("keys", ())}
    return Evidence(url, sizes, named, len(orders))


def _read(payload: Any) -> dict[str, Any]:
    return json.loads(payload) if isinstance(payload, str) else payload


async def _execute(url: str, statement: str) -> list[Any]:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.partition(":///")[2], timeout=30) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows
    postgres = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await postgres.fetch(statement)]
    finally:
        await postgres.close()
