"""Messages: reading the history, and who has read (contract §5)."""

from uuid import UUID

from ..db.database import Database
from ..db.message_views import message_views
from ..db.read_times import read_at
from ..db.rows import Row
from ..db.views import user_view
from ..errors import NotFound
from ..schemas.common import Items
from ..schemas.messages import History, HistoryQuery, Message, Receipt
from .lines import readable


class Messages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, user_id: UUID, room_id: UUID, query: HistoryQuery) -> History:
        """Lines of a room of mine around a position, ascending; without one, the latest. Raises NotFound."""
        async with self._database.snapshot() as reads:
            room = await reads.rooms.joined_by(user_id, room_id)
            if room is None:
                raise NotFound
            before, after = _wanted(query)
            position = _position(query, room)
            rows = []
            if before:
                rows += await reads.messages.before(room_id, position + 1, room.first_seq, before)
            if after:
                rows += await reads.messages.after(room_id, position, room.first_seq, after)
            items = await message_views(reads, rows, {room_id: room.first_seq})
            return _history(items, position, room)

    async def receipts(self, user_id: UUID, message_id: UUID) -> Items[Receipt]:
        """Who but the sender has read a message, and when; the earliest first. Raises NotFound for what I may not read.

        Who joined after it is not among them.
        """
        async with self._database.snapshot() as reads:
            line, _ = await readable(reads, user_id, message_id)
            receipts = [_receipt(row, line) for row in await reads.messages.readers_of(line)]
        return Items(items=sorted(receipts, key=lambda receipt: (receipt.read_at, receipt.user.id)))


def _receipt(reader: Row, line: Row) -> Receipt:
    return Receipt(user=user_view(reader), read_at=read_at(reader, line))


def _position(query: HistoryQuery, room: Row) -> int:
    """The last line that counts as before: the page is cut there. Of the lines to be read, or just before them."""
    wanted = room.last_seq
    if query.before_seq is not None:
        wanted = query.before_seq - 1
    elif query.after_seq is not None:
        wanted = query.after_seq
    elif query.around_seq is not None:
        wanted = query.around_seq
    return int(max(room.first_seq - 1, min(wanted, room.last_seq)))


def _wanted(query: HistoryQuery) -> tuple[int, int]:
    """How many lines up to the position and how many after it."""
    if query.after_seq is not None:
        return 0, query.limit
    if query.around_seq is not None:
        return (query.limit + 1) // 2, query.limit // 2
    return query.limit, 0


def _history(items: list[Message], position: int, room: Row) -> History:
    first = items[0].seq if items else position + 1
    last = items[-1].seq if items else position
    return History(items=items, has_before=first > room.first_seq, has_after=last < room.last_seq)
