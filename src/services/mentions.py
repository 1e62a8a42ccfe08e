"""Telling those whom messages mention, in the messages' own transaction. Their rungs are the room's (ladder.py)."""

from collections.abc import Sequence

from ..db.database import Transaction
from ..db.sends import Line
from .notices import store


async def tell_mentioned(tx: Transaction, lines: Sequence[Line]) -> None:
    """Store that these lines mention people, but who mentions oneself or somebody across a block."""
    naming = [line for line in lines if line.mentions]
    if not naming:
        return
    people = {user_id for line in naming for user_id in (line.place.sender_id, *line.mentions)}
    across = {(one, other) for one, other in await tx.blocks.among(people)}
    rows = [
        row
        for line in naming
        for row in store(
            tx,
            "mention",
            [
                user_id
                for user_id in dict.fromkeys(line.mentions)
                if user_id != line.place.sender_id and (user_id, line.place.sender_id) not in across
            ],
            line.created_at,
            actor_id=line.place.sender_id,
            room_id=line.place.room_id,
            message_id=line.id,
            seq=line.seq,
        )
    ]
    if rows:
        await tx.notifications.add(rows)
