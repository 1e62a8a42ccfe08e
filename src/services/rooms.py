"""Rooms: opening one with somebody, and looking at it (contract §4)."""

from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.repositories import Repositories
from ..db.room_views import room_views
from ..errors import Blocked, Invalid, NotFound
from ..events import RoomAdded
from ..schemas.rooms import Room


class Rooms:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_direct(self, user_id: UUID, other_id: UUID) -> tuple[Room, bool]:
        """The one room of these two, made if need be; True if it was.

        The other one sees it with its first message. Raises NotFound for nobody, Blocked if they have blocked
        this person, Invalid for oneself.
        """
        if user_id == other_id:
            raise Invalid("You cannot open a room with yourself.")
        low_id, high_id = sorted((user_id, other_id))
        async with self._database.transaction() as tx:
            if not await tx.people.lock_pair(user_id, other_id):
                raise NotFound
            if await tx.blocks.has(other_id, user_id):
                raise Blocked
            made = await tx.rooms.add_direct(new_id(), low_id, high_id, now())
            room_id = await tx.rooms.direct_room_of(low_id, high_id)
            return await self._listed(tx, user_id, room_id), made

    async def one(self, user_id: UUID, room_id: UUID) -> Room:
        """A room of mine. Raises NotFound for anybody else's."""
        async with self._database.snapshot() as reads:
            return await room_as_seen_by(reads, user_id, room_id)

    async def _listed(self, tx: Transaction, user_id: UUID, room_id: UUID) -> Room:
        """The room, in this person's list from now on; announced to their devices if it was not."""
        mine = await tx.rooms.joined_by(user_id, room_id)
        if mine is not None and mine.listed_at is None:
            await tx.rooms.list_for(room_id, [user_id], now())
            room = await room_as_seen_by(tx, user_id, room_id)
            tx.announce(RoomAdded(frozenset({user_id}), room))
            return room
        return await room_as_seen_by(tx, user_id, room_id)


async def room_as_seen_by(reads: Repositories, user_id: UUID, room_id: UUID) -> Room:
    """The room with its members and its last line, as this member sees it. Raises NotFound for who is not in it."""
    mine = await reads.rooms.joined_by(user_id, room_id)
    if mine is None:
        raise NotFound
    (room,) = await room_views(reads, [mine])
    return room
