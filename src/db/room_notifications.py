"""The statements of what rooms tell their members: see repositories/room_notifications.py.

None joins a line to its id that a subquery has found: PostgreSQL would read all lines for that.
"""

from typing import Any

from sqlalchemy import Integer, Select, Uuid, and_, bindparam, case, func, or_, select, tuple_, union_all
from sqlalchemy.orm import aliased

from .models import Block, Delivery, Member, Message, Room, User, UtcDateTime
from .pairs import DIALECTS, pairs_in
from .snapshots import DIRECT, any_of
from .visible_notifications import AT, first_file

LINES_SHOWN = 3
"""So many of its newest lines a digest shows of a room."""

_L = aliased(Message)
OPEN = and_(
    Member.listed_at.is_not(None), Room.last_ordinal > Member.read_ordinal, Room.last_ordinal > Member.notified_ordinal
)
# One question, not two: each alone PostgreSQL would answer from all blocks that there are.
_OF_MINE = or_(Block.blocker_id == Member.user_id, Block.blocked_id == Member.user_id)
_HAS_BLOCKS = select(Block.blocker_id).where(_OF_MINE).correlate_except(Block).exists()
_NOT_MUTED = or_(Member.muted_until.is_(None), Member.muted_until <= AT)
# Here two: to PostgreSQL each is one set for a member, and looked up for each line.
_TO_ME = and_(Block.blocker_id == _L.sender_id, Block.blocked_id == Member.user_id)
_BY_ME = and_(Block.blocked_id == _L.sender_id, Block.blocker_id == Member.user_id)
_BARRED = or_(*(select(Block.blocker_id).where(each).correlate_except(Block).exists() for each in (_TO_ME, _BY_ME)))
_BY_PEOPLE = and_(_L.room_id == Member.room_id, _L.kind != "system")
_AUDIBLE = and_(_BY_PEOPLE, ~_BARRED)
_ABOVE = and_(_L.seq > Member.read_seq, _L.seq >= Member.first_seq, _L.ordinal > Member.read_ordinal)
_COUNT = case(
    (_HAS_BLOCKS, select(func.count()).select_from(_L).where(_AUDIBLE, _ABOVE).scalar_subquery()),
    else_=Room.last_ordinal - Member.read_ordinal,
).label("unread")


def _untold(*columns: Any, told: bool = False, audible: Any = _AUDIBLE) -> Select[*tuple[Any, ...]]:
    """The newest line above both cursors; `told`: that is not deleted."""
    lines = select(*columns).where(audible, _ABOVE, _L.ordinal > Member.notified_ordinal)
    lines = lines.where(_L.deleted_at.is_(None)) if told else lines
    return lines.order_by(_L.seq.desc()).limit(1).correlate(Member)


