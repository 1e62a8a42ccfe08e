"""Groups: making one, inviting, giving roles, leaving and removing (contract §4, §9).

People are locked before the room, so that two transactions never wait for each other; under the room's lock its members
are those that there are.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.room_views import member_view, room_views
from ..db.rows import Row
from ..errors import Conflict, Forbidden, NotFound, Unauthorized
from ..events import MessageSent, RoomAdded, RoomChanged
from ..schemas.messages import Message
from ..schemas.rooms import GroupDraft, MyMembership, Role, Room, RoomChange
from .notices import Notices
from .rooms import locked, room_as_seen_by
from .system_lines import announce_change, store_system_line


class Groups:
    """`most_members`: how many a group can have."""

    def __init__(self, database: Database, notices: Notices, most_members: int) -> None:
        self._database = database
        self._notices = notices
        self._most_members = most_members

    async def make(self, owner_id: UUID, draft: GroupDraft) -> Room:
        """A group of this person, its owner, and friends of theirs; everybody has it in their list.

        Raises Forbidden if one of them is no friend, Conflict for too many.
        """
        others = set(draft.member_ids) - {owner_id}
        self._refuse_more_than_fit(1 + len(others))
        async with self._database.transaction() as tx:
            if owner_id not in await tx.people.lock({owner_id, *others}):
                raise Unauthorized("This account is gone.")
            await _refuse_strangers(tx, owner_id, others)
            room_id, at = new_id(), now()
            await tx.rooms.add_group(room_id, draft.name, at)
            roles: dict[UUID, str] = {owner_id: "owner", **dict.fromkeys(others, "member")}
            await _join(tx, room_id, roles, at)
            line = await store_system_line(tx, room_id, at, "created", owner_id, sorted(others))
            await self._tell_invited(tx, others, line, owner_id)
            return (await _announce_added(tx, room_id, roles))[owner_id]

    async def invite(self, user_id: UUID, room_id: UUID, user_ids: Collection[UUID]) -> Room:
        """Add friends to a group; they read from the line that says so. Who is in already stays as they are.

        Raises NotFound for a room of others, Forbidden in a direct room and for who is no friend, Conflict for too
        many: then nobody is added.
        """
        async with self._database.transaction() as tx:
            if await tx.rooms.joined_by(user_id, room_id) is None:
                raise NotFound
            wanted = {user_id, *user_ids}
            await tx.people.lock(wanted)
            room = await locked(tx, user_id, room_id)
            if room.kind != "group":
                raise Forbidden("A direct room has room for two.")
            newcomers = wanted - {row.id for row in await tx.members.some(room_id, wanted)}
            if newcomers:
                await _refuse_strangers(tx, user_id, newcomers)
                self._refuse_more_than_fit(await tx.members.count(room_id) + len(newcomers))
                line = await _add(tx, room, newcomers)
                await self._tell_invited(tx, newcomers, line, user_id)
            return await room_as_seen_by(tx, user_id, room_id)

    async def set_role(self, user_id: UUID, room_id: UUID, member_id: UUID, role: Role) -> Room:
        """Give a member a role. `owner` hands the group over: who was the owner is an admin then.

        Raises NotFound for a room of others and for who is not in it, Forbidden for all but the owner, who cannot give
        the group up without naming another.
        """
        async with self._database.transaction() as tx:
            room = await locked(tx, user_id, room_id)
            if room.kind != "group" or room.role != "owner":
                raise Forbidden("Only the owner of a group gives roles.")
            member = await tx.members.one(room_id, member_id)
            if member is None:
                raise NotFound
            if member.role != role:
                if member_id == user_id:
                    raise Forbidden("Make another member the owner first.")
                await _give(tx, room, {member_id: role, **({user_id: "admin"} if role == "owner" else {})})
            return await room_as_seen_by(tx, user_id, room_id)

    async def _tell_invited(self, tx: Transaction, user_ids: Collection[UUID], line: Message, by_id: UUID) -> None:
        """`line`: the one with which they have joined."""
        of = {"actor_id": by_id, "room_id": line.room_id, "seq": line.seq}
        await self._notices.tell(tx, "room_invite", user_ids, line.created_at, **of)

    def _refuse_more_than_fit(self, members: int) -> None:
        if members > self._most_members:
            raise Conflict(f"A group has at most {self._most_members} members.")


async def _refuse_strangers(tx: Transaction, user_id: UUID, others: Collection[UUID]) -> None:
    """Who deleted the account, does not exist or is a stranger: they are refused alike."""
    if set(others) - await tx.friendships.friends_among(user_id, others):
        raise Forbidden("You can only add friends of yours.")


async def _add(tx: Transaction, room: Row, newcomers: Collection[UUID]) -> Message:
    """The line that says so. Newcomers have the whole from `room_added`, all others from the line and the change."""
    at = now()
    joining = {"last_seq": room.last_seq, "rev": room.rev, "last_ordinal": room.last_ordinal}
    await _join(tx, room.id, dict.fromkeys(newcomers, "member"), at, **joining)
    await tx.rooms.change_roster(room.id)
    line = await store_system_line(tx, room.id, at, "joined", room.user_id, sorted(newcomers))
    rev = await tx.rooms.next_rev(room.id, at)
    await _announce_added(tx, room.id, newcomers)
    hearers = await tx.members.hearing(room.id)
    joined = [member_view(row) for row in await tx.members.some(room.id, newcomers)]
    count = await tx.members.count(room.id)
    tx.announce(MessageSent(hearers, line))
    tx.announce(RoomChanged(hearers, RoomChange(room_id=room.id, rev=rev, member_count=count, joined=joined)))
    return line


async def _join(  # noqa: PLR0913 - the numbers of the room
    tx: Transaction,
    room_id: UUID,
    roles: Mapping[UUID, str],
    at: datetime,
    *,
    last_seq: int = 0,
    rev: int = 0,
    last_ordinal: int = 0,
) -> None:
    """Make these people members, from the room's next line on; the numbers are the room's so far."""
    first = {"first_seq": last_seq + 1, "first_rev": rev, "read_seq": last_seq + 1, "read_ordinal": last_ordinal}
    await tx.members.add(room_id, roles, listed_at=at, joined_at=at, pinned=False, **first)


async def _announce_added(tx: Transaction, room_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, Room]:
    """Tell people who joined with the same line of their room; the room as each of them sees it.

    Most see the same: one event for all of them is encoded once.
    """
    rows = await tx.rooms.joined_by_each(room_id, user_ids)
    views = {row.user_id: room for row, room in zip(rows, await room_views(tx, rows), strict=True)}
    alike: dict[tuple[str, MyMembership], set[UUID]] = {}
    for user_id, room in views.items():
        alike.setdefault((room.display_name, room.me), set()).add(user_id)
    for audience in alike.values():
        tx.announce(RoomAdded(frozenset(audience), views[next(iter(audience))]))
    return views


async def _give(tx: Transaction, room: Row, roles: Mapping[UUID, Role]) -> None:
    for member_id, role in roles.items():
        await tx.members.change(room.id, member_id, role=role)
    await tx.rooms.change_roster(room.id)
    await announce_change(tx, room.id, now(), roles=roles)
