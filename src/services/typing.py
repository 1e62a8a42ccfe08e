"""Who is typing where (contract §7): a hint, kept in memory alone, which ends by itself.

Who hears that somebody types is asked of the database when they begin; whoever leaves after that hears no more.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from ..db.database import Database
from ..errors import NotFound
from ..events import Event, FriendChanged, MessageSent, RoomLeft, TypingChanged
from ..schemas.people import FriendChange
from ..schemas.rooms import Typing

ROOMS_AT_ONCE = 20
"""In so many rooms somebody can type at a time; to begin in another ends the one begun first."""


@dataclass(slots=True)
class _Begun:
    hearers: frozenset[UUID]
    direct: bool
    ends: asyncio.TimerHandle


class TypingState:
    """`publish`: where it is told. `lasts_seconds`: for how long somebody types who does not say so again."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Event]], None], *, lasts_seconds: float = 6.0
    ) -> None:
        self._database = database
        self._publish = publish
        self._lasts_seconds = lasts_seconds
        self._typing: defaultdict[UUID, dict[UUID, _Begun]] = defaultdict(dict)  # room by room, by person
        self._departures = 0

    async def set(self, user_id: UUID, room_id: UUID, on: bool) -> None:
        """Somebody types in a room, still types, or no longer. Raises NotFound for who is not in it."""
        begun = self._typing.get(user_id, {}).get(room_id)
        if begun and on:
            begun.ends.cancel()
            begun.ends = self._end_later(user_id, room_id)
        elif begun:
            self._end(user_id, room_id)
        else:
            hearers, direct = await self._hearers(user_id, room_id)
            if on:
                self._begin(user_id, room_id, hearers, direct)

    def disconnected(self, user_id: UUID) -> None:
        """This person's last socket is gone. Returns at once."""
        for room_id in list(self._typing.get(user_id, ())):
            self._end(user_id, room_id)

    def hear(self, events: Sequence[Event]) -> None:
        """Subscribed to the bus: a message ends its sender's typing, and who leaves neither types nor hears of it."""
        for event in events:
            match event:
                case MessageSent(message=message) if message.sender:
                    self._end(message.sender.id, message.room_id)
                case RoomLeft(audience=gone, room=room):
                    self._part(room.room_id, gone)
                case FriendChanged(audience=blockers, change=FriendChange(relationship="blocked", user=user)):
                    self._fall_silent(blockers | {user.id})

    async def _hearers(self, user_id: UUID, room_id: UUID) -> tuple[frozenset[UUID], bool]:
        """Who hears that somebody types, and whether the room is direct. Raises NotFound."""
        departures = None
        while departures != self._departures:  # somebody left while we asked: perhaps here
            departures = self._departures
            async with self._database.single_read() as reads:
                rows = await reads.cursors.seen_typing_by(room_id, user_id)
        if not rows:
            raise NotFound
        return frozenset(row.user_id for row in rows) - {user_id}, rows[0].kind == "direct"

    def _begin(self, user_id: UUID, room_id: UUID, hearers: frozenset[UUID], direct: bool) -> None:
        mine = self._typing[user_id]
        if begun := mine.pop(room_id, None):  # while we asked, another device of theirs began
            begun.ends.cancel()
        elif len(mine) >= ROOMS_AT_ONCE:
            self._end(user_id, next(iter(mine)))
        mine[room_id] = _Begun(hearers, direct, self._end_later(user_id, room_id))
        if not begun:
            self._say(user_id, room_id, hearers, on=True)

    def _end_later(self, user_id: UUID, room_id: UUID) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._lasts_seconds, self._end, user_id, room_id)

    def _end(self, user_id: UUID, room_id: UUID) -> None:
        """They type no longer: tell those who heard that they did and have not left since."""
        if begun := self._forget(user_id, room_id):
            self._say(user_id, room_id, begun.hearers, on=False)

    def _forget(self, user_id: UUID, room_id: UUID) -> _Begun | None:
        mine = self._typing.get(user_id)
        begun = mine.pop(room_id, None) if mine else None
        if begun:
            begun.ends.cancel()
        if not mine:
            self._typing.pop(user_id, None)
        return begun

    def _part(self, room_id: UUID, gone: frozenset[UUID]) -> None:
        self._departures += 1
        for user_id, rooms in list(self._typing.items()):
            if begun := rooms.get(room_id):
                begun.hearers -= gone
                if user_id in gone:
                    self._end(user_id, room_id)

    def _fall_silent(self, pair: frozenset[UUID]) -> None:
        """Between these two nothing is told any more, also not that something ends."""
        self._departures += 1
        for user_id in pair:
            for room_id, begun in list(self._typing.get(user_id, {}).items()):
                if begun.direct and begun.hearers <= pair:
                    self._forget(user_id, room_id)

    def _say(self, user_id: UUID, room_id: UUID, hearers: frozenset[UUID], *, on: bool) -> None:
        if hearers:
            self._publish([TypingChanged(hearers, Typing(room_id=room_id, user_id=user_id, on=on))])
