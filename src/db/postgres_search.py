"""The search index on PostgreSQL: a GIN index of a tsvector, whose words are ours (no parser, no dictionary)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, TextualSelect, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from . import bigrams
from .rows import Row
from .search_rows import MAX_NUMBER, Findable, Wanted, vector

NEWEST_LOOKED_THROUGH = (2_000, 20_000)
"""So many lines are looked through one by one, the latest first: a GIN index knows no order, and would collect and
sort all lines that have a common word. A word that few of the first of them have is rare: the index is quicker."""

COMMON_FROM = 10

_CHANGE = "UPDATE search_lines SET words = CAST(:words AS tsvector) WHERE message_id = :message_id"
_HOW_MANY = """
    SELECT count(*) FROM (SELECT words FROM search_lines WHERE number < :before ORDER BY number DESC LIMIT :newest) l
    WHERE words @@ CAST(:asked AS tsquery)
"""
_FORGET = "DELETE FROM search_lines WHERE message_id = ANY(:message_ids)"
_IDS = ARRAY(Uuid())


async def change(connection: AsyncConnection, line: Findable, new_text: str) -> None:
    values = {"message_id": line.message_id, "words": vector(line._replace(text=new_text))}
    await connection.execute(text(_CHANGE).bindparams(bindparam("message_id", type_=Uuid())), values)


async def forget(connection: AsyncConnection, lines: Sequence[Findable]) -> None:
    ids = {"message_ids": [line.message_id for line in lines]}
    await connection.execute(text(_FORGET).bindparams(bindparam("message_ids", type_=_IDS)), ids)


def match(wanted: str, room_ids: Sequence[UUID], sender_id: UUID | None) -> str:
    """The query as a tsquery. What people typed stands in quotes, and no word of theirs has one."""
    asked = [_phrase(phrase) for phrase in bigrams.phrases(wanted)]
    if sender_id:
        asked.append(f"'{bigrams.sender_mark(sender_id)}'")
    if room_ids:
        asked.append("(" + " | ".join(f"'{bigrams.room_mark(room_id)}'" for room_id in room_ids) + ")")
    return " & ".join(asked)


def _phrase(phrase: bigrams.Phrase) -> str:
    if phrase.prefix:
        return f"'{phrase.grams[0]}':*"
    return "(" + " <-> ".join(f"'{gram}'" for gram in phrase.grams) + ")"


async def hits(connection: AsyncConnection, user_id: UUID, wanted: Wanted, room_ids: Sequence[UUID]) -> Sequence[Row]:
    """Numbers and ids of lines that match, the latest first, one more than `wanted.limit`.

    First the newest lines are looked through; what is not so common is found by the index.
    """
    given: dict[str, Any] = {
        "asked": match(wanted.text, (), wanted.sender_id),
        "me": user_id,
        "before": wanted.before or MAX_NUMBER,
        "limit": wanted.limit + 1,
    }
    if len(room_ids) == 1:
        given["room"] = room_ids[0]
    for newest in NEWEST_LOOKED_THROUGH[:1] if room_ids else NEWEST_LOOKED_THROUGH:  # the index knows the rooms, too
        looked_through = given | wanted.sent() | {"newest": newest}
        rows = (await connection.execute(_newest(wanted, "room" in given), looked_through)).all()
        if len(rows) > wanted.limit:
            return rows
        if room_ids or not await _is_common(connection, given):
            break
    given["asked"] = match(wanted.text, room_ids, wanted.sender_id)
    return (await connection.execute(indexed(wanted), given | wanted.sent())).all()


async def _is_common(connection: AsyncConnection, given: Mapping[str, Any]) -> bool:
    """Do more than a few of the lines that were looked through first have it, whoever may read them?"""
    asked = {"asked": given["asked"], "before": given["before"], "newest": NEWEST_LOOKED_THROUGH[0]}
    return int(await connection.scalar(text(_HOW_MANY), asked) or 0) >= COMMON_FROM


def _newest(wanted: Wanted, one_room: bool) -> TextualSelect:
    lines = f"""
        SELECT * FROM search_lines WHERE number < :before {"AND room_id = :room" if one_room else ""}
        ORDER BY number DESC LIMIT :newest
    """  # noqa: S608 - of our own words alone
    return _statement(wanted, lines, "l.words @@ CAST(:asked AS tsquery)", ("me", "room") if one_room else ("me",))


def indexed(wanted: Wanted) -> TextualSelect:
    """What the index finds, and of that what may be read.

    In this order, and not by number: the planner would rather look through all lines of a person's rooms.
    """
    lines = """
        SELECT number, message_id, room_id, seq FROM search_lines
        WHERE words @@ CAST(:asked AS tsquery) AND number + 0 < :before
    """
    return _statement(wanted, lines, "true", ("me",))


def _statement(wanted: Wanted, lines: str, condition: str, ids: Sequence[str]) -> TextualSelect:
    found = text(
        f"""
        WITH l AS MATERIALIZED ({lines})
        SELECT l.number, l.message_id FROM l
        JOIN members m ON m.room_id = l.room_id AND m.user_id = :me AND m.first_seq <= l.seq
        {"JOIN messages x ON x.id = l.message_id" if wanted.sent() else ""}
        WHERE {condition} {wanted.conditions()}
        ORDER BY l.number DESC LIMIT :limit
        """  # noqa: S608 - of our own words alone
    )
    types = [bindparam(name, type_=Uuid()) for name in ids]
    return found.bindparams(*types, *wanted.types()).columns(number=BigInteger(), message_id=Uuid())
