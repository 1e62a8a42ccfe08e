"""Reactions to messages (contract §5)."""

from datetime import datetime
from uuid import UUID

from ..clock import now
from ..db import cursors
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..db.views import user_view
from ..errors import Conflict, Forbidden
from ..schemas.common import Page, PageQuery
from ..schemas.drafts import MAX_EMOJIS
from ..schemas.messages import Message, ReactionBy
from .lines import change_line, lock_readable, readable, refuse_tombstone, seen
from .notices import Notices, settle
from .rooms import refuse_across_block


class Reactions:
    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._notices = notices

    async def react(self, user_id: UUID, message_id: UUID, emoji: str, *, on: bool) -> Message:
        """Put my reaction to a message, or take it back; what is so already changes nothing.

        Raises NotFound for what I may not read, Forbidden for a system line, Gone for a deleted message, Blocked in a
        direct room across a block, Conflict for one emoji too many.
        """
        async with self._database.transaction() as tx:
            line, room = await lock_readable(tx, user_id, message_id)
            if line.system is not None:
                raise Forbidden("Nobody reacts to a line of the house's own.")
            refuse_tombstone(line)
            if await tx.reactions.has(line.id, emoji, user_id) is on:
                return await seen(tx, line, room)
            await refuse_across_block(tx, room)
            at = now()
            if on:
                await _add(tx, line, emoji, user_id, at)
                await self._tell(tx, line, emoji, user_id, at)
            else:
                await tx.reactions.remove(line.id, emoji, user_id)
                settle(tx, await tx.notifications.remove_reaction(line.id, user_id, emoji))
            return await change_line(tx, room, line, at)

    async def list_reactions(self, user_id: UUID, message_id: UUID, query: PageQuery) -> Page[ReactionBy]:
        """Who reacted how, the earliest first. Raises NotFound, and Invalid for a cursor that was not given out."""
        after = cursors.decode(query.cursor, datetime, UUID, str)
        async with self._database.snapshot() as reads:
            line, _ = await readable(reads, user_id, message_id)
            rows = await reads.reactions.page(line.id, after, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.created_at, row.id, row.emoji))
        items = [ReactionBy(emoji=row.emoji, user=user_view(row), created_at=row.created_at) for row in rows]
        return Page(items=items, next_cursor=following)

    async def _tell(self, tx: Transaction, line: Row, emoji: str, user_id: UUID, at: datetime) -> None:
        """Tell who wrote the line, unless they did it themselves."""
        if line.sender_id != user_id:
            of = {"actor_id": user_id, "room_id": line.room_id, "message_id": line.id, "seq": line.seq, "emoji": emoji}
            await self._notices.tell(tx, "reaction", [line.sender_id], at, **of)


async def _add(tx: Transaction, line: Row, emoji: str, user_id: UUID, at: datetime) -> None:
    if not await tx.reactions.has(line.id, emoji) and await tx.reactions.kinds(line.id) >= MAX_EMOJIS:
        raise Conflict(f"A message has at most {MAX_EMOJIS} different reactions.")
    await tx.reactions.add(line.id, emoji, user_id, at)
