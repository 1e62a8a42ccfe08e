"""Rooms as a member sees them, gathered for a whole list at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from ..schemas.messages import Message
from ..schemas.people import User
from ..schemas.rooms import Member, MyMembership, Room
from .message_views import message_views
from .repositories import Repositories
from .rows import Row
from .views import user_view

NAMES_SHOWN = 5
"""A group without a name shows so many of its other members' names."""

Lines = Mapping[tuple[UUID, int], Message]


async def room_views(reads: Repositories, mine: Sequence[Row]) -> list[Room]:
    """These rooms, in their order, each as the member sees it whose membership the row carries.

    `mine`: rows of `rooms.joined_by`.
    """
    if not mine:
        return []
    members: defaultdict[UUID, list[Member]] = defaultdict(list)
    counts = await reads.members.counts([each.id for each in mine])
    for row in await reads.members.first_of(counts):
        members[row.room_id].append(member_view(row))
    lines = await _lines(reads, mine, {each.user.id: each.user for some in members.values() for each in some})
    return [_room(each, members[each.id], counts.get(each.id, 0), lines) for each in mine]


async def _lines(reads: Repositories, mine: Sequence[Row], known: Mapping[UUID, User]) -> Lines:
    """Each room's last line and its notice, where they may be read."""
    first_seq = {each.id: each.first_seq for each in mine}
    rows = await reads.messages.last_and_pinned(first_seq)
    rows = [row for row in rows if row.seq >= first_seq[row.room_id]]
    views = await message_views(reads, rows, first_seq, known)
    return {(view.room_id, view.seq): view for view in views}


def _room(mine: Row, members: list[Member], member_count: int, lines: Lines) -> Room:
    others = [member.user for member in members[: NAMES_SHOWN + 1] if member.user.id != mine.user_id]
    return Room(
        id=mine.id,
        kind=mine.kind,
        name=mine.name,
        display_name=mine.alias or mine.name or names(others),
        avatar_url=others[0].avatar_url if mine.kind == "direct" and others else None,
        members=members,
        member_count=member_count,
        last_message=lines.get((mine.id, mine.last_seq)),
        last_seq=mine.last_seq,
        rev=mine.rev,
        notice=lines.get((mine.id, mine.notice_seq)),
        me=membership_view(mine),
        created_at=mine.created_at,
    )


def names(others: Sequence[User]) -> str:
    """What a room without a name is called, by others who are in it."""
    return ", ".join([person.nickname for person in others if person.nickname][:NAMES_SHOWN])


def membership_view(mine: Row) -> MyMembership:
    """What a room is to one member, from a row of `rooms.joined_by`."""
    return MyMembership(
        role=mine.role,
        read_seq=mine.read_seq,
        unread_count=mine.last_ordinal - mine.read_ordinal,
        muted_until=mine.muted_until,
        pinned=mine.pinned,
        alias=mine.alias,
        first_seq=mine.first_seq,
    )


def member_view(row: Row) -> Member:
    """A member as every other sees them, from a row of `members`."""
    return Member(user=user_view(row), role=row.role, read_seq=row.read_seq, joined_at=row.joined_at)
