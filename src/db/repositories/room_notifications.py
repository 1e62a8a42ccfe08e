"""The notifications of rooms with messages: none is stored, each is computed from the cursors of a member.

There is one while the room is in the member's list and has a line above both cursors that is no system line and not by
somebody across a block. Muted rooms have theirs, too, and say so.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...clock import now
from ..cursors import Key
from ..models import Member, Room
from ..room_notifications import (
    COUNTS,
    CROWD_OF,
    DIGESTS,
    EACH_OF,
    FIRST_PAGE,
    LATEST_OF,
    LINES,
    LINES_SHOWN,
    NEXT_PAGE,
    OPEN,
    SCATTERED,
)
from ..rows import Row

Pair = tuple[UUID, UUID]
"""A person and a room."""

_CROWD = 20  # from so many of its members on, a room is asked for by itself


class RoomNotification(NamedTuple):
    """What is unread for somebody in a room, and not marked read without reading.

    `name`: the member's own or the room's, where there is one. `line`: the newest of those lines, with `message_id`,
    `seq`, `text`, `file_name`, `deleted_at`, `created_at`, and `sender_id`, `nickname`, `intro`, `avatar` of who wrote
    it. `unread`: how many are above the read cursor.
    """

    user_id: UUID
    room_id: UUID
    kind: str
    name: str | None
    muted: bool
    read_seq: int
    unread: int
    line: Row

    @property
    def pair(self) -> Pair:
        return self.user_id, self.room_id


class RoomDigest(NamedTuple):
    """The same for a digest: the newest lines that are not deleted, newest first, and if an unread one mentions."""

    notification: RoomNotification
    lines: Sequence[Row]
    mentioned: bool


class RoomNotifications:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, pairs: Collection[Pair], *, told: bool = False) -> dict[Pair, RoomNotification]:
        """For each (person, room) its notification, where there is one. `told`: as if deleted lines were not there.

        A few statements, however many pairs: who has no blocks is shown the newest line of the room, like all others.
        """
        mine = [row for some in _grouped(pairs) for row in await self._members(some)]
        latest = await self._latest({row.room_id for row in mine if not row.has_blocks}, told)
        found = {
            (row.user_id, row.room_id): _made(row, line)
            for row in mine
            if not row.has_blocks and (line := latest.get(row.room_id)) and line.ordinal > _told_up_to(row)
        }
        if with_blocks := {(row.user_id, row.room_id) for row in mine if row.has_blocks}:
            rows = (await self._connection.execute(EACH_OF[told], _named(with_blocks))).all()
            made = {(row.user_id, row.room_id): _made(row, row) for row in rows}
            found |= {pair: made[pair] for pair in with_blocks & made.keys()}
        return found

    async def of_person(self, user_id: UUID, before: Key | None, limit: int) -> Sequence[RoomNotification]:
        """Those of the rooms of somebody's that are not muted, one more than `limit`; the newest line first."""
        values: dict[str, Any] = {"user_id": user_id, "at": now(), "most": limit + 1}
        if before:
            values |= {"before": before[0], "before_id": before[1]}
        rows = (await self._connection.execute(NEXT_PAGE if before else FIRST_PAGE, values)).all()
        return [_made(row, row) for row in rows]

    async def of_people(self, user_ids: Collection[UUID]) -> dict[UUID, list[RoomDigest]]:
        """All of these people's rooms with lines untold that are not deleted, muted ones too; the newest line first."""
        rows = (await self._connection.execute(DIGESTS, {"user_ids": [*user_ids]})).all()
        further = [line for row in rows for line in _further(row)]
        lines = {}
        if further:
            shown = (await self._connection.execute(LINES, {"message_ids": further})).all()
            lines = {line.message_id: line for line in shown}
        digests: defaultdict[UUID, list[RoomDigest]] = defaultdict(list)
        for row in rows:
            newest = [row, *(lines[line] for line in _further(row))]
            digests[row.user_id].append(RoomDigest(_made(row, row), newest, bool(row.mentioned)))
        return digests

    async def counts(self, user_ids: Collection[UUID]) -> dict[UUID, int]:
        """How many rooms of these people's that are not muted have one; only of whom there is any."""
        rows = (await self._connection.execute(COUNTS, {"user_ids": [*user_ids], "at": now()})).all()
        return {row.user_id: row.rooms for row in rows}

    async def open_rooms(self, user_id: UUID, room_ids: Collection[UUID] | None) -> frozenset[UUID]:
        """Those of these rooms of somebody's, or of all, where something could be marked read; muted ones too."""
        rooms = select(Member.room_id).join(Room, Room.id == Member.room_id).where(Member.user_id == user_id, OPEN)
        return frozenset((await self._connection.scalars(_among(rooms, room_ids))).all())

    async def dismiss(self, user_id: UUID, room_ids: Collection[UUID], *, wait: bool) -> frozenset[UUID]:
        """Mark what these rooms tell somebody read, and not the rooms; of which there was any to mark.

        Without `wait` those are passed over whose membership somebody else changes. Whoever sends into several rooms
        locks several memberships of theirs in any order: wait for one at a time.
        """
        rooms = select(Member.room_id).join(Room, Room.id == Member.room_id).where(Member.user_id == user_id, OPEN)
        rooms = _among(rooms, room_ids).order_by(Member.room_id)
        locked = rooms.with_for_update(of=Member, key_share=True, skip_locked=not wait)
        ids = (await self._connection.scalars(locked)).all()
        if ids:
            end = select(Room.last_ordinal).where(Room.id == Member.room_id).scalar_subquery()
            mine = update(Member).where(Member.user_id == user_id, Member.room_id.in_(ids))
            await self._connection.execute(mine.values(notified_ordinal=end))
        return frozenset(ids)

    async def _members(self, pairs: Collection[Pair]) -> list[Row]:
        """Memberships of these pairs whose rooms have lines above both cursors."""
        named = _named(pairs)
        if len(named["room_ids"]) == 1:
            crowd = {"room_id": named["room_ids"][0], "user_ids": named["user_ids"]}
            return list((await self._connection.execute(CROWD_OF, crowd)).all())
        rows = (await self._connection.execute(SCATTERED, named)).all()
        return [row for row in rows if (row.user_id, row.room_id) in pairs]

    async def _latest(self, room_ids: Collection[UUID], told: bool) -> dict[UUID, Row]:
        if not room_ids:
            return {}
        rows = (await self._connection.execute(LATEST_OF[told], {"room_ids": [*room_ids]})).all()
        return {row.room_id: row for row in rows}


