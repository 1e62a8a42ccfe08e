"""Blocks: both ways, everywhere, and told to nobody (contract §3, §9)."""

from datetime import datetime
from uuid import UUID

from ..clock import now
from ..db import cursors
from ..db.database import Database
from ..db.relationships import announce_standing
from ..db.views import user_view
from ..errors import FieldError, Invalid, NotFound
from ..events import NotificationsSettled
from ..schemas.common import Page, PageQuery
from ..schemas.people import Block
from .notices import settle
from .presence import hide_from_each_other, show_each_other


class Blocks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_blocks(self, viewer_id: UUID, query: PageQuery) -> Page[Block]:
        """Whom I have blocked, the newest first. Raises Invalid for a cursor that was not given out."""
        before = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            rows = await reads.blocks.list_of(viewer_id, before, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.created_at, row.id))
        items = [Block(user=user_view(row), created_at=row.created_at) for row in rows]
        return Page(items=items, next_cursor=following)

    async def block(self, viewer_id: UUID, user_id: UUID) -> None:
        """Block somebody; a friendship or a request between the two ends, which looks to them like unfriending.

        Raises NotFound for nobody, Invalid for oneself.
        """
        if viewer_id == user_id:
            raise Invalid(errors=[FieldError("user_id", "oneself", "must be somebody else")])
        async with self._database.transaction() as tx:
            pair = await tx.people.lock_pair(viewer_id, user_id)
            if not pair:
                raise NotFound
            await hide_from_each_other(tx, frozenset(pair))
            if not await tx.blocks.add(viewer_id, user_id, now()):
                return
            await tx.rooms.change_roster_of_pair(pair)
            if await tx.friendships.between(viewer_id, user_id):
                await tx.friendships.remove(viewer_id, user_id)
                settle(tx, await tx.notifications.remove_between(pair))
                announce_standing(tx, pair, user_id, "none")
            tx.announce(NotificationsSettled(frozenset({viewer_id}), None))
            announce_standing(tx, pair, viewer_id, "blocked")

    async def unblock(self, viewer_id: UUID, user_id: UUID) -> None:
        """Take a block back; without one nothing changes. Raises NotFound for nobody."""
        async with self._database.transaction() as tx:
            pair = await tx.people.lock_pair(viewer_id, user_id)
            removed = await tx.blocks.remove(viewer_id, user_id)
            if removed:
                await tx.rooms.change_roster_of_pair((viewer_id, user_id))
            if pair and removed:
                announce_standing(tx, pair, viewer_id, "none")
                await show_each_other(tx, frozenset(pair))
                tx.announce(NotificationsSettled(frozenset({viewer_id}), None))
            if not pair and not removed:
                raise NotFound
