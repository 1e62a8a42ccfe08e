"""Searching the messages that somebody may read (contract §5, §9)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from ..db import bigrams, cursors
from ..db.database import Database
from ..db.file_views import files_of
from ..db.rows import Row
from ..db.search_rows import Wanted, searched_text
from ..db.views import user_view
from ..errors import NotFound
from ..schemas.common import Page
from ..schemas.files import File
from ..schemas.people import User
from ..schemas.search import Hit, MessageSearch

SNIPPET, BEFORE_HIT = 100, 30

_KINDS = {"image": "image", "file": "document"}
"""What `has` asks for, as a file's kind."""


class Search:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UUID, query: MessageSearch) -> Page[Hit]:
        """Messages with all these words, in their text or in what their files are called, that this person may read.

        The latest first; none where there is no word.

        Raises NotFound for a room of others, Invalid for a cursor that was not given out.
        """
        position = cursors.decode(query.cursor, UUID)
        wanted = Wanted(
            text=query.q, sender_id=query.sender_id, kind=_KINDS.get(query.has or ""), after=query.after,
            until=query.before, limit=query.limit,
        )  # fmt: skip
        async with self._database.snapshot() as reads:
            if query.room_id and await reads.rooms.joined_by(user_id, query.room_id) is None:
                raise NotFound
            if not bigrams.words(query.q):
                return Page(items=[])
            if position:
                wanted = wanted._replace(before=await reads.search.number_after(UUID(str(position[0]))))
            found = await reads.search.found_by(user_id, wanted, query.room_id)
            found, following = cursors.cut(found, query.limit, lambda row: (row.message_id,))
            lines = await reads.messages.by_ids([each.message_id for each in found])
            files = await files_of(reads, list(lines))
            people = await reads.people.shown({line.sender_id for line in lines.values()})
        shown = {sender_id: user_view(row) for sender_id, row in people.items()}
        hits = [_hit(lines[each.message_id], files.get(each.message_id, []), shown, query.q) for each in found]
        return Page(items=hits, next_cursor=following)


def _hit(line: Row, files: Sequence[File], people: Mapping[UUID, User], query: str) -> Hit:
    text = searched_text(line.text, [file.name for file in files]) or ""
    return Hit(
        message_id=line.id,
        room_id=line.room_id,
        seq=line.seq,
        snippet=snippet(text, query),
        sender=people.get(line.sender_id),
        created_at=line.created_at,
    )


def snippet(text: str, query: str) -> str:
    """A hundred characters of `text` around the first place where a word of `query` is; … where more was."""
    begin = max(0, bigrams.first_place(text, query) - BEFORE_HIT)
    if begin + SNIPPET > len(text):
        begin = max(0, len(text) - SNIPPET)
    end = begin + SNIPPET
    cut = " ".join(text[begin:end].split())
    return f"{'…' if begin else ''}{cut}{'…' if end < len(text) else ''}"
