"""Rows of rooms and messages as the wire shows them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from ..schemas.messages import Message
from ..schemas.people import User
from ..schemas.rooms import Member, MyMembership, Room
from .views import user_view


def message_view(row: Row[Any]) -> Message:
    """A line with its sender, from `messages.by_client_id`, `at`, `before` or `after`."""
    return Message(
        id=row.id,
        room_id=row.room_id,
        seq=row.seq,
        rev=row.rev,
        kind=row.kind,
        sender=_sender(row),
        text=row.text,
        client_id=row.client_id,
        created_at=row.created_at,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )


def _sender(row: Row[Any]) -> User | None:
    if row.sender_id is None:
        return None
    gone = row.sender_deleted_at is not None
    return User(
        id=row.sender_id,
        nickname=None if gone else row.sender_nickname,
        intro="" if gone else row.sender_intro,
        avatar_url=None,
    )


def room_view(mine: Row[Any], members: Sequence[Row[Any]], last_message: Message | None) -> Room:
    """A direct room as the person sees it whose membership `mine` carries; `members` are all of the room's."""
    partner = partner_of(members, mine.user_id)
    return Room(
        id=mine.id,
        kind=mine.kind,
        name=mine.name,
        display_name=user_view(partner).nickname or "",
        avatar_url=user_view(partner).avatar_url,
        members=[_member(row) for row in members],
        member_count=len(members),
        last_message=last_message,
        last_seq=mine.last_seq,
        rev=mine.rev,
        me=MyMembership(
            role=mine.role,
            read_seq=mine.read_seq,
            unread_count=mine.last_ordinal - mine.read_ordinal,
            first_seq=mine.first_seq,
        ),
        created_at=mine.created_at,
    )


def _member(row: Row[Any]) -> Member:
    return Member(user=user_view(row), role=row.role, read_seq=row.read_seq, joined_at=row.joined_at)


def partner_of(members: Sequence[Row[Any]], user_id: UUID) -> Row[Any]:
    """The other one of a direct room."""
    return next(row for row in members if row.id != user_id)
