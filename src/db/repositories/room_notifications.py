"""The notifications of rooms with messages: none is stored, each is computed from the cursors of a member.

There is one while the room is in the member's list and has a line above both cursors that is no system line and not by
somebody across a block. Muted rooms have theirs, too, and say so.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ...clock import now
from ..cursors import Key
from ..models import Member, Room
from ..pairs import Pair, as_pairs
from ..room_notifications import (
    ACROSS,
    COUNTS,
    CROWD,
    DIGESTS,
    EACH,
    FIRST_PAGE,
    LATEST,
    LINES,
    LINES_SHOWN,
    MEMBERS,
    NEXT_PAGE,
    OPEN,
)
from ..rows import Row

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
    """The same for a digest: the newest lines that are not deleted, newest first.

    `mailed_seq`: the last line of which a mail has told. `unmailed_since`: when the first one came of which none has;
    None if there is none.
    """

    notification: RoomNotification
    lines: Sequence[Row]
    mailed_seq: int
    unmailed_since: datetime | None


class RoomNotifications:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, pairs: Collection[Pair], *, told: bool = False) -> dict[Pair, RoomNotification]:
        """For each (person, room) its notification, where there is one. `told`: as if deleted lines were not there.

        A few statements, however many pairs: who has no blocks is shown the newest line of the room, like all others.
        """
        mine = await self._members(pairs)
        latest = await self._latest({row.room_id for row in mine if not row.has_blocks}, told)
        found = [(row, latest.get(row.room_id)) for row in mine if not row.has_blocks]
        if with_blocks := [(row.user_id, row.room_id) for row in mine if row.has_blocks]:
            each = EACH[self._connection.dialect.name, told]
            rows = (await self._connection.execute(each, {"pairs": as_pairs(with_blocks)})).all()
            found += [(row, row.message_id) for row in rows]
        lines = await self._lines({line_id for _, line_id in found if line_id})
        made = [_made(row, lines[line_id]) for row, line_id in found if line_id and _is_above(row, lines[line_id])]
        return {each.pair: each for each in made}

    async def of_person(self, user_id: UUID, before: Key | None, limit: int) -> Sequence[RoomNotification]:
        """Those of the rooms of somebody's that are not muted, one more than `limit`; the newest line first."""
        barred = (await self._connection.scalars(ACROSS, {"user_id": user_id})).all()
        values: dict[str, Any] = {"user_id": user_id, "at": now(), "most": limit + 1, "barred": barred}
        if before:
            values |= {"before": before[0], "before_id": before[1]}
        rows = (await self._connection.execute(NEXT_PAGE if before else FIRST_PAGE, values)).all()
        found = await self.of([(user_id, row.room_id) for row in rows]) if rows else {}
        return [found[user_id, row.room_id] for row in rows]

    async def of_people(self, user_ids: Collection[UUID]) -> dict[UUID, list[RoomDigest]]:
        """All of these people's rooms with lines untold that are not deleted, muted ones too; the newest line first."""
        rows = (await self._connection.execute(DIGESTS, {"user_ids": [*user_ids]})).all()
        newest = {(row.user_id, row.room_id): _newest(row) for row in rows if row.message_id}
        lines = await self._lines({line_id for ids in newest.values() for line_id in ids})
        digests: defaultdict[UUID, list[RoomDigest]] = defaultdict(list)
        for row in rows:
            if ids := newest.get((row.user_id, row.room_id)):
                shown = [lines[line_id] for line_id in ids]
                made = RoomDigest(_made(row, shown[0]), shown, row.mailed_seq, row.unmailed_since)
                digests[row.user_id].append(made)
        for each in digests.values():
            each.sort(key=lambda digest: (digest.lines[0].created_at, digest.notification.room_id), reverse=True)
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
        """Memberships of these pairs in rooms with lines above both cursors."""
        by_room: defaultdict[UUID, list[Pair]] = defaultdict(list)
        for pair in pairs:
            by_room[pair[1]].append(pair)
        rows: list[Row] = []
        for room_id in [room_id for room_id, crowd in by_room.items() if len(crowd) >= _CROWD]:
            crowd = {"room_id": room_id, "user_ids": [user_id for user_id, _ in by_room.pop(room_id)]}
            rows += (await self._connection.execute(CROWD, crowd)).all()
        if rest := [pair for some in by_room.values() for pair in some]:
            members = MEMBERS[self._connection.dialect.name]
            rows += (await self._connection.execute(members, {"pairs": as_pairs(rest)})).all()
        return rows

    async def _latest(self, room_ids: Collection[UUID], told: bool) -> dict[UUID, UUID]:
        if not room_ids:
            return {}
        rows = (await self._connection.execute(LATEST[told], {"room_ids": [*room_ids]})).all()
        return {row.room_id: row.message_id for row in rows}

    async def _lines(self, message_ids: Collection[UUID]) -> dict[UUID, Row]:
        if not message_ids:
            return {}
        rows = (await self._connection.execute(LINES, {"message_ids": [*message_ids]})).all()
        return {row.message_id: row for row in rows}


def _among(rooms: Any, room_ids: Collection[UUID] | None) -> Any:
    return rooms if room_ids is None else rooms.where(Member.room_id.in_(room_ids))


def _is_above(mine: Row, line: Row) -> bool:
    """Is the line above both cursors?"""
    return bool(line.ordinal > max(mine.read_ordinal, mine.notified_ordinal))


def _newest(row: Row) -> list[UUID]:
    """The ids of a digest's lines, the newest first."""
    ids = [row.message_id, *(getattr(row, f"line_{place}") for place in range(1, LINES_SHOWN))]
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
