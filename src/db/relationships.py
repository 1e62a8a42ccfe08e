"""How one person stands to another, in the contract's words (contract §3)."""

from datetime import datetime
from uuid import UUID

from ..events import FriendChanged
from ..schemas.people import Friend, FriendChange, Relationship
from .database import Transaction
from .repositories.presence import ALIVE_FOR
from .rows import Row
from .views import user_view

Pair = dict[UUID, Row]
"""Two people by their ids, as `people.lock_pair` gives them."""


def relationship(viewer_id: UUID, friendship: Row | None, *, blocked: bool = False) -> Relationship:
    """How the viewer stands to somebody: `friendship` is the row of the two, `blocked` says that the viewer did so.

    Who was blocked is not told: to them it is `none`.
    """
    if blocked:
        return "blocked"
    if friendship is None:
        return "none"
    if friendship.accepted_at is not None:
        return "friend"
    return "request_sent" if friendship.requested_by == viewer_id else "request_received"


def standing(viewer_id: UUID, row: Row) -> Relationship:
    """How the viewer stands to the person of a row of `people.profile` or `people.found`."""
    return relationship(viewer_id, row if row.requested_by else None, blocked=row.blocked_id is not None)


def announce_standing(tx: Transaction, pair: Pair, hearer_id: UUID, standing: Relationship) -> None:
    """Tell one of two, and nobody else, how they now stand to the other."""
    (other,) = (row for user_id, row in pair.items() if user_id != hearer_id)
    tx.announce(FriendChanged(frozenset({hearer_id}), FriendChange(user=user_view(other), relationship=standing)))


def friend_view(row: Row, at: datetime) -> Friend:
    """A friend, from `friendships.friends_of`. Online on a node that has died since counts no more."""
    online = row.heartbeat is not None and row.heartbeat > at - ALIVE_FOR
    last_seen_at = max(filter(None, (row.last_seen_at, row.heartbeat)), default=None)
    return Friend(
        **dict(user_view(row)),
        since=row.since,
        alias=row.alias,
        online=online,
        last_seen_at=None if online else last_seen_at,
    )
