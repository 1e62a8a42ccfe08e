"""Friends, and the requests before them (contract §3).

Each change of how two people stand first locks both their rows: two at once happen one after the other, and mutual
requests make one friendship. An alias is one person's own column of a row that is there or not: it needs no lock.
"""

from datetime import datetime
from uuid import UUID

from ..clock import now
from ..db import cursors
from ..db.database import Database, Transaction
from ..db.relationships import Pair, announce_standing, friend_view, relationship
from ..db.views import user_view
from ..errors import Blocked, Conflict, FieldError, Invalid, NotFound
from ..schemas.common import Page, PageQuery
from ..schemas.people import Friend, FriendRequest, FriendRequestOutcome, FriendRequestsQuery, Relationship
from .notices import Notices, settle
from .presence import show_each_other


class Friends:
    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._notices = notices

    async def list_friends(self, viewer_id: UUID, query: PageQuery) -> Page[Friend]:
        """My friends by nickname, with who is online. Raises Invalid for a cursor that was not given out."""
        after = cursors.decode(query.cursor, str, UUID)
        async with self._database.single_read() as reads:
            rows = await reads.friendships.friends_of(viewer_id, after, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.nickname_key, row.id))
        at = now()
        return Page(items=[friend_view(row, at) for row in rows], next_cursor=following)

    async def list_requests(self, viewer_id: UUID, query: FriendRequestsQuery) -> Page[FriendRequest]:
        """Who asks me, or whom I asked, the newest first. Raises Invalid for a cursor that was not given out."""
        before = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            incoming = query.direction == "incoming"
            rows = await reads.friendships.requests_of(viewer_id, incoming, before, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.created_at, row.id))
        items = [FriendRequest(user=user_view(row), created_at=row.created_at) for row in rows]
        return Page(items=items, next_cursor=following)

    async def request(self, viewer_id: UUID, user_id: UUID) -> FriendRequestOutcome:
        """Ask somebody, or accept if they have asked. Asking again changes nothing.

        Raises NotFound for nobody, Invalid for oneself, Blocked if either has blocked the other, Conflict for a friend.
        """
        if viewer_id == user_id:
            raise Invalid(errors=[FieldError("user_id", "oneself", "must be somebody else")])
        async with self._database.transaction() as tx:
            pair = await tx.people.lock_pair(viewer_id, user_id)
            if not pair:
                raise NotFound
            if await tx.blocks.between(viewer_id, user_id):
                raise Blocked
            standing = relationship(viewer_id, await tx.friendships.between(viewer_id, user_id))
            if standing == "friend":
                raise Conflict("You are friends already.")
            if standing == "request_received":
                await self._become_friends(tx, pair, viewer_id)
                return FriendRequestOutcome(status="friends")
            if standing == "none":
                await tx.friendships.ask(viewer_id, user_id, at := now())
                await self._notices.tell(tx, "friend_request", [user_id], at, actor_id=viewer_id)
                announce_standing(tx, pair, viewer_id, "request_sent")
                announce_standing(tx, pair, user_id, "request_received")
            return FriendRequestOutcome(status="pending")

    async def accept(self, viewer_id: UUID, user_id: UUID) -> None:
        """Accept somebody's request. Raises NotFound if there is none."""
        async with self._database.transaction() as tx:
            await self._become_friends(tx, await _pair_of(tx, viewer_id, user_id, "request_received"), viewer_id)

    async def decline(self, viewer_id: UUID, user_id: UUID) -> None:
        """Decline somebody's request. Raises NotFound if there is none."""
        await self._end(viewer_id, user_id, "request_received")

    async def withdraw(self, viewer_id: UUID, user_id: UUID) -> None:
        """Take my own request back. Raises NotFound if there is none."""
        await self._end(viewer_id, user_id, "request_sent")

    async def unfriend(self, viewer_id: UUID, user_id: UUID) -> None:
        """End a friendship. Raises NotFound for who is not a friend."""
        await self._end(viewer_id, user_id, "friend")

    async def set_alias(self, viewer_id: UUID, user_id: UUID, alias: str | None) -> Friend:
        """Give a friend a name of my own, or take it away with None. Raises NotFound for who is not a friend."""
        async with self._database.transaction() as tx:
            await tx.friendships.set_alias(viewer_id, user_id, alias)
            row = await tx.friendships.friend_of(viewer_id, user_id)
            if row is None:
                raise NotFound
            return friend_view(row, now())

    async def _end(self, viewer_id: UUID, user_id: UUID, standing: Relationship) -> None:
        async with self._database.transaction() as tx:
            pair = await _pair_of(tx, viewer_id, user_id, standing)
            await tx.friendships.remove(viewer_id, user_id)
            settle(tx, await tx.notifications.remove_between(pair))
            for each in pair:
                announce_standing(tx, pair, each, "none")

    async def _become_friends(self, tx: Transaction, pair: Pair, accepting_id: UUID) -> None:
        """One of the two accepts what the other has asked: the request is settled, and the other is told."""
        (asking_id,) = pair.keys() - {accepting_id}
        await tx.friendships.accept(accepting_id, asking_id, at := now())
        read = await tx.notifications.read_of(accepting_id, "friend_request", asking_id, at)
        settle(tx, {accepting_id: read})
        await self._notices.tell(tx, "friend_accepted", [asking_id], at, actor_id=accepting_id)
        for each in pair:
            announce_standing(tx, pair, each, "friend")
        await show_each_other(tx, frozenset(pair))


async def _pair_of(tx: Transaction, viewer_id: UUID, user_id: UUID, standing: Relationship) -> Pair:
    """Both people, locked, if the viewer stands so to the other. Raises NotFound if not."""
    pair = await tx.people.lock_pair(viewer_id, user_id)
    if not pair or relationship(viewer_id, await tx.friendships.between(viewer_id, user_id)) != standing:
        raise NotFound
    return pair
