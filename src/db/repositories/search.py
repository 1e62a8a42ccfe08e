"""Messages, found by their words: an index on each database, asked and changed alike."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import postgres_search, sqlite_search
from ..models import File, Member, MessageFile
from ..rows import Row
from ..search_models import SearchLine
from ..search_rows import Findable, Wanted, searched_text

ROOMS_NAMED = 64
"""Who is in so few rooms is searched for in these rooms; else all that matches is looked through."""


class Search:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._index = sqlite_search if connection.dialect.name == "sqlite" else postgres_search

    async def change(self, line: Row, text: str) -> None:
        """Have a line found by `text` from now on. `line`: the row of `messages` as it was."""
        names = await self._file_names([line])
        if (found := _findable(line, names)) and (new_text := searched_text(text, names.get(line.id, ()))):
            await self._index.change(self._connection, found, new_text)

    async def forget(self, lines: Sequence[Row]) -> None:
        """Have lines, rows of `messages` as they were, no longer found. Their files must still be there."""
        names = await self._file_names(lines)
        if found := [each for line in lines if (each := _findable(line, names))]:
            await self._index.forget(self._connection, found)

    async def found_by(self, user_id: UUID, wanted: Wanted, room_id: UUID | None) -> Sequence[Row]:
        """Numbers and ids of the lines that this person may read and is looking for, one more than `wanted.limit`.

        The latest first. `room_id`: only in this room.
        """
        room_ids = [room_id] if room_id else await self._rooms_of(user_id)
        if not room_ids:
            return []
        named = room_ids if len(room_ids) <= ROOMS_NAMED else []
        hits: Sequence[Row] = await self._index.hits(self._connection, user_id, wanted, named)
        return hits

    async def number_after(self, message_id: UUID) -> int:
        """The number behind all lines older than this one. Numbers count the whole service: nobody is shown one."""
        place = select(SearchLine.number, SearchLine.message_id).where(SearchLine.message_id <= message_id)
        row = (await self._connection.execute(place.order_by(SearchLine.message_id.desc()).limit(1))).one_or_none()
        if row is None:
            return 0
        return int(row.number) + int(row.message_id != message_id)

    async def _file_names(self, lines: Sequence[Row]) -> dict[UUID, list[str]]:
        ids = [line.id for line in lines if line.kind in ("image", "file")]
        names: dict[UUID, list[str]] = {}
        named = select(MessageFile.message_id, File.name).join(File, File.id == MessageFile.file_id)
        of_these = named.where(MessageFile.message_id.in_(ids)).order_by(MessageFile.message_id, MessageFile.position)
        for row in (await self._connection.execute(of_these)).all() if ids else ():
            names.setdefault(row.message_id, []).append(row.name)
        return names

    async def _rooms_of(self, user_id: UUID) -> Sequence[UUID]:
        rooms = select(Member.room_id).where(Member.user_id == user_id).limit(ROOMS_NAMED + 1)
        return (await self._connection.scalars(rooms)).all()


def _findable(line: Row, file_names: Mapping[UUID, Sequence[str]]) -> Findable | None:
    text = searched_text(line.text, file_names.get(line.id, ()))
    return None if text is None else Findable(line.id, line.room_id, line.seq, line.sender_id, text)
