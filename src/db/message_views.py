"""Lines as a member sees them: with senders, quotations, reactions and files, gathered for a whole page at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from ..schemas.files import File
from ..schemas.messages import Message, Reaction, ReplyTo, SystemLine
from ..schemas.people import User
from .file_views import files_of
from .repositories import Repositories
from .rows import Row
from .views import user_view

Places = Mapping[tuple[UUID, int], Row]

_WITH_FILES = ("image", "file")


async def message_views(
    reads: Repositories, rows: Sequence[Row], first_seq: Mapping[UUID, int], known: Mapping[UUID, User] | None = None
) -> list[Message]:
    """These lines, in their order, for somebody who may read each room from `first_seq[room_id]` on.

    The lines themselves are the caller's to choose; what they quote is shown only if it may be read. `known`: people
    who need not be read again.
    """
    quoted = await _quoted(reads, rows, first_seq)
    people = dict(known or {})
    shown = await reads.people.shown(_people_in([*rows, *quoted.values()]) - people.keys())
    people |= {user_id: user_view(row) for user_id, row in shown.items()}
    reactions = await _reactions(reads, [row.id for row in rows if row.deleted_at is None and row.system is None])
    files = await files_of(reads, [row.id for row in rows if row.deleted_at is None and row.kind in _WITH_FILES])
    return [_message(row, people, quoted, reactions.get(row.id, []), files.get(row.id, [])) for row in rows]


async def _quoted(reads: Repositories, rows: Sequence[Row], first_seq: Mapping[UUID, int]) -> Places:
    places = {
        (row.room_id, row.reply_to_seq)
        for row in rows
        if row.reply_to_seq is not None and row.reply_to_seq >= first_seq[row.room_id]
    }
    return {(row.room_id, row.seq): row for row in await reads.messages.at(places)}


def _people_in(rows: Iterable[Row]) -> set[UUID]:
    ids = set()
    for row in rows:
        if row.sender_id:
            ids.add(row.sender_id)
        if row.system:
            ids.update(UUID(each) for each in [row.system["actor"], *row.system["targets"]] if each)
    return ids


async def _reactions(reads: Repositories, message_ids: list[UUID]) -> dict[UUID, list[Reaction]]:
    named: defaultdict[UUID, dict[str, Reaction]] = defaultdict(dict)
    for row in await reads.reactions.named_of(message_ids):
        reaction = named[row.message_id].setdefault(row.emoji, Reaction(emoji=row.emoji, count=row.count, user_ids=[]))
        reaction.user_ids.append(row.user_id)
    return {message_id: [*by_emoji.values()] for message_id, by_emoji in named.items()}


def _message(
    row: Row, people: Mapping[UUID, User], quoted: Places, reactions: list[Reaction], files: list[File]
) -> Message:
    reply = quoted.get((row.room_id, row.reply_to_seq)) if row.reply_to_seq else None
    return Message(
        id=row.id,
        room_id=row.room_id,
        seq=row.seq,
        rev=row.rev,
        kind=row.kind,
        sender=people.get(row.sender_id),
        text=row.text,
        files=files,
        reply_to=_reply_to(reply, people) if reply else None,
        mentions=row.mentions or [],
        reactions=reactions,
        client_id=row.client_id,
        system=_system(row.system, people) if row.system else None,
        created_at=row.created_at,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )


def _reply_to(row: Row, people: Mapping[UUID, User]) -> ReplyTo:
    return ReplyTo(id=row.id, seq=row.seq, sender=people.get(row.sender_id), text=row.text)


def _system(stored: Mapping[str, Any], people: Mapping[UUID, User]) -> SystemLine:
    """`stored` is `{"type", "actor": id | None, "targets": [id], "name"?, "seq"?}`."""
    return SystemLine(
        type=stored["type"],
        actor=people.get(UUID(stored["actor"])) if stored["actor"] else None,
        targets=[people[UUID(each)] for each in stored["targets"]],
        name=stored.get("name"),
        seq=stored.get("seq"),
    )
