"""Telling those whom messages mention, in the messages' own transaction. Their rungs are the room's (ladder.py)."""

from collections.abc import Sequence

from ..db.database import Transaction
from ..db.sends import Line
from .notices import store


async def tell_mentioned(tx: Transaction, lines: Sequence[Line]) -> None:
    """Store that these lines mention people, but who mentions oneself."""
    rows = [
        row
        for line in lines
        for row in store(
            tx,
            "mention",
            [user_id for user_id in dict.fromkeys(line.mentions) if user_id != line.place.sender_id],
            line.created_at,
            actor_id=line.place.sender_id,
            room_id=line.place.room_id,
            message_id=line.id,
            seq=line.seq,
        )
    ]
    if rows:
        await tx.notifications.add(rows)
