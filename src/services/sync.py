"""What a device learns when it connects, and how it catches up with what it missed (contract §7)."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.message_views import message_views
from ..db.repositories import Repositories
from ..db.room_views import room_views
from ..db.rows import Row
from ..db.views import me_view
from ..errors import Unauthorized
from ..schemas.messages import Message
from ..schemas.realtime import Ready, RoomSync, Synced, SyncRequest
from ..schemas.rooms import Room

LATEST = 50
"""With so many lines a room comes that a device does not hold."""
AT_MOST = 200
"""So many lines a room come at once of those that a device has missed."""
OVERLAP = timedelta(seconds=30)
"""By so much nodes' clocks may differ, and a COMMIT follow the moment that it writes down."""
_LINES_AT_ONCE = 500


class _Wanted(NamedTuple):
    """A room that a device has not as it is. `since`: the `rev` it holds, or None for nothing that counts."""

    room_id: UUID
    since: int | None
    reset: bool
    lines: int

    @property
    def is_far_behind(self) -> bool:
        return self.since is not None and self.lines > AT_MOST


class Sync:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ready(self, user_id: UUID) -> Ready:
        """Who I am, the epoch, and how much is unread, all of one moment. Raises Unauthorized for nobody."""
        async with self._database.snapshot() as reads:
            row = await reads.users.me_row(user_id)
            if row is None:
                raise Unauthorized
            return Ready(
                user=me_view(row),
                epoch=str(await reads.rooms.epoch()),
                unread_total=await reads.rooms.unread_total(user_id),
                server_time=now(),
            )

    async def sync(self, user_id: UUID, held: SyncRequest) -> Synced:
        """What has changed in my rooms since what a device holds, all of one moment, the latest active room first."""
        async with self._database.snapshot() as reads:
            epoch = str(await reads.rooms.epoch())
            heads = await reads.cursors.heads(user_id)
            current = held.epoch is None or held.epoch == epoch
            touched = await _touched(reads, user_id, heads, held) if current else frozenset()
            wanted = [each for head in heads if (each := _wanted(head, held.rooms.get(head.id), current, touched))]
            rooms: list[RoomSync] = []
            for some in _some_at_once(wanted):
                rooms += await _synced(reads, user_id, some)
                await asyncio.sleep(0)  # SQLite answers without letting anybody else run
            return Synced(
                epoch=epoch,
                rooms=rooms,
                removed=sorted(held.rooms.keys() - {head.id for head in heads}),
                unread_total=await reads.rooms.unread_total(user_id),
            )


async def _touched(reads: Repositories, user_id: UUID, heads: Sequence[Row], held: SyncRequest) -> frozenset[UUID]:
    """Rooms where cursors and settings, which have no `rev`, may have changed without the device hearing of it.

    What it holds as it is it has heard of when that changed, or later; and all that had no `rev` until then.
    """
    seen = [head.changed_at for head in heads if held.rooms.get(head.id) == head.rev]
    return await reads.cursors.touched_rooms_of(user_id, max(seen) - OVERLAP) if seen else frozenset()


def _wanted(head: Row, rev: int | None, current: bool, touched: Collection[UUID]) -> _Wanted | None:
    """What a device lacks of a room that it holds at `rev`, if at all, of the `current` epoch or another.

    Who was away while the room became theirs anew holds lines that are no longer theirs. A direct room is left without
    a new `rev`: who holds just that has perhaps not heard of it.
    """
    if rev is None:
        return _Wanted(head.id, None, False, LATEST)
    if rev == head.rev and current and head.id not in touched:
        return None
    if not current or rev > head.rev or 0 < rev <= head.first_rev:
        return _Wanted(head.id, None, True, LATEST)
    since = max(rev, head.first_rev)  # who holds nothing need not have what was before them looked through
    return _Wanted(head.id, since, False, head.rev - since)


def _some_at_once(wanted: Iterable[_Wanted]) -> Iterator[list[_Wanted]]:
    """In portions of not too many lines."""
    some: list[_Wanted] = []
    for each in wanted:
        some.append(each)
        if sum(min(one.lines, AT_MOST) + 1 for one in some) >= _LINES_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


async def _synced(reads: Repositories, user_id: UUID, wanted: Sequence[_Wanted]) -> list[RoomSync]:
    rows = {row.id: row for row in await reads.cursors.rooms(user_id, [each.room_id for each in wanted])}
    rooms = await room_views(reads, [rows[each.room_id] for each in wanted])
    lines = await _lines(reads, user_id, wanted)
    messages: defaultdict[UUID, list[Message]] = defaultdict(list)
    for message in await message_views(reads, lines, {room_id: row.first_seq for room_id, row in rows.items()}):
        messages[message.room_id].append(message)
    return [_room_sync(each, room, messages[room.id]) for each, room in zip(wanted, rooms, strict=True)]


async def _lines(reads: Repositories, user_id: UUID, wanted: Sequence[_Wanted]) -> list[Row]:
    """Their lines, of each room by `rev`; of one that is far behind one more than are sent.

    Each line has a `rev` of its own: behind by no more than AT_MOST, there are no more lines than that.
    """
    cursors = reads.cursors
    lines: list[Row] = []
    if latest := [each.room_id for each in wanted if each.since is None]:
        lines += await cursors.latest_lines(user_id, latest, LATEST)
    if since := {each.room_id: each.since for each in wanted if each.since is not None and 0 < each.lines <= AT_MOST}:
        lines += await cursors.lines_since(user_id, since)
    for each in wanted:
        if each.since is not None and each.is_far_behind:
            lines += await cursors.first_lines_since(user_id, each.room_id, each.since, AT_MOST + 1)
    return lines


def _room_sync(wanted: _Wanted, room: Room, messages: list[Message]) -> RoomSync:
    has_more = len(messages) > AT_MOST
    shown = messages[:AT_MOST]
    rev = shown[-1].rev if has_more else room.rev
    return RoomSync(room=room, rev=rev, messages=shown, reset=wanted.reset, has_more=has_more)
