"""Members but its sender who may read a line, with all that says what became of it for them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Block, Member, OutboxItem, Room, User
from ..read_times import mark_of, writers_after
from ..rows import Row


class Recipients:
    """A row has who they are, their membership, and `marked_at` and `wrote_at` as `messages.readers_of` has them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, line: Row, after: Key | None, limit: int) -> Sequence[Row]:
        """Some of them, the earliest members first, one more than `limit`."""
        some = _of(line).where(or_(Room.kind == "direct", Member.first_seq <= line.seq))
        some = some.where(Member.user_id != line.sender_id).order_by(Member.joined_at, Member.user_id)
        if after:
            some = some.where(tuple_(Member.joined_at, Member.user_id) > after)
        return (await self._connection.execute(some.limit(limit + 1))).all()

    async def one(self, line: Row, user_id: UUID) -> Row | None:
        """This member, whether they may read the line or not."""
        return (await self._connection.execute(_of(line).where(Member.user_id == user_id))).one_or_none()

    async def blocks_with(self, sender_id: UUID, user_ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        """Who of these people is across a block with the sender, and since when."""
        other = case((Block.blocker_id == sender_id, Block.blocked_id), else_=Block.blocker_id)
        across = or_(
            and_(Block.blocker_id == sender_id, Block.blocked_id.in_(user_ids)),
            and_(Block.blocked_id == sender_id, Block.blocker_id.in_(user_ids)),
        )
        blocks = select(other.label("user_id"), func.min(Block.created_at).label("since")).where(across).group_by(other)
        return {row.user_id: row.since for row in (await self._connection.execute(blocks)).all()}

    async def work_for(self, user_id: UUID, kinds: Collection[str]) -> Sequence[Row]:
        """What the outbox has to do for somebody, the first due first. Not for every request: it reads all of it."""
        theirs = OutboxItem.payload["user_id"].as_string() == str(user_id)
        work = select(OutboxItem.__table__).where(OutboxItem.kind.in_(kinds), theirs).order_by(OutboxItem.due_at)
        return (await self._connection.execute(work)).all()


def _of(line: Row) -> Select[*tuple[Any, ...]]:
    wrote = writers_after(line)
    return (
        select(User.id, User.nickname, User.intro, User.avatar, User.last_seen_at, User.deleted_at)
        .add_columns(Member.first_seq, Member.read_seq, Member.muted_until, Member.listed_at, Member.joined_at)
        .add_columns(Room.kind, Room.told_seq, mark_of(line).label("marked_at"), wrote.c.at.label("wrote_at"))
        .join_from(Member, User, User.id == Member.user_id)
        .join(Room, Room.id == Member.room_id)
        .outerjoin(wrote, wrote.c.sender_id == Member.user_id)
        .where(Member.room_id == line.room_id)
    )
