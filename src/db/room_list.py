"""The statement of somebody's room list: newest activity first, found by name, alias or member."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Uuid, bindparam, case, false, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from . import names
from .cursors import Key
from .models import Member, Room, User, UtcDateTime
from .name_matches import matches
from .snapshots import DIRECT, any_of

JOINED = select(*Room.__table__.columns, *(each for each in Member.__table__.columns if each.name != "room_id")).join(
    Member, Member.room_id == Room.id
)
"""A room and somebody's membership in it: the columns of `rooms` and of `members`."""

_IN_LIST, _THE_ROOM = aliased(Member), aliased(Room)
UNREAD_TOTAL = (
    select(func.coalesce(func.sum(_THE_ROOM.last_ordinal - _IN_LIST.read_ordinal), 0))
    .select_from(_IN_LIST)
    .join(_THE_ROOM, _THE_ROOM.id == _IN_LIST.room_id)
    .where(_IN_LIST.user_id == bindparam("user_id"), _IN_LIST.listed_at.is_not(None))
)
"""How much is unread for `user_id` over all rooms in their list; also as a subquery, of aliases."""
UNREAD_TOTALS = (
    select(_IN_LIST.user_id, func.sum(_THE_ROOM.last_ordinal - _IN_LIST.read_ordinal).label("unread"))
    .join(_THE_ROOM, _THE_ROOM.id == _IN_LIST.room_id)
    .where(any_of(_IN_LIST.user_id, "user_ids"), _IN_LIST.listed_at.is_not(None))
    .group_by(_IN_LIST.user_id)
    .execution_options(**DIRECT)
)
"""The same for some people."""

_USER = bindparam("user_id", type_=Uuid())
_MOMENT: ColumnElement[datetime] = case((Room.active_at > Member.listed_at, Room.active_at), else_=Member.listed_at)
_LISTED = (
    select(
        *(getattr(Room, name) for name in ("id", "kind", "name", "last_seq", "last_ordinal", "rev", "notice_seq")),
        Room.created_at,
        *(getattr(Member, name) for name in ("user_id", "role", "first_seq", "read_seq", "read_ordinal")),
        *(getattr(Member, name) for name in ("muted_until", "pinned", "alias")),
        _MOMENT.label("moment"),
    )
    .join(Member, Member.room_id == Room.id)
    .where(Member.user_id == _USER, Member.listed_at.is_not(None))
    .order_by(_MOMENT.desc(), Room.id.desc())
    .limit(bindparam("most", type_=Integer()))
)
_BEFORE = tuple_(bindparam("before", type_=UtcDateTime()), bindparam("before_id", type_=Uuid()))
_FURTHER = _LISTED.where(tuple_(_MOMENT, Room.id) < _BEFORE)
_ALL, _FURTHER_OF_ALL = (each.execution_options(**DIRECT) for each in (_LISTED, _FURTHER))

_MINE = select(Member.room_id).where(Member.user_id == _USER, Member.listed_at.is_not(None))
_OTHER = aliased(Member)
_OTHERS = (_OTHER.room_id.in_(_MINE), _OTHER.user_id != _USER)


def room_list(
    user_id: UUID, text: str | None, before: Key | None, limit: int
) -> tuple[Select[*tuple[Any, ...]], dict[str, Any]]:
    """The statement and its parameters, for one row more than `limit`."""
    values: dict[str, Any] = {"user_id": user_id, "most": limit + 1}
    if before:
        values |= {"before": before[0], "before_id": before[1]}
    if text:
        return (_FURTHER if before else _LISTED).where(_found(names.queries(text))), values
    return (_FURTHER_OF_ALL if before else _ALL), values


def _found(readings: list[names.NameQuery]) -> ColumnElement[bool]:
    """By name, by alias, or by a member but oneself. Whom I share rooms with is few, and each is looked at once."""
    by_name = [matches(each, Room.name_key, Room.name_initials) for each in readings]
    by_alias = [matches(each, Member.alias_key, Member.alias_initials) for each in readings]
    nicknames = or_(*(matches(each, User.nickname_key, User.nickname_initials) for each in readings))
    known = select(_OTHER.user_id).where(*_OTHERS)
    people = select(User.id).where(User.id.in_(known), User.deleted_at.is_(None), nicknames)
    # Not simply the column: SQLite would try each of my rooms with each of these people.
    with_them = select(_OTHER.room_id).where(*_OTHERS, func.coalesce(_OTHER.user_id, _USER).in_(people))
    return or_(false(), *by_name, *by_alias, Room.id.in_(with_them))
