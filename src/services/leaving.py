"""Leaving a room, and being removed from one (contract §4, §9)."""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import Forbidden, NotFound
from ..events import RoomLeft
from ..schemas.rooms import RoomRemoved
from .rooms import locked, refuse_unless_managed
from .system_lines import add_system_line, announce_change

LEAVE_GROUPS = "leave_groups"
GROUPS_AT_ONCE = 10
"""Of somebody who leaves all: meanwhile whoever writes in them waits, on SQLite whoever writes anything."""
REST_SECONDS = 0.05


class Leaving:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def leave(self, user_id: UUID, room_id: UUID, *, quiet: bool = False) -> None:
        """A group loses this person, `quiet` without a line; with the last of its members it is gone.

        A direct room leaves their list with its history. Raises NotFound.
        """
        async with self._database.transaction() as tx:
            room = await locked(tx, user_id, room_id)
            if room.kind == "direct":
                await _unlist(tx, room)
            else:
                await _part(tx, room, user_id, room.role, quiet=quiet)

    async def remove(self, user_id: UUID, room_id: UUID, member_id: UUID) -> None:
        """Remove a member from a group; oneself: leave.

        Raises NotFound for a room of others and for who is not in it, Forbidden for members, and for admins where it
        is the owner or another admin.
        """
        if member_id == user_id:
            await self.leave(user_id, room_id)
            return
        async with self._database.transaction() as tx:
            room = await locked(tx, user_id, room_id)
            refuse_unless_managed(room)
            member = await tx.members.one(room_id, member_id)
            if member is None:
                raise NotFound
            if room.role != "owner" and member.role != "member":
                raise Forbidden("Only the owner removes an admin, and nobody the owner.")
            await _part(tx, room, member_id, member.role)

    async def finish(self, item: Row) -> None:
        """What an outbox row asks for: somebody who has deleted the account leaves the groups that remain."""
        user_id = UUID(item.payload["user_id"])
        while await self._leave_some(user_id):  # noqa: ASYNC110 - it rests, and waits for nothing
            await asyncio.sleep(REST_SECONDS)

    async def _leave_some(self, user_id: UUID) -> bool:
        async with self._database.transaction() as tx:
            groups = await tx.departures.groups_of(user_id, GROUPS_AT_ONCE)
            await leave_each(tx, user_id, groups)
            return bool(groups)


async def leave_each(tx: Transaction, user_id: UUID, group_ids: Iterable[UUID]) -> None:
    """Have somebody leave these groups, which come in the order of their ids."""
    for group_id in group_ids:
        with contextlib.suppress(NotFound):  # they were removed while we waited for the lock
            room = await locked(tx, user_id, group_id)
            await _part(tx, room, user_id, room.role)
        await asyncio.sleep(0)  # SQLite works without letting anybody else run


async def _part(tx: Transaction, room: Row, member_id: UUID, role: str, *, quiet: bool = False) -> None:
    """Take somebody out of a group; an owner is followed by the longest-serving admin, else member."""
    at = now()
    await tx.members.remove(room.id, member_id)
    tx.announce(RoomLeft(frozenset({member_id}), RoomRemoved(room_id=room.id)))
    await tx.rooms.change_roster(room.id)
    left = await tx.members.count(room.id)
    if not left:
        await tx.rooms.abandon(room.id, at)
        return
    changed: dict[str, Any] = {"member_count": left, "left": [member_id]}
    next_owner = await tx.members.next_owner(room.id) if role == "owner" else None
    if next_owner:
        await tx.members.change(room.id, next_owner, role="owner")
        changed["roles"] = {next_owner: "owner"}
    if member_id != room.user_id:
        await add_system_line(tx, room, at, "removed", room.user_id, [member_id])
    elif not quiet:
        await add_system_line(tx, room, at, "left", room.user_id)
    await announce_change(tx, room.id, at, **changed)


async def _unlist(tx: Transaction, room: Row) -> None:
    """Take a direct room out of somebody's list: it begins anew for them behind its last line.

    Nothing of it is unread for them, and nobody is told that they had read it.
    """
    if room.listed_at is None:
        return
    at = now()
    anew = {"first_seq": room.last_seq + 1, "first_rev": room.rev, "read_ordinal": room.last_ordinal}
    await tx.members.change(room.id, room.user_id, listed_at=None, touched_at=at, **anew)
    await tx.rooms.change_roster(room.id)
    tx.announce(RoomLeft(frozenset({room.user_id}), RoomRemoved(room_id=room.id)))
