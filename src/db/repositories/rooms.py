"""Rooms: found through membership, numbered under their lock. Who is in them is in members.py."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, case, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..cursors import Key
from ..models import Installation, Member, Room, UtcDateTime
from ..names import keys
from ..room_list import JOINED, UNREAD_TOTAL, UNREAD_TOTALS, room_list
from ..rows import Row
from ..upsert import insert_if_absent

_MINE = JOINED.where(Room.id == bindparam("room_id"), Member.user_id == bindparam("user_id"))
_MINE_LOCKED = _MINE.with_for_update(of=Room, key_share=True)  # others may still refer to the room
_COUNT_UP = (
    update(Room)
    .where(Room.id == bindparam("the_room"))
    .values(
        last_seq=Room.last_seq + bindparam("lines"),
        rev=Room.rev + bindparam("changes"),
        last_ordinal=Room.last_ordinal + bindparam("unread"),
        changed_at=bindparam("at"),
    )
    .returning(Room.last_seq, Room.rev, Room.last_ordinal, Room.active_at)
)
_AT = bindparam("at", type_=UtcDateTime())
_LINE_AT = (
    update(Room)
    .where(Room.id == bindparam("the_room"))
    .values(active_at=case((Room.active_at > _AT, Room.active_at), else_=_AT))
    .returning(Room.active_at)
)
_NEW_ROSTER = update(Room).where(Room.id == bindparam("the_room")).values(roster=Room.roster + 1)
_NEW_ROSTER_OF_PAIR = (
    update(Room)
    .where(Room.low_id == bindparam("low"), Room.high_id == bindparam("high"))
    .values(roster=Room.roster + 1)
)


class Rooms:
    """A room is found through the membership of whoever asks, so that asking for another's finds nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def joined_by(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The room and this person's membership in it, or None if they are not in it.

        The columns of `rooms` and of `members`; a direct room counts although it is not listed.
        """
        return (await self._connection.execute(_MINE, {"room_id": room_id, "user_id": user_id})).one_or_none()

    async def joined_by_and_locked(self, user_id: UUID, room_id: UUID) -> Row | None:
        """The same, with the room's row locked until COMMIT: nobody else adds a line or changes the room.

        The lock may have waited: what was read of the membership is older than the room's row. Ask `joined_by` after
        it where that matters.
        """
        return (await self._connection.execute(_MINE_LOCKED, {"room_id": room_id, "user_id": user_id})).one_or_none()

    async def joined_by_each(self, room_id: UUID, user_ids: Collection[UUID]) -> Sequence[Row]:
        """The same of several members of one room."""
        each = JOINED.where(Room.id == room_id, Member.user_id.in_(user_ids))
        return (await self._connection.execute(each)).all()

    async def listed_by(self, user_id: UUID, text: str | None, before: Key | None, limit: int) -> Sequence[Row]:
        """The rooms in somebody's list, one more than `limit`, as `joined_by` has them, with `moment`.

        The newest `moment` of activity first. `text`: only those that it finds.
        """
        return (await self._connection.execute(*room_list(user_id, text, before, limit))).all()

    async def direct_room_of(self, low_id: UUID, high_id: UUID) -> UUID:
        """The room of this pair, who have one."""
        room = select(Room.id).where(Room.low_id == low_id, Room.high_id == high_id)
        return (await self._connection.execute(room)).scalar_one()

    async def add_direct(self, room_id: UUID, low_id: UUID, high_id: UUID, at: datetime) -> bool:
        """Add the room of this pair with both as members, listed for neither. False if they have one already."""
        room = {"id": room_id, "kind": "direct", "low_id": low_id, "high_id": high_id, **_NEW, **_since(at)}
        add = insert_if_absent(self._connection.dialect.name, Room).returning(Room.id)
        added = await self._connection.execute(add.values(**room))
        if added.one_or_none() is None:
            return False
        member = {
            "room_id": room_id, "role": "member", "first_seq": 1, "first_rev": 0, "read_seq": 0, "read_ordinal": 0,
            "pinned": False, "joined_at": at,
        }  # fmt: skip
        await self._connection.execute(insert(Member), [{**member, "user_id": user} for user in (low_id, high_id)])
        return True

    async def add_group(self, room_id: UUID, name: str | None, at: datetime) -> None:
        """Add a group without anybody in it."""
        room = {"id": room_id, "kind": "group", **_named(name), **_NEW, **_since(at)}
        await self._connection.execute(insert(Room), room)

    async def rename(self, room_id: UUID, name: str | None) -> None:
        """Call the room so."""
        await self._connection.execute(update(Room).where(Room.id == room_id).values(**_named(name)))

    async def set_notice(self, room_id: UUID, seq: int | None) -> None:
        """Pin the line `seq`, or none."""
        await self._connection.execute(update(Room).where(Room.id == room_id).values(notice_seq=seq))

    async def abandon(self, room_id: UUID, at: datetime) -> None:
        """Say that nobody is in the room any more: nobody finds it, and housekeeping deletes it."""
        await self._connection.execute(update(Room).where(Room.id == room_id).values(abandoned_at=at))

    async def list_for(self, room_id: UUID, user_ids: Sequence[UUID], at: datetime) -> None:
        """Put the room into these members' lists: its roster changes."""
        await self._connection.execute(
            update(Member)
            .where(Member.room_id == room_id, Member.user_id.in_(user_ids), Member.listed_at.is_(None))
            .values(listed_at=at)
        )
        await self.change_roster(room_id)

    async def change_roster(self, room_id: UUID) -> None:
        """Say that who may write or who hears has changed: what was remembered of the members holds no longer."""
        await self._connection.execute(_NEW_ROSTER, {"the_room": room_id})

    async def change_roster_of_pair(self, pair: Collection[UUID]) -> None:
        """The same for the direct room of these two, if they have one."""
        low_id, high_id = sorted(pair)
        await self._connection.execute(_NEW_ROSTER_OF_PAIR, {"low": low_id, "high": high_id})

    async def next_line(self, room_id: UUID, at: datetime, *, unread: bool) -> Row:
        """Count the room up by a line; its `last_seq`, `rev`, `last_ordinal` and `active_at` are the line's.

        `unread`: can it be unread? A system line cannot. `at`: no line is older than the one before it.
        """
        not_before = (await self._connection.execute(_LINE_AT, {"the_room": room_id, "at": at})).scalar_one()
        line = {"the_room": room_id, "lines": 1, "changes": 1, "unread": int(unread), "at": not_before}
        return (await self._connection.execute(_COUNT_UP, line)).one()

    async def next_rev(self, room_id: UUID, at: datetime) -> int:
        """Count the room up by a change that is no line; its `rev`."""
        change = {"the_room": room_id, "lines": 0, "changes": 1, "unread": 0, "at": at}
        return int((await self._connection.execute(_COUNT_UP, change)).one().rev)

    async def unread_total(self, user_id: UUID) -> int:
        """How many messages this person has not read, over all rooms in their list."""
        return int(await self._connection.scalar(UNREAD_TOTAL, {"user_id": user_id}) or 0)

    async def unread_totals(self, user_ids: Collection[UUID]) -> dict[UUID, int]:
        """The same of these people; without who is in no room."""
        rows = (await self._connection.execute(UNREAD_TOTALS, {"user_ids": user_ids})).all()
        return {row.user_id: int(row.unread) for row in rows}

    async def epoch(self) -> UUID:
        """The identity of this database's history; a restore from a backup gives a new one."""
        return (await self._connection.execute(select(Installation.epoch))).scalar_one()


_NEW = {"last_seq": 0, "rev": 0, "last_ordinal": 0, "roster": 0}


def _named(name: str | None) -> dict[str, str | None]:
    key, initials = keys(name) if name else (None, None)
    return {"name": name, "name_key": key, "name_initials": initials}


def _since(at: datetime) -> dict[str, datetime]:
    return {"active_at": at, "changed_at": at, "created_at": at}
