"""What somebody may see of what they are told: one predicate for lists, counts and every channel (contract §7, §8).

Preferences are no part of it: each channel has its own.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select
from sqlalchemy.orm import aliased

from .models import Block, File, Member, Message, MessageFile, Notification, User, UtcDateTime

ACTOR, MINE, LINE = aliased(User), aliased(Member), aliased(Message)
AT = bindparam("at", type_=UtcDateTime())


def barred(one: Any, other: Any) -> ColumnElement[bool]:
    """Is there a block between the two, either way?"""
    by_one = select(Block.blocker_id).where(Block.blocker_id == one, Block.blocked_id == other)
    by_other = select(Block.blocker_id).where(Block.blocker_id == other, Block.blocked_id == one)
    return or_(by_one.exists(), by_other.exists())


def first_file(line: Any) -> ColumnElement[str | None]:
    """The name of a line's first file, if it has any."""
    name = (
        select(File.name)
        .join(MessageFile, MessageFile.file_id == File.id)
        .where(MessageFile.message_id == line.id)
        .order_by(MessageFile.position)
        .limit(1)
    )
    return case((or_(line.kind == "image", line.kind == "file"), name.scalar_subquery()))


_KIND = Notification.kind
_IN_ROOM = and_(
    MINE.listed_at.is_not(None),
    Notification.seq >= MINE.first_seq,
    or_(_KIND == "mention", MINE.muted_until.is_(None), MINE.muted_until <= AT),
)
VISIBLE = and_(
    ~barred(Notification.actor_id, Notification.user_id),
    or_(Notification.room_id.is_(None), _IN_ROOM),
    or_(Notification.message_id.is_(None), LINE.deleted_at.is_(None)),
    or_(and_(_KIND != "friend_request", _KIND != "friend_accepted"), ACTOR.deleted_at.is_(None)),
)
"""A row of `FOUND` that may be shown at the moment `at`. A muted room tells of mentions alone."""

PASSED = or_(
    and_(_KIND == "mention", MINE.read_seq >= Notification.seq),
    and_(_KIND == "room_invite", MINE.read_seq > Notification.seq),
)
"""It was read with its room, by writing there, and nothing wrote that down."""

UNREAD = and_(Notification.read_at.is_(None), or_(MINE.read_seq.is_(None), ~PASSED))

_OWN_LINES_SEARCHED = 1000
_OWN = aliased(Message)
_wrote_at = (
    select(_OWN.created_at)
    .where(_OWN.room_id == Notification.room_id, _OWN.sender_id == Notification.user_id)
    .where(_OWN.seq.between(Notification.seq, Notification.seq + _OWN_LINES_SEARCHED))
    .order_by(_OWN.seq)
    .limit(1)
)
_CURSOR = aliased(Message)
_cursor_at = select(_CURSOR.created_at).where(_CURSOR.room_id == MINE.room_id, _CURSOR.seq == MINE.read_seq)
_READ_AT = func.coalesce(
    Notification.read_at, case((PASSED, func.coalesce(_wrote_at.scalar_subquery(), _cursor_at.scalar_subquery())))
)

JOINED = (
    select(Notification.user_id)
    .select_from(Notification)
    .outerjoin(ACTOR, ACTOR.id == Notification.actor_id)
    .outerjoin(MINE, and_(MINE.room_id == Notification.room_id, MINE.user_id == Notification.user_id))
    .outerjoin(LINE, LINE.id == Notification.message_id)
)
FOUND = JOINED.add_columns(
    *(getattr(Notification, name) for name in ("id", "kind", "actor_id", "room_id", "message_id", "seq", "emoji")),
    Notification.created_at,
    _READ_AT.label("read_at"),
    *(getattr(ACTOR, name) for name in ("nickname", "intro", "avatar")),
    LINE.text,
    first_file(LINE).label("file_name"),
)
"""What `notification_views.stored_view` makes a view of."""