def _among(rooms: Any, room_ids: Collection[UUID] | None) -> Any:
    return rooms if room_ids is None else rooms.where(Member.room_id.in_(room_ids))


def _grouped(pairs: Collection[Pair]) -> Iterator[Collection[Pair]]:
    """The pairs of each room with many of them, then all others."""
    by_room: defaultdict[UUID, set[Pair]] = defaultdict(set)
    for pair in pairs:
        by_room[pair[1]].add(pair)
    crowds = [crowd for crowd in by_room.values() if len(crowd) >= _CROWD or len(by_room) == 1]
    yield from crowds
    if rest := {*pairs}.difference(*crowds):
        yield rest


def _named(pairs: Collection[Pair]) -> dict[str, list[UUID]]:
    return {"user_ids": list({user_id for user_id, _ in pairs}), "room_ids": list({room_id for _, room_id in pairs})}


def _told_up_to(mine: Row) -> int:
    return max(int(mine.read_ordinal), int(mine.notified_ordinal))


def _further(row: Row) -> list[UUID]:
    """The ids of a digest's lines but the newest."""
    ids = (getattr(row, f"line_{place}") for place in range(1, LINES_SHOWN))
    return [each for each in ids if each]


def _made(mine: Row, line: Row) -> RoomNotification:
    muted = mine.muted_until is not None and mine.muted_until > now()
    return RoomNotification(
        user_id=mine.user_id,
        room_id=mine.room_id,
        kind=mine.room_kind,
        name=mine.alias or mine.name,
        muted=muted,
        read_seq=mine.read_seq,
        unread=mine.unread,
        line=line,
    )
