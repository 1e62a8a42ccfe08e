"""The statements of what rooms tell their members: see repositories/room_notifications.py."""

from typing import Any

from sqlalchemy import Integer, Uuid, and_, bindparam, case, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from .models import Block, Member, Message, Notification, Room, User, UtcDateTime
from .snapshots import DIRECT, any_of
from .visible_notifications import AT, barred, first_file

LINES_SHOWN = 3
"""So many of its newest lines a digest shows of a room."""

_LINE, _SENDER, _L = aliased(Message), aliased(User), aliased(Message)
OPEN = and_(
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
    .where(OPEN)
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
FIRST_PAGE = _LISTED.execution_options(**DIRECT)
NEXT_PAGE = _LISTED.where(tuple_(_LINE.created_at, Member.room_id) < _BEFORE).execution_options(**DIRECT)

_MEMBERS = (
    select(*_MINE, (Room.last_ordinal - Member.read_ordinal).label("unread"), _HAS_BLOCKS.label("has_blocks"))
    .select_from(Member)
    .join(Room, Room.id == Member.room_id)
    .where(OPEN, any_of(Member.user_id, "user_ids"))
)
_OF_A_CROWD = Member.room_id == bindparam("room_id", type_=Uuid())
# Not simply the column: for rooms and people SQLite would try each with each, where these people's rows are few.
_OF_ROOMS = any_of(func.coalesce(Member.room_id, Member.user_id), "room_ids")
CROWD_OF, SCATTERED = (_MEMBERS.where(each).execution_options(**DIRECT) for each in (_OF_A_CROWD, _OF_ROOMS))
EACH_OF = {
    text: _all.where(any_of(Member.user_id, "user_ids"), _OF_ROOMS).execution_options(**DIRECT)
    for text, _all in ((False, _EACH), (True, _EACH_TEXT))
}
_LATEST = select(_L.id).where(_L.room_id == Room.id, _L.kind != "system").order_by(_L.seq.desc()).limit(1)
LATEST_OF = {
    text: select(Room.id.label("room_id"), *_SHOWN)
    .select_from(Room)
    .join(_LINE, _LINE.id == latest.correlate(Room).scalar_subquery())
    .outerjoin(_SENDER, _SENDER.id == _LINE.sender_id)
    .where(any_of(Room.id, "room_ids"))
    .execution_options(**DIRECT)
    for text, latest in ((False, _LATEST), (True, _LATEST.where(_L.deleted_at.is_(None))))
}
"""The newest line of each room, and the newest that is not deleted."""

COUNTS = (
    select(Member.user_id, func.count().label("rooms"))
    .select_from(Member)
    .join(Room, Room.id == Member.room_id)
    .where(OPEN, any_of(Member.user_id, "user_ids"), or_(Member.muted_until.is_(None), Member.muted_until <= AT))
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
DIGESTS = (
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
LINES = (
    select(*_SHOWN)
    .select_from(_LINE)
    .outerjoin(_SENDER, _SENDER.id == _LINE.sender_id)
    .where(any_of(_LINE.id, "message_ids"))
    .execution_options(**DIRECT)
)
