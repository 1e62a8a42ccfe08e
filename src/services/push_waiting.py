"""A push waits while somebody is here; when their last connection has ended it goes out (contract §7).

Who leaves and who has it wait take the person's row in turn: neither overlooks the other.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from ..db.database import Transaction
from ..db.repositories.presence import ALIVE_FOR
from .notices import push_key

_AT_ONCE: Final = 500
_STORED_SINCE: Final = timedelta(days=1)


async def gone_of(tx: Transaction, user_ids: Collection[UUID], at: datetime) -> frozenset[UUID]:
    """Those of these people who are not online; none of the others leaves until COMMIT."""
    if not user_ids:
        return frozenset()
    await tx.people.hold(user_ids)
    seen = await tx.presence.heartbeats(user_ids)
    return frozenset(user_id for user_id in user_ids if user_id not in seen or seen[user_id] <= at - ALIVE_FOR)


async def push_to_who_left(tx: Transaction, user_ids: Collection[UUID], at: datetime) -> None:
    """Have pushes done at once that waited for these people, who are not online any more."""
    if not user_ids:
        return
    unread = await tx.pushes.unread_subjects(user_ids, at - _STORED_SINCE)
    keys = sorted(push_key(user_id, subject_id) for user_id, subject_id in unread)
    for first in range(0, len(keys), _AT_ONCE):
        waiting = await tx.pushes.waiting(keys[first : first + _AT_ONCE])
        await tx.outbox.hasten_keys([(key, at) for key in waiting])
