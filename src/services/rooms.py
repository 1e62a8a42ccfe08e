"""Rooms: opening one with somebody, finding mine, and changing one for all or for me (contract §4)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from ..clock import now
from ..db import cursors, names
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.repositories import Repositories
from ..db.room_views import member_view, membership_view, room_views
from ..db.rows import Row
from ..errors import Blocked, FieldError, Forbidden, Invalid, NotFound
from ..events import RoomAdded, RoomSettingsChanged
from ..schemas.common import Page, PageQuery
from ..schemas.rooms import Member, MembershipPatch, Room, RoomPatch, RoomSettings, RoomsQuery
from .notices import settle
from .system_lines import add_system_line, announce_change, announce_notice


class Rooms:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_direct(self, user_id: UUID, other_id: UUID) -> tuple[Room, bool]:
        """The one room of these two, made if need be; True if it was.

        The other one sees it with its first message. Raises NotFound for nobody, Blocked if they have blocked
        this person, Invalid for oneself.
        """
        if user_id == other_id:
            raise Invalid(errors=[FieldError("user_id", "oneself", "must be somebody else")])
        low_id, high_id = sorted((user_id, other_id))
        async with self._database.transaction() as tx:
            if not await tx.people.lock_pair(user_id, other_id):
                raise NotFound
            if await tx.blocks.has(other_id, user_id):
                raise Blocked
            made = await tx.rooms.add_direct(new_id(), low_id, high_id, now())
            room_id = await tx.rooms.direct_room_of(low_id, high_id)
            return await _listed(tx, user_id, room_id), made

    async def one(self, user_id: UUID, room_id: UUID) -> Room:
        """A room of mine. Raises NotFound for anybody else's."""
        async with self._database.snapshot() as reads:
            return await room_as_seen_by(reads, user_id, room_id)

    async def find(self, user_id: UUID, query: RoomsQuery) -> Page[Room]:
        """The rooms in my list, or those that `query.q` finds; the newest activity first.

        Raises Invalid for a cursor that was not given out.
        """
        before = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            rows = await reads.rooms.listed_by(user_id, query.q, before, query.limit)
            rows, following = cursors.cut(rows, query.limit, lambda row: (row.moment, row.id))
            return Page(items=await room_views(reads, rows), next_cursor=following)

    async def members(self, user_id: UUID, room_id: UUID, query: PageQuery) -> Page[Member]:
        """The members of a room of mine, the earliest first. Raises NotFound, and Invalid for a faulty cursor."""
        after = cursors.decode(query.cursor, datetime, UUID)
        async with self._database.snapshot() as reads:
            if await reads.rooms.joined_by(user_id, room_id) is None:
                raise NotFound
            rows = await reads.members.page(room_id, after, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.joined_at, row.id))
        return Page(items=[member_view(row) for row in rows], next_cursor=following)

    async def change(self, user_id: UUID, room_id: UUID, patch: RoomPatch) -> Room:
        """Change the name or the notice for everybody, and say so in a line. The same again changes nothing.

        Raises NotFound, Forbidden for who may not, Invalid for a notice that is no message which they can read.
        """
        async with self._database.transaction() as tx:
            room = await locked(tx, user_id, room_id)
            if "name" in patch.model_fields_set:
                await _rename(tx, room, patch.name)
            if "notice_id" in patch.model_fields_set:
                await _pin(tx, room, patch.notice_id)
            return await room_as_seen_by(tx, user_id, room_id)

    async def change_mine(self, user_id: UUID, room_id: UUID, patch: MembershipPatch) -> Room:
        """Mute, pin or name a room for me alone. Raises NotFound."""
        async with self._database.transaction() as tx:
            mine = await tx.rooms.joined_by(user_id, room_id)
            if mine is None:
                raise NotFound
            if changes := _changes(mine, patch):
                await tx.members.change(room_id, user_id, touched_at=now(), **changes)
                mine = await _joined(tx, user_id, room_id)
                settings = RoomSettings(room_id=room_id, me=membership_view(mine))
                tx.announce(RoomSettingsChanged(frozenset({user_id}), settings))
                if "muted_until" in changes:
                    await _settle_muted(tx, user_id, room_id)
            return await room_as_seen_by(tx, user_id, room_id)


