"""The search index on SQLite: FTS5 without content, so that what goes is named as it came."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, TextualSelect, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import bigrams
from .rows import Row
from .search_rows import MAX_NUMBER, Findable, Wanted, tokens

_NUMBER = "INSERT INTO search_lines (message_id, room_id, seq) VALUES (:id, :room_id, :seq)"
_INDEX = "INSERT INTO search_index (rowid, grams) SELECT number, :grams FROM search_lines WHERE message_id = :id"
_TAKE_OUT = (
    "INSERT INTO search_index (search_index, rowid, grams)"
    " SELECT 'delete', number, :grams FROM search_lines WHERE message_id = :id"
)
_FORGET = "DELETE FROM search_lines WHERE message_id = :id"

ADD = (_NUMBER, _INDEX)
"""What adds lines, one statement after the other; each takes `parameters`."""


def parameters(line: Findable) -> dict[str, Any]:
    return {"id": line.message_id.hex, "room_id": line.room_id.hex, "seq": line.seq, "grams": tokens(line)}


async def change(connection: AsyncConnection, line: Findable, new_text: str) -> None:
    for statement, version in ((_TAKE_OUT, line), (_INDEX, line._replace(text=new_text))):
        await connection.execute(text(statement), parameters(version))


async def forget(connection: AsyncConnection, lines: Sequence[Findable]) -> None:
    values = [parameters(line) for line in lines]
    for statement in (_TAKE_OUT, _FORGET):
        await connection.execute(text(statement), values)


def match(wanted: str, room_ids: Sequence[UUID], sender_id: UUID | None) -> str:
    """The query in FTS5's language. What people typed stands in quotes, and no word of theirs has one."""
    asked = [f'"{" ".join(phrase.grams)}"{" *" if phrase.prefix else ""}' for phrase in bigrams.phrases(wanted)]
    if sender_id:
        asked.append(f'"{bigrams.sender_mark(sender_id)}"')
    if room_ids:
        asked.append("(" + " OR ".join(f'"{bigrams.room_mark(room_id)}"' for room_id in room_ids) + ")")
    return " AND ".join(asked)


async def hits(connection: AsyncConnection, user_id: UUID, wanted: Wanted, room_ids: Sequence[UUID]) -> Sequence[Row]:
    """Numbers and ids of lines that match, the latest first, one more than `wanted.limit`.

    FTS5 hands out its matches by descending number, so that it stops when the page is full.
    """
    given = {
        "asked": match(wanted.text, room_ids, wanted.sender_id),
        "me": user_id.hex,
        "before": wanted.before or MAX_NUMBER,
        "limit": wanted.limit + 1,
    }
    return (await connection.execute(statement(wanted), given | wanted.sent())).all()


def statement(wanted: Wanted) -> TextualSelect:
    of_messages = "CROSS JOIN messages x ON x.id = l.message_id" if wanted.sent() else ""
    found = text(
        f"""
        SELECT l.number, l.message_id FROM search_index i
        CROSS JOIN search_lines l ON l.number = i.rowid
        CROSS JOIN members m ON m.room_id = l.room_id AND m.user_id = :me AND m.first_seq <= l.seq
        {of_messages}
        WHERE i.search_index MATCH :asked AND i.rowid < :before {wanted.conditions()}
        ORDER BY i.rowid DESC LIMIT :limit
        """  # noqa: S608 - of our own words alone
    )
    return found.bindparams(*wanted.types()).columns(number=BigInteger(), message_id=Uuid())