def _of_members(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Memberships in rooms with lines above both cursors."""
    return select(*columns).select_from(Member).join(Room, Room.id == Member.room_id).where(OPEN)


def _of_pairs(some: Select[*tuple[Any, ...]], dialect: str) -> Select[*tuple[Any, ...]]:
    pairs = pairs_in(dialect)
    these = and_(Member.room_id == pairs.c.room_id, Member.user_id == pairs.c.user_id)
    return some.join(pairs, these).execution_options(**DIRECT)


_MINE: tuple[Any, ...] = (
    *(getattr(Member, name) for name in ("user_id", "room_id", "alias", "muted_until", "read_seq")),
    *(getattr(Member, name) for name in ("read_ordinal", "notified_ordinal")),
    Room.kind.label("room_kind"),
    Room.name,
)
_OF_PEOPLE = any_of(Member.user_id, "user_ids")
_MEMBERS = _of_members(
    *_MINE, (Room.last_ordinal - Member.read_ordinal).label("unread"), _HAS_BLOCKS.label("has_blocks")
)
_IN_ROOM = Member.room_id == bindparam("room_id", type_=Uuid())
CROWD = _MEMBERS.where(_OF_PEOPLE, _IN_ROOM).execution_options(**DIRECT)
MEMBERS = {dialect: _of_pairs(_MEMBERS, dialect) for dialect in DIALECTS}

_EACH, _EACH_TOLD = (
    _of_members(*_MINE, _COUNT, _untold(_L.id, told=told).scalar_subquery().label("message_id"))
    for told in (False, True)
)
EACH = {(dialect, False): _of_pairs(_EACH, dialect) for dialect in DIALECTS}
EACH |= {(dialect, True): _of_pairs(_EACH_TOLD, dialect) for dialect in DIALECTS}
"""One by one, for who has blocks; by dialect, and by whether deleted lines are passed over."""

_latest = select(_L.id).where(_L.room_id == Room.id, _L.kind != "system").order_by(_L.seq.desc()).limit(1)
LATEST = {
    told: select(Room.id.label("room_id"), latest.correlate(Room).scalar_subquery().label("message_id"))
    .where(any_of(Room.id, "room_ids"))
    .execution_options(**DIRECT)
    for told, latest in ((False, _latest), (True, _latest.where(_L.deleted_at.is_(None))))
}
"""The newest line of each room, and the newest that is not deleted, for all others."""

_ME = bindparam("user_id", type_=Uuid())
ACROSS = union_all(
    select(Block.blocked_id.label("user_id")).where(Block.blocker_id == _ME),
    select(Block.blocker_id).where(Block.blocked_id == _ME),
)
"""Who is across a block with somebody: the `barred` of a page of their rooms, which looks at many lines."""
_audible = and_(_BY_PEOPLE, ~any_of(_L.sender_id, "barred"))
_moment = _untold(_L.created_at, audible=_audible).scalar_subquery().label("moment")
_MOMENTS = (
    _of_members(Member.room_id, _moment)
    .where(Member.user_id == _ME, _NOT_MUTED)
    .cte("moments")
    .prefix_with("MATERIALIZED")  # else the subquery would be asked again for each place where its answer is used
)
_LISTED = (
    select(_MOMENTS.c.room_id)
    .where(_MOMENTS.c.moment.is_not(None))
    .order_by(_MOMENTS.c.moment.desc(), _MOMENTS.c.room_id.desc())
    .limit(bindparam("most", type_=Integer()))
)
_BEFORE = tuple_(bindparam("before", type_=UtcDateTime()), bindparam("before_id", type_=Uuid()))
FIRST_PAGE = _LISTED.execution_options(**DIRECT)
NEXT_PAGE = _LISTED.where(tuple_(_MOMENTS.c.moment, _MOMENTS.c.room_id) < _BEFORE).execution_options(**DIRECT)

COUNTS = (
    _of_members(Member.user_id, func.count().label("rooms"))
    .where(_OF_PEOPLE, _NOT_MUTED, or_(~_HAS_BLOCKS, _untold(_L.id).exists()))
    .group_by(Member.user_id)
    .execution_options(**DIRECT)
)

_FURTHER = [
    _untold(_L.id, told=True).offset(place).scalar_subquery().label(f"line_{place}") for place in range(1, LINES_SHOWN)
]
_MAILED = (
    select(func.max(Delivery.last_seq))
    .where(Delivery.room_id == Member.room_id, Delivery.user_id == Member.user_id)
    .where(Delivery.channel == "email", Delivery.status == "sent")
    .correlate(Member)
)
_mailed_seq = func.coalesce(_MAILED.scalar_subquery(), 0)
_first_unmailed = (
    _untold(_L.created_at, told=True).where(_L.seq > _mailed_seq).order_by(None).order_by(_L.seq).scalar_subquery()
)
DIGESTS = (
    _EACH_TOLD.add_columns(*_FURTHER, _mailed_seq.label("mailed_seq"), _first_unmailed.label("unmailed_since"))
    .where(_OF_PEOPLE)
    .execution_options(**DIRECT)
)

LINES = (
    select(
        Message.id.label("message_id"),
        *(getattr(Message, name) for name in ("seq", "ordinal", "text", "deleted_at", "created_at", "sender_id")),
        first_file(Message).label("file_name"),
        *(getattr(User, name) for name in ("nickname", "intro", "avatar")),
    )
    .select_from(Message)
    .outerjoin(User, User.id == Message.sender_id)
    .where(any_of(Message.id, "message_ids"))
    .execution_options(**DIRECT)
)
