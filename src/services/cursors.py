"""How far somebody has read (contract §4, §7)."""

from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.repositories import Repositories
from ..db.rows import Row
from ..errors import NotFound
from ..events import RoomWasRead
from ..schemas.realtime import ReadState
from ..schemas.rooms import RoomRead


class Cursors:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark_read(self, user_id: UUID, room_id: UUID, seq: int) -> ReadState:
        """Move my cursor to `seq`, or to the end if that comes first; never back. What is unread then.

        A cursor that moves is announced to the room. Raises NotFound for who is not in it.
        """
        async with self._database.single_read() as reads:
            mine = await _joined(reads, user_id, room_id)
        seq = min(seq, mine.last_seq)
        if seq <= mine.read_seq:
            async with self._database.snapshot() as reads:
                return await _state(reads, user_id, room_id)
        async with self._database.transaction() as tx:
            if await tx.cursors.move(room_id, user_id, seq, now()):
                read = RoomRead(room_id=room_id, user_id=user_id, read_seq=seq)
                tx.announce(RoomWasRead(await tx.members.hearing(room_id), read))
            return await _state(tx, user_id, room_id)


async def _joined(reads: Repositories, user_id: UUID, room_id: UUID) -> Row:
    mine = await reads.rooms.joined_by(user_id, room_id)
    if mine is None:
        raise NotFound
    return mine


async def _state(reads: Repositories, user_id: UUID, room_id: UUID) -> ReadState:
    mine = await _joined(reads, user_id, room_id)
    return ReadState(
        read_seq=mine.read_seq,
        unread_count=mine.last_ordinal - mine.read_ordinal,
        unread_total=await reads.rooms.unread_total(user_id),
    )