async def room_as_seen_by(reads: Repositories, user_id: UUID, room_id: UUID) -> Room:
    """The room with its members and its last line, as this member sees it. Raises NotFound for who is not in it."""
    (room,) = await room_views(reads, [await _joined(reads, user_id, room_id)])
    return room


async def locked(tx: Transaction, user_id: UUID, room_id: UUID) -> Row:
    """The room, locked, with this person's membership as it is under the lock. Raises NotFound for who is not in it."""
    if await tx.rooms.joined_by_and_locked(user_id, room_id) is None:
        raise NotFound
    return await _joined(tx, user_id, room_id)


def refuse_unless_managed(room: Row) -> None:
    """Raise Forbidden unless the room is a group and the membership with it an owner's or an admin's."""
    if room.kind != "group":
        raise Forbidden("A direct room has nothing of that.")
    if room.role == "member":
        raise Forbidden("Only the owner and the admins of the group may do this.")


async def refuse_across_block(reads: Repositories, room: Row) -> None:
    """Raise Blocked in a direct room whose two have a block between them."""
    if room.kind == "direct" and await reads.blocks.between(room.low_id, room.high_id):
        raise Blocked


async def _joined(reads: Repositories, user_id: UUID, room_id: UUID) -> Row:
    mine = await reads.rooms.joined_by(user_id, room_id)
    if mine is None:
        raise NotFound
    return mine


async def _listed(tx: Transaction, user_id: UUID, room_id: UUID) -> Room:
    """The room, in this person's list from now on; announced to their devices if it was not."""
    mine = await _joined(tx, user_id, room_id)
    if mine.listed_at is not None:
        return await room_as_seen_by(tx, user_id, room_id)
    mine = await locked(tx, user_id, room_id)
    if mine.listed_at is None:
        await tx.rooms.list_for(room_id, [user_id], now())
        tx.announce(RoomAdded(frozenset({user_id}), await room_as_seen_by(tx, user_id, room_id)))
    return await room_as_seen_by(tx, user_id, room_id)


async def _rename(tx: Transaction, room: Row, name: str | None) -> None:
    refuse_unless_managed(room)
    if name == room.name:
        return
    at = now()
    await tx.rooms.rename(room.id, name)
    await add_system_line(tx, room, at, "renamed", room.user_id, name=name)
    await announce_change(tx, room.id, at, name=name)


async def _pin(tx: Transaction, room: Row, message_id: UUID | None) -> None:
    """Pin a message, or none. In a direct room both may, unless there is a block between them."""
    await refuse_across_block(tx, room)
    if room.kind == "group":
        refuse_unless_managed(room)
    pinned = await _readable(tx, room, message_id) if message_id else None
    seq = pinned.seq if pinned else None
    if seq == room.notice_seq:
        return
    at = now()
    await tx.rooms.set_notice(room.id, seq)
    if pinned:
        await add_system_line(tx, room, at, "notice_set", room.user_id, seq=seq)
        await announce_notice(tx, room.id, at, pinned)
    else:
        await add_system_line(tx, room, at, "notice_cleared", room.user_id)
        await announce_change(tx, room.id, at, notice=None)


async def _readable(tx: Transaction, room: Row, message_id: UUID) -> Row:
    row = await tx.messages.in_room(room.id, message_id)
    if row is None or row.seq < room.first_seq or row.deleted_at is not None or row.kind == "system":
        raise Invalid(errors=[FieldError("notice_id", "notice", "must be a message of this room that you can read")])
    return row


async def _settle_muted(tx: Transaction, user_id: UUID, room_id: UUID) -> None:
    """What the room tells of is shown no more, or again: all but mentions, which muting does not concern."""
    rows = await tx.notifications.of_rooms([(user_id, room_id)])
    settle(tx, {user_id: {room_id, *(row.id for row in rows if row.kind != "mention")}})


def _changes(mine: Row, patch: MembershipPatch) -> dict[str, Any]:
    """The columns that `patch` gives another value than they have."""
    given = {name: getattr(patch, name) for name in patch.model_fields_set}
    if given.get("muted_until") and given["muted_until"] <= now():
        given["muted_until"] = None
    if "alias" in given:
        key, initials = names.keys(given["alias"]) if given["alias"] else (None, None)
        given |= {"alias_key": key, "alias_initials": initials}
    return {name: value for name, value in given.items() if value != getattr(mine, name)}
