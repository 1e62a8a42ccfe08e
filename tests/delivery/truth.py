"""What is stored at the end, read from the tables themselves, past all code of the service."""

import asyncio
import contextlib
import json
import sqlite3
from collections import defaultdict
from typing import Any
from uuid import UUID

import asyncpg

from .history import Line, Membership, StoredRoom, Truth
from .stage import Stage

Rows = list[dict[str, Any]]
TABLES = {
    "rooms": "SELECT id, kind, name, rev, last_seq FROM rooms",
    "members": "SELECT room_id, user_id, first_seq, read_seq FROM members",
    "messages": (
        "SELECT id, room_id, seq, rev, kind, sender_id, client_id, text, deleted_at, edited_at, system"
        " FROM messages ORDER BY room_id, seq"
    ),
    "reactions": "SELECT message_id, emoji, user_id FROM reactions",
}


async def read(stage: Stage) -> Truth:
    """All rooms. Raises RuntimeError if SQLite finds its file broken."""
    tables = await _postgres(stage.postgres.url) if stage.postgres else await asyncio.to_thread(_sqlite, stage)
    return assemble(tables)


def assemble(tables: dict[str, Rows]) -> Truth:
    """The rows of the tables as rooms."""
    given: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in tables["reactions"]:
        given[_id(row["message_id"])][row["emoji"]].add(_id(row["user_id"]))
    truth = {
        _id(row["id"]): StoredRoom(row["kind"], row["name"], row["rev"], row["last_seq"], [], {})
        for row in tables["rooms"]
    }
    for row in tables["members"]:
        member = Membership(row["first_seq"], row["read_seq"])
        truth[_id(row["room_id"])].members[_id(row["user_id"])] = member
    for row in tables["messages"]:
        truth[_id(row["room_id"])].lines.append(_line(row, given[_id(row["id"])]))
    return truth


def _line(row: dict[str, Any], reactions: dict[str, set[str]]) -> Line:
    system = json.loads(row["system"]) if isinstance(row["system"], str) else row["system"]
    return Line(
        id=_id(row["id"]),
        seq=row["seq"],
        rev=row["rev"],
        kind=row["kind"],
        sender=row["sender_id"] and _id(row["sender_id"]),
        client_id=row["client_id"] and _id(row["client_id"]),
        text=row["text"],
        deleted=row["deleted_at"] is not None,
        edited=row["edited_at"] is not None,
        reactions=frozenset((emoji, frozenset(people)) for emoji, people in reactions.items()),
        system=system and (system["type"], system["actor"], frozenset(system["targets"])),
    )


def _id(value: Any) -> str:
    return str(UUID(str(value)))


async def _postgres(url: str) -> dict[str, Rows]:
    connection = await asyncpg.connect(url)
    try:
        return {name: [dict(row) for row in await connection.fetch(sql)] for name, sql in TABLES.items()}
    finally:
        await connection.close()


def _sqlite(stage: Stage) -> dict[str, Rows]:
    with contextlib.closing(sqlite3.connect(stage.file)) as connection:
        connection.row_factory = sqlite3.Row
        verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise RuntimeError(f"SQLite finds its file broken: {verdict}")
        return {name: [dict(row) for row in connection.execute(sql)] for name, sql in TABLES.items()}
