"""Notifications, told to who listens (contract §7): read from the database after each change, never from the event.

What is told is what the person's list says then. Nothing is told where nothing that is shown can have changed: a room
that was quiet when it was last looked at has no notification to be read, and a line that leaves a notification as it
was, of a muted room or across a block, is no news.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..db.notification_views import room_view
from ..db.repositories.room_notifications import RoomNotification
from ..events import (
    Event,
    MessageChanged,
    MessageSent,
    NotificationCreated,
    NotificationsSettled,
    NotificationStored,
    NotificationsWereRead,
    RoomLeft,
    RoomSettingsChanged,
    RoomWasRead,
    UserChanged,
)
from ..schemas.messages import Message
from ..schemas.notifications import NotificationsRead
from ..schemas.people import User
from .changed_notifications import How, Seen, look
from .listeners import Changes, Listeners

_SLACK = timedelta(seconds=10)  # from a line's moment to its COMMIT

Told = tuple[UUID | None, int]
"""The newest line of a room that was told of, and how many are unread."""


@dataclass(slots=True)
class _Memory:
    """Of somebody who listens, since when. `quiet`: rooms of which nothing was shown when they were last seen."""

    since: datetime = field(default_factory=now)
    told: dict[UUID, Told] = field(default_factory=dict)
    quiet: set[UUID] = field(default_factory=set)

    def is_news(self, found: RoomNotification) -> bool:
        """Is it another one than was told, or is in the list from before?"""
        told = self.told.get(found.room_id)
        if told is None:
            return bool(found.line.created_at > self.since - _SLACK)
        return told != _told(found)

    def keep(self, room_id: UUID, found: RoomNotification | None, *, left: bool) -> None:
        """Remember what was seen of a room. Of one that is left nothing is known: an invitation may bring it back."""
        if found:
            self.told[room_id] = _told(found)
            return
        self.told.pop(room_id, None)
        if not left:
            self.quiet.add(room_id)


class LiveNotifications:
    """`publish`: where it is told, to `listeners`."""

    def __init__(self, database: Database, publish: Callable[[Sequence[Event]], None]) -> None:
        self._database = database
        self._publish = publish
        self._memories: defaultdict[UUID, _Memory] = defaultdict(_Memory)
        self._changed_people: dict[UUID, User] = {}  # since it was read last
        self.listeners = Listeners(self._tell, gone=self._forget)

    def hear(self, events: Sequence[Event]) -> None:
        """Subscribed to the bus: note whose notifications may have changed. Returns at once."""
        if not self.listeners:
            return
        for event in events:
            match event:
                case MessageSent(message=message) if message.kind != "system":
                    self._note_line(event.audience, message)
                case MessageChanged(message=message) if message.edited_at or message.deleted_at:
                    self._note_text(event.audience, message)
                case NotificationStored():
                    self._note(event.audience, event.notification_ids, How.STORED)
                case NotificationsSettled(notification_ids=None):
                    for user_id in event.audience:
                        self._note((user_id,), (user_id,), How.ALL)
                case NotificationsSettled(notification_ids=ids) if ids:
                    self._note_unless_quiet(event.audience, ids, How.SETTLED)
                case RoomWasRead(read=read):
                    self._note_unless_quiet((read.user_id,), (read.room_id,), How.ROOM)
                case RoomSettingsChanged(settings=settings):
                    self._unquiet(event.audience, settings.room_id)  # it may be muted, or no more
                case UserChanged(user=user):
                    self._changed_people[user.id] = user
                case RoomLeft(room=room):
                    self._note(event.audience, (room.room_id,), How.ROOM | How.SETTLED | How.LEFT)

    def _note_line(self, audience: frozenset[UUID], message: Message) -> None:
        """Whoever wrote it has read the room up to it, and what mentions them there, though it be quiet."""
        sender = frozenset({message.sender.id} if message.sender else ()) & audience
        self._note(sender, (message.room_id,), How.SENT)
        self._note_unless_quiet(sender, (message.room_id,), How.ROOM | How.SETTLED)
        self._note(audience - sender, (message.room_id,), How.LINE)

    def _note_text(self, audience: frozenset[UUID], message: Message) -> None:
        self._note(audience.intersection(message.mentions), (message.id,), How.TEXT)
        for user_id in self.listeners.among(audience):
            if message.room_id not in self._memories[user_id].quiet:
                self._note((user_id,), (message.room_id,), How.ROOM)
                self._note((user_id,), (message.id,), How.TEXT)

    def _note(self, audience: Collection[UUID], ids: Collection[UUID], how: How) -> None:
        """A room of which something may be shown from now on is quiet no more."""
        listening = self.listeners.among(audience)
        if how & (How.LINE | How.LEFT | How.ALL):
            for user_id in listening:
                quiet = self._memories[user_id].quiet
                if quiet:
                    quiet.difference_update(quiet.copy() if how & How.ALL else ids)
        for id in ids:
            self.listeners.note(listening, id, how)

    def _note_unless_quiet(self, audience: Collection[UUID], ids: Collection[UUID], how: How) -> None:
        for user_id in self.listeners.among(audience):
            quiet = self._memories[user_id].quiet
            self._note((user_id,), [id for id in ids if id not in quiet], how)

    def _unquiet(self, audience: Collection[UUID], room_id: UUID) -> None:
        for user_id in self.listeners.among(audience):
            self._memories[user_id].quiet.discard(room_id)

    def _forget(self, user_id: UUID) -> None:
        self._memories.pop(user_id, None)

    async def _tell(self, changes: Changes) -> None:
        memories = {user_id: self._memories[user_id] for user_id in changes}
        self._changed_people.clear()
        async with self._database.snapshot() as reads:
            seen = await look(reads, changes)
        if seen.passed:
            async with self._database.transaction() as tx:
                await tx.notifications.read_each(seen.passed, now())
        rooms = [each for each in seen.rooms.values() if _is_told(each, changes[each.user_id], memories[each.user_id])]
        self._publish([*_read(seen), *map(self._with_actor, _created(seen, rooms))])
        self._remember(changes, memories, seen)

    def _with_actor(self, created: NotificationCreated) -> NotificationCreated:
        """Profiles follow `user_changed`: who changed theirs after it was read is not shown as they were before."""
        actor = created.notification.actor
        changed = self._changed_people.get(actor.id) if actor else None
        if changed is None:
            return created
        return replace(created, notification=created.notification.model_copy(update={"actor": changed}))

    def _remember(self, changes: Changes, memories: Mapping[UUID, _Memory], seen: Seen) -> None:
        """Keep what was told of rooms that have not changed since it was read."""
        for user_id, changed in changes.items():
            memory = memories[user_id]
            everything = seen.outcomes[user_id].everything
            if everything is not None:
                memory.told = {note.id: (note.message_id, note.count) for note in everything if note.kind == "message"}
            if self.listeners.waits(user_id, user_id):
                continue
            for id, how in changed.items():
                if how & (How.LINE | How.ROOM) and not self.listeners.waits(user_id, id):
                    memory.keep(id, seen.rooms.get((user_id, id)), left=bool(how & How.LEFT))


def _is_told(found: RoomNotification, changed: Mapping[UUID, int], memory: _Memory) -> bool:
    """Has the notification of a room become another one?"""
    how = changed[found.room_id]
    is_new = how & How.LINE and memory.is_news(found)
    return bool(how & How.SETTLED or is_new or changed.get(found.line.message_id, 0) & How.TEXT)


def _read(seen: Seen) -> Iterator[Event]:
    for user_id, outcome in seen.outcomes.items():
        if outcome.gone or outcome.everything is not None:
            ids = outcome.gone if outcome.everything is None else None
            read = NotificationsRead(ids=ids, unread=seen.unread[user_id])
            yield NotificationsWereRead(frozenset({user_id}), read)


def _created(seen: Seen, rooms: Sequence[RoomNotification]) -> Iterator[NotificationCreated]:
    """What is stored is each person's own; of a room most see the same, and one event for all is encoded once."""
    alike: defaultdict[tuple[UUID, Told], list[RoomNotification]] = defaultdict(list)
    for found in rooms:
        if seen.outcomes[found.user_id].everything is None:
            alike[found.room_id, _told(found)].append(found)
    for some in alike.values():
        yield NotificationCreated(frozenset(each.user_id for each in some), room_view(some[0]))
    for user_id, outcome in seen.outcomes.items():
        for view in outcome.stored if outcome.everything is None else outcome.everything:
            yield NotificationCreated(frozenset({user_id}), view)


def _told(found: RoomNotification) -> Told:
    return found.line.message_id, found.unread
