"""Sending: a line is stored once, numbered under its room's lock, and announced (contract §5)."""

from collections.abc import Sequence
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.message_views import message_views
from ..db.repositories import Repositories
from ..db.room_views import partner_of
from ..db.rows import Row
from ..errors import Blocked, Gone, NotFound
from ..events import MessageSent, RoomAdded
from ..schemas.messages import Message, MessageDraft, Sent
from .rooms import room_as_seen_by


class Sending:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def send(self, author_id: UUID, room_id: UUID, draft: MessageDraft, origin: str | None = None) -> Sent:
        """Store a line and tell the room; stored once per `client_id` for ever, a repeat answers the original.

        `origin` is the connection that asked: it gets the answer and no echo. Raises NotFound for who is not in the
        room, Blocked and Gone where the partner of a direct room cannot be written to.
        """
        async with self._database.transaction() as tx:
            room = await tx.rooms.joined_by_and_locked(author_id, room_id)
            if room is None:
                raise NotFound
            original = await tx.messages.by_client_id(room_id, author_id, draft.client_id)
            if original is not None:
                return Sent(message=await _seen(tx, original, room), replayed=True)
            members = await tx.members.everybody(room_id)
            await self._refuse_unreachable(tx, author_id, members)
            message = await self._store(tx, author_id, room, draft)
            await self._list_for_all(tx, room_id, members)
            tx.announce(MessageSent(frozenset(row.id for row in members), message, origin))
            return Sent(message=message, replayed=False)

    async def _refuse_unreachable(self, tx: Transaction, author_id: UUID, members: Sequence[Row]) -> None:
        partner = partner_of(members, author_id)
        if await tx.blocks.between(author_id, partner.id):
            raise Blocked
        if partner.deleted_at is not None:
            raise Gone("This person has deleted their account.")

    async def _store(self, tx: Transaction, author_id: UUID, room: Row, draft: MessageDraft) -> Message:
        at = now()
        line = await tx.rooms.next_line(room.id, at, unread=True)
        await tx.messages.add(
            id=new_id(),
            room_id=room.id,
            seq=line.last_seq,
            rev=line.rev,
            ordinal=line.last_ordinal,
            kind="text",
            sender_id=author_id,
            client_id=draft.client_id,
            text=draft.text,
            created_at=at,
        )
        await tx.members.set_read(room.id, author_id, line.last_seq, line.last_ordinal)
        (row,) = await tx.messages.at([(room.id, line.last_seq)])
        return await _seen(tx, row, room)

    async def _list_for_all(self, tx: Transaction, room_id: UUID, members: Sequence[Row]) -> None:
        """A direct room comes into the list of whoever has it not, with its first message."""
        unlisted = [row.id for row in members if row.listed_at is None]
        if unlisted:
            await tx.rooms.list_for(room_id, unlisted, now())
        for user_id in unlisted:
            tx.announce(RoomAdded(frozenset({user_id}), await room_as_seen_by(tx, user_id, room_id)))


async def _seen(reads: Repositories, row: Row, room: Row) -> Message:
    (message,) = await message_views(reads, [row], {room.id: room.first_seq})
    return message
