"""How far somebody has read (contract §4, §7)."""

from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.repositories import Repositories
from ..db.rows import Row
from ..errors import NotFound
from ..events import RoomWasRead
from ..schemas.realtime import ReadState
from ..schemas.rooms import RoomRead
from .notices import settle
from .push_closing import close_pushed


class Cursors:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark_read(self, user_id: UUID, room_id: UUID, seq: int) -> ReadState:
        """Move my cursor to `seq`, or to the end if that comes first; never back. What is unread then.

        A cursor that moves is announced to the room. Raises NotFound for who is not in it.
        """
        async with self._database.single_read() as reads:
            mine = await reads.rooms.joined_by(user_id, room_id)
        if mine is None:
            raise NotFound
        seq = min(seq, mine.last_seq)
        if seq <= mine.read_seq or seq < mine.first_seq:
            async with self._database.single_read() as reads:
                unread = await reads.notifications.has_unread_in(user_id, room_id, seq)
            if not unread:
                async with self._database.single_read() as reads:
                    return await _state(reads, user_id, room_id)
        async with self._database.transaction() as tx:
            moved = await tx.cursors.move(room_id, user_id, seq, at := now())
            read = await tx.notifications.read_in(user_id, room_id, seq, at)
            settle(tx, {user_id: read | {room_id} if moved else read})
            await close_pushed(tx, user_id, *(read | {room_id} if moved else read))
            state = await _state(tx, user_id, room_id)
            if moved:  # who hears is asked last: whoever is removed before that hears no more
                told = RoomRead(room_id=room_id, user_id=user_id, read_seq=seq)
                tx.announce(RoomWasRead(await _hearers(tx, mine), told))
            return state


async def _hearers(tx: Transaction, mine: Row) -> frozenset[UUID]:
    """Who hears how far I have read; across a block only I."""
    if mine.kind == "direct" and await tx.blocks.between(mine.low_id, mine.high_id):
        return frozenset({mine.user_id})
    return await tx.members.hearing(mine.id)


async def _state(reads: Repositories, user_id: UUID, room_id: UUID) -> ReadState:
    row = await reads.cursors.state_of(user_id, room_id)
    if row is None:
        raise NotFound
    return ReadState(read_seq=row.read_seq, unread_count=row.unread_count, unread_total=row.unread_total)
