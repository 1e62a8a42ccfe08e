"""The notifications of rooms with messages: none is stored, each is computed from the cursors of a member.

There is one while the room is in the member's list and has a line above both cursors that is no system line and not by
somebody across a block. Muted rooms have theirs, too, and say so.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Uuid, and_, bindparam, case, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from ...clock import now
from ..cursors import Key
from ..models import Block, Member, Message, Notification, Room, User, UtcDateTime
from ..rows import Row
from ..snapshots import DIRECT, any_of
from ..visible_notifications import AT, barred, first_file

Pair = tuple[UUID, UUID]
"""A person and a room."""

LINES_SHOWN = 3
"""So many of its newest lines a digest shows of a room."""
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


_LINE, _SENDER, _L = aliased(Message), aliased(User), aliased(Message)
_OPEN = and_(
    Member.listed_at.is_not(None), Room.last_ordinal > Member.read_ordinal, Room.last_ordinal > Member.notified_ordinal
)
_HAS_BLOCKS = or_(
    select(Block.blocker_id).where(Block.blocker_id == Member.user_id).exists(),
    select(Block.blocker_id).where(Block.blocked_id == Member.user_id).exists(),
)
_AUDIBLE = and_(_L.room_id == Member.room_id, _L.kind != "system", ~barred(_L.sender_id, Member.user_id))
_ABOVE = and_(_L.seq > Member.read_seq, _L.seq >= Member.first_seq, _L.ordinal > Member.read_ordinal)
_UNTOLD = select(_L.id).where(_AUDIBLE, _ABOVE, _L.ordinal > Member.notified_ordinal).order_by(_L.seq.desc()).limit(1)
_UNTOLD_TEXT = _UNTOLD.where(_L.deleted_at.is_(None))
_COUNT = case(
    (_HAS_BLOCKS, select(func.count()).select_from(_L).where(_AUDIBLE, _ABOVE).scalar_subquery()),
    else_=Room.last_ordinal - Member.read_ordinal,
).label("unread")

_MINE: tuple[Any, ...] = (
    *(getattr(Member, name) for name in ("user_id", "room_id", "alias", "muted_until", "read_seq")),
    *(getattr(Member, name) for name in ("read_ordinal", "notified_ordinal")),
    Room.kind.label("room_kind"),
    Room.name,
)
_SHOWN: tuple[Any, ...] = (
    *(getattr(_LINE, name) for name in ("seq", "ordinal", "text", "deleted_at", "created_at", "sender_id")),
    _LINE.id.label("message_id"),
    first_file(_LINE).label("file_name"),
    *(getattr(_SENDER, name) for name in ("nickname", "intro", "avatar")),
)
_EACH, _EACH_TEXT = (
    select(*_MINE, _COUNT, *_SHOWN)
    .select_from(Member)
    .join(Room, Room.id == Member.room_id)
    .join(_LINE, _LINE.id == newest.correlate(Member).scalar_subquery())
    .outerjoin(_SENDER, _SENDER.id == _LINE.sender_id)
    .where(_OPEN)
    for newest in (_UNTOLD, _UNTOLD_TEXT)
)
"""One by one: for who has blocks, and for all rooms of a person."""

_ME = bindparam("user_id", type_=Uuid())
_LISTED = (
    _EACH.where(Member.user_id == _ME, or_(Member.muted_until.is_(None), Member.muted_until <= AT))
    .order_by(_LINE.created_at.desc(), Member.room_id.desc())
    .limit(bindparam("most", type_=Integer()))
)
_BEFORE = tuple_(bindparam("before", type_=UtcDateTime()), bindparam("before_id", type_=Uuid()))
_FIRST_PAGE = _LISTED.execution_options(**DIRECT)
_NEXT_PAGE = _LISTED.where(tuple_(_LINE.created_at, Member.room_id) < _BEFORE).execution_options(**DIRECT)

_MEMBERS = (
    select(*_MINE, (Room.last_ordinal - Member.read_ordinal).label("unread"), _HAS_BLOCKS.label("has_blocks"))
    .select_from(Member)
    .join(Room, Room.id == Member.room_id)
    .where(_OPEN, any_of(Member.user_id, "user_ids"))
)
_OF_A_CROWD = Member.room_id == bindparam("room_id", type_=Uuid())
# Not simply the column: for rooms and people SQLite would try each with each, where these people's rows are few.
_OF_ROOMS = any_of(func.coalesce(Member.room_id, Member.user_id), "room_ids")
_CROWD_OF, _SCATTERED = (_MEMBERS.where(each).execution_options(**DIRECT) for each in (_OF_A_CROWD, _OF_ROOMS))
_EACH_OF = {
    text: _all.where(any_of(Member.user_id, "user_ids"), _OF_ROOMS).execution_options(**DIRECT)
    for text, _all in ((False, _EACH), (True, _EACH_TEXT))
}
_LATEST = select(_L.id).where(_L.room_id == Room.id, _L.kind != "system").order_by(_L.seq.desc()).limit(1)
_LATEST_OF = {
    text: select(Room.id.label("room_id"), *_SHOWN)
    .select_from(Room)
    .join(_LINE, _LINE.id == latest.correlate(Room).scalar_subquery())
    .outerjoin(_SENDER, _SENDER.id == _LINE.sender_id)
    .where(any_of(Room.id, "room_ids"))
    .execution_options(**DIRECT)
    for text, latest in ((False, _LATEST), (True, _LATEST.where(_L.deleted_at.is_(None))))
}
"""The newest line of each room, and the newest that is not deleted."""

_COUNTS = (
    select(Member.user_id, func.count().label("rooms"))
    .select_from(Member)
    .join(Room, Room.id == Member.room_id)
    .where(_OPEN, any_of(Member.user_id, "user_ids"), or_(Member.muted_until.is_(None), Member.muted_until <= AT))
    .where(or_(~_HAS_BLOCKS, _UNTOLD.exists()))
    .group_by(Member.user_id)
    .execution_options(**DIRECT)
)
_MENTIONED = (
    select(Notification.id)
    .where(Notification.user_id == Member.user_id, Notification.room_id == Member.room_id)
    .where(Notification.read_at.is_(None), Notification.kind == "mention", Notification.seq > Member.read_seq)
    .where(Notification.seq >= Member.first_seq, ~barred(Notification.actor_id, Notification.user_id))
    .exists()
)
_DIGESTS = (
    _EACH_TEXT.add_columns(
        *(
            _UNTOLD_TEXT.correlate(Member).offset(place).scalar_subquery().label(f"line_{place}")
            for place in range(1, LINES_SHOWN)
        ),
        _MENTIONED.label("mentioned"),
    )
    .where(any_of(Member.user_id, "user_ids"))
    .order_by(Member.user_id, _LINE.created_at.desc(), Member.room_id.desc())
    .execution_options(**DIRECT)
)
_LINES = (
    select(*_SHOWN)
    .select_from(_LINE)
    .outerjoin(_SENDER, _SENDER.id == _LINE.sender_id)
    .where(any_of(_LINE.id, "message_ids"))
    .execution_options(**DIRECT)
)


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
            rows = (await self._connection.execute(_EACH_OF[told], _named(with_blocks))).all()
            made = {(row.user_id, row.room_id): _made(row, row) for row in rows}
            found |= {pair: made[pair] for pair in with_blocks & made.keys()}
        return found

    async def of_person(self, user_id: UUID, before: Key | None, limit: int) -> Sequence[RoomNotification]:
        """Those of the rooms of somebody's that are not muted, one more than `limit`; the newest line first."""
        values: dict[str, Any] = {"user_id": user_id, "at": now(), "most": limit + 1}
        if before:
            values |= {"before": before[0], "before_id": before[1]}
        rows = (await self._connection.execute(_NEXT_PAGE if before else _FIRST_PAGE, values)).all()
        return [_made(row, row) for row in rows]

    async def of_people(self, user_ids: Collection[UUID]) -> dict[UUID, list[RoomDigest]]:
        """All of these people's rooms with lines untold that are not deleted, muted ones too; the newest line first."""
        rows = (await self._connection.execute(_DIGESTS, {"user_ids": [*user_ids]})).all()
        further = [line for row in rows for line in _further(row)]
        lines = {}
        if further:
            shown = (await self._connection.execute(_LINES, {"message_ids": further})).all()
            lines = {line.message_id: line for line in shown}
        digests: defaultdict[UUID, list[RoomDigest]] = defaultdict(list)
        for row in rows:
            newest = [row, *(lines[line] for line in _further(row))]
            digests[row.user_id].append(RoomDigest(_made(row, row), newest, bool(row.mentioned)))
        return digests

    async def counts(self, user_ids: Collection[UUID]) -> dict[UUID, int]:
        """How many rooms of these people's that are not muted have one; only of whom there is any."""
        rows = (await self._connection.execute(_COUNTS, {"user_ids": [*user_ids], "at": now()})).all()
        return {row.user_id: row.rooms for row in rows}

    async def open_rooms(self, user_id: UUID, room_ids: Collection[UUID] | None) -> frozenset[UUID]:
        """Those of these rooms of somebody's, or of all, where something could be marked read; muted ones too."""
        rooms = select(Member.room_id).join(Room, Room.id == Member.room_id).where(Member.user_id == user_id, _OPEN)
        return frozenset((await self._connection.scalars(_among(rooms, room_ids))).all())

    async def dismiss(self, user_id: UUID, room_ids: Collection[UUID], *, wait: bool) -> frozenset[UUID]:
        """Mark what these rooms tell somebody read, and not the rooms; of which there was any to mark.

        Without `wait` those are passed over whose membership somebody else changes. Whoever sends into several rooms
        locks several memberships of theirs in any order: wait for one at a time.
        """
        rooms = select(Member.room_id).join(Room, Room.id == Member.room_id).where(Member.user_id == user_id, _OPEN)
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
            return list((await self._connection.execute(_CROWD_OF, crowd)).all())
        rows = (await self._connection.execute(_SCATTERED, named)).all()
        return [row for row in rows if (row.user_id, row.room_id) in pairs]

    async def _latest(self, room_ids: Collection[UUID], told: bool) -> dict[UUID, Row]:
        if not room_ids:
            return {}
        rows = (await self._connection.execute(_LATEST_OF[told], {"room_ids": [*room_ids]})).all()
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
