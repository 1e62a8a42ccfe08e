"""How changes of notifications have come out, read in one snapshot for however many people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from uuid import UUID

from ..db.notification_views import stored_view
from ..db.pairs import Pair
from ..db.repositories import Repositories
from ..db.repositories.room_notifications import RoomNotification
from ..db.rows import Row
from ..schemas.notifications import Kind, Notification
from .listeners import Changes
from .notifications import found_by, unread_of
from .preferences import allowed_for

RESTATED = 100
"""So many of somebody's unread notifications are told anew where all of them may have changed."""


class How(IntFlag):
    """How something has changed; what it is, is known by that, too."""

    LINE = 1  # a room has a new line by somebody else
    ROOM = 2  # a room is to be looked at
    TEXT = 4  # a message has another text, or none
    STORED = 8  # there is a new notification
    SETTLED = 16  # a notification, of a room perhaps, is read or gone, or another one
    SENT = 32  # the person has sent into a room
    LEFT = 64  # a room is theirs no more
    ALL = 128  # all of the person's, whose id it is


@dataclass(slots=True)
class Outcome:
    """What a person is to be told of. `everything`: all that is unread, oldest first, if all may have changed."""

    gone: list[UUID] = field(default_factory=list)
    stored: list[Notification] = field(default_factory=list)
    everything: list[Notification] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """`rooms`: the notifications, of the rooms looked at, that are shown. `passed`: rows of whom nobody wrote that they
    are read, though the cursor has read them. `unread`: of who has something gone.
    """

    rooms: Mapping[Pair, RoomNotification]
    outcomes: Mapping[UUID, Outcome]
    passed: Collection[UUID]
    unread: Mapping[UUID, int]


async def look(reads: Repositories, changes: Changes) -> Seen:
    """How these changes have come out."""
    allowed = await allowed_for(reads, changes.keys(), "in_app")
    rooms = await reads.room_notifications.of([*_having(changes, How.LINE | How.ROOM | How.SETTLED)])
    rooms = {pair: each for pair, each in rooms.items() if not each.muted and "message" in allowed[each.user_id]}
    of_rooms = await _stored_in(reads, changes)
    ids = {id for _, id in _having(changes, How.STORED | How.SETTLED)} | {row.id for row in of_rooms}
    shown = _shown((await reads.notifications.visible(ids)).values() if ids else (), allowed)
    outcomes = {user_id: Outcome() for user_id in changes}
    for user_id, id in _having(changes, How.STORED | How.SETTLED):
        if id in shown:
            outcomes[user_id].stored.append(stored_view(shown[id]))
        elif changes[user_id][id] & How.SETTLED and (user_id, id) not in rooms:
            outcomes[user_id].gone.append(id)
    for row in of_rooms:
        if row.id not in shown and not changes[row.user_id].get(row.id, 0) & How.SETTLED:
            outcomes[row.user_id].gone.append(row.id)
    for row in await _edited(reads, changes, allowed):
        outcomes[row.user_id].stored.append(stored_view(row))
    for user_id, _ in _having(changes, How.ALL):
        found = await found_by(reads, user_id, None, RESTATED, unread=True)
        outcomes[user_id] = Outcome(everything=found[:RESTATED][::-1])
    told = [user_id for user_id, outcome in outcomes.items() if outcome.gone or outcome.everything is not None]
    unread = await unread_of(reads, told) if told else {}
    return Seen(rooms, outcomes, {row.id for row in of_rooms if row.passed}, unread)


async def _stored_in(reads: Repositories, changes: Changes) -> list[Row]:
    """What is stored of rooms that were left, and what sending has read of rooms."""
    pairs = {*_having(changes, How.LEFT | How.SENT)}
    rows = await reads.notifications.of_rooms(pairs) if pairs else ()
    return [row for row in rows if row.passed or changes[row.user_id][row.room_id] & How.LEFT]


async def _edited(reads: Repositories, changes: Changes, allowed: Mapping[UUID, frozenset[Kind]]) -> Sequence[Row]:
    """Where these people are mentioned in messages with another text, and have not read it."""
    edited = {*_having(changes, How.TEXT)}
    if not edited:
        return ()
    people, messages = {user_id for user_id, _ in edited}, {id for _, id in edited}
    return [*_shown(await reads.notifications.mentions_by(messages, people), allowed).values()]


def _shown(rows: Collection[Row], allowed: Mapping[UUID, frozenset[Kind]]) -> dict[UUID, Row]:
    """Those that are unread and of a kind that their people want to be told."""
    return {row.id: row for row in rows if row.read_at is None and row.kind in allowed.get(row.user_id, ())}


def _having(changes: Changes, how: How) -> Iterator[Pair]:
    """Who and what has changed in one of these ways."""
    return ((user_id, id) for user_id, changed in changes.items() for id, in_what in changed.items() if in_what & how)
