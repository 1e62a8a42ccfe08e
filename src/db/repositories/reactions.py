"""Who reacted to a line, and how. Change them under the room's lock."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Reaction, User
from ..rows import Row
from ..snapshots import DIRECT, any_of

NAMED = 100
"""How many people of each emoji a message names."""

_RANKED = (
    select(
        Reaction.message_id,
        Reaction.emoji,
        Reaction.user_id,
        func.row_number()
        .over(partition_by=(Reaction.message_id, Reaction.emoji), order_by=(Reaction.created_at, Reaction.user_id))
        .label("place"),
        func.count().over(partition_by=(Reaction.message_id, Reaction.emoji)).label("count"),
        func.min(Reaction.created_at).over(partition_by=(Reaction.message_id, Reaction.emoji)).label("since"),
    )
    .where(any_of(Reaction.message_id, "message_ids"))
    .subquery()
)
_REACTIONS = (
    select(_RANKED)
    .where(_RANKED.c.place <= NAMED)
    .order_by(_RANKED.c.message_id, _RANKED.c.since, _RANKED.c.emoji, _RANKED.c.place)
    .execution_options(**DIRECT)
)


class Reactions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, message_id: UUID, emoji: str, user_id: UUID, at: datetime) -> None:
        row = {"message_id": message_id, "emoji": emoji, "user_id": user_id, "created_at": at}
        await self._connection.execute(insert(Reaction), row)

    async def remove(self, message_id: UUID, emoji: str, user_id: UUID) -> None:
        one = (Reaction.message_id == message_id, Reaction.emoji == emoji, Reaction.user_id == user_id)
        await self._connection.execute(delete(Reaction).where(*one))

    async def clear(self, message_id: UUID) -> None:
        """Take everybody's reactions away."""
        await self._connection.execute(delete(Reaction).where(Reaction.message_id == message_id))

    async def has(self, message_id: UUID, emoji: str, user_id: UUID | None = None) -> bool:
        """Did this person, or without one anybody, react so?"""
        found = select(Reaction.user_id).where(Reaction.message_id == message_id, Reaction.emoji == emoji).limit(1)
        if user_id:
            found = found.where(Reaction.user_id == user_id)
        return (await self._connection.execute(found)).first() is not None

    async def kinds(self, message_id: UUID) -> int:
        """How many different emojis the line has."""
        kinds = select(func.count(Reaction.emoji.distinct())).where(Reaction.message_id == message_id)
        return int(await self._connection.scalar(kinds) or 0)

    async def page(self, message_id: UUID, after: Key | None, limit: int) -> Sequence[Row]:
        """Reactions with who they are of, the earliest first, one more than `limit`."""
        order = (Reaction.created_at, Reaction.user_id, Reaction.emoji)
        people = (
            select(User.id, User.nickname, User.intro, User.avatar, Reaction.emoji, Reaction.created_at)
            .join_from(Reaction, User, User.id == Reaction.user_id)
            .where(Reaction.message_id == message_id)
            .order_by(*order)
            .limit(limit + 1)
        )
        if after:
            people = people.where(tuple_(*order) > after)
        return (await self._connection.execute(people)).all()

    async def named_of(self, message_ids: Collection[UUID]) -> Sequence[Row]:
        """By message and emoji, the earliest emoji first: the first 100 people of each, and their `count`."""
        if not message_ids:
            return []
        return (await self._connection.execute(_REACTIONS, {"message_ids": list(message_ids)})).all()
