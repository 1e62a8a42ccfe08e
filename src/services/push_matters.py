"""What there is to push about when the push is made: read anew, whatever was so when it was decided on."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ..db.file_views import files_of
from ..db.repositories import Repositories
from ..db.repositories.room_notifications import RoomNotification
from ..db.room_views import names
from ..db.rows import Profile, Row
from ..db.spans import Span
from ..db.views import user_view
from ..schemas.notifications import DeliveryReason, Kind, channels_of
from ..schemas.people import User
from .push_texts import Language, Told, content_of, language_of

Lines = tuple[int, int]
"""The first and the last of some lines of a room."""

_OF_LINES: Final = ("message", "mention")


class Person(NamedTuple):
    """Whom a push is for. `preferences`: their row, if any."""

    id: UUID
    language: Language
    preferences: Row | None

    @property
    def hides_content(self) -> bool:
        return bool(self.preferences and self.preferences.hide_content)

    def wants(self, kind: Kind) -> bool:
        """Have they chosen to be pushed to of this kind?"""
        chosen: dict[str, Any] = self.preferences.kinds if self.preferences else {}
        return channels_of(chosen, kind).push


class Matter(NamedTuple):
    """What is to be told. `tag`: of the room, or of what is stored; `ordinal`: of the newest line that it tells of.

    `lines`: of the room, of which is decided with it.
    """

    told: Told
    tag: UUID
    room_id: UUID | None
    message_id: UUID | None
    actor: User | None
    created_at: datetime
    ordinal: int | None = None
    lines: Sequence[Lines] = ()

    @property
    def is_of_lines(self) -> bool:
        return self.told.kind in _OF_LINES


class Nothing(NamedTuple):
    """There is nothing to tell: why, of which lines. Without a reason nothing is to be noted."""

    reason: DeliveryReason | None = None
    lines: Sequence[Lines] = ()


class Later(NamedTuple):
    """It is to be told, and not before then: why, of which lines."""

    reason: DeliveryReason
    due_at: datetime
    lines: Sequence[Lines] = ()


async def person_of(reads: Repositories, user_id: UUID) -> Person | None:
    """Somebody, unless they have deleted the account."""
    row = await reads.users.me_row(user_id)
    if row is None:
        return None
    preferences = (await reads.notification_preferences.of([user_id])).get(user_id)
    return Person(user_id, language_of(row.language), preferences)


async def room_matter(reads: Repositories, person: Person, room_id: UUID, *, again: bool) -> Matter | Nothing:
    """What somebody has not read in a room, unless a push has told of it. `again`: even then."""
    spans = await reads.pushes.spans(person.id, room_id)
    pending = [(span.first_seq, span.last_seq) for span in spans if span.status == "pending"]
    mine = await reads.rooms.joined_by(person.id, room_id)
    if mine is None or mine.listed_at is None:
        return Nothing("left", pending)
    pair = person.id, room_id
    found = (await reads.room_notifications.of([pair], told=True)).get(pair)
    if found is None:
        return Nothing(await _why_nothing(reads, mine), pending)
    mention = await _untold_mention(reads, person, mine, spans)
    if found.muted or not person.wants("message"):
        if mention is None:
            return Nothing("muted" if found.muted else "preference", pending)
        found = found._replace(unread=1)
        newest = mention.seq, mention.ordinal
        further = (mention.seq, mention.seq)
    else:
        newest = found.line.seq, found.line.ordinal
        further = (max(mine.read_seq, mine.first_seq - 1) + 1, found.line.seq)
    if not again and _is_sent(spans, newest[0]):
        return Nothing("deleted" if pending else None, pending)
    matter = await _of_line(reads, person, mine, found, mention)
    return matter._replace(ordinal=newest[1], lines=[*pending, *_undecided(spans, further)])


async def stored_matter(reads: Repositories, person: Person, notification_id: UUID) -> Matter | Nothing:
    """Something stored, if the person may still see it and has not read it."""
    row = (await reads.notifications.visible([notification_id])).get(notification_id)
    if row is None or row.user_id != person.id or row.read_at is not None or not person.wants(row.kind):
        return Nothing()
    mine = await reads.rooms.joined_by(person.id, row.room_id) if row.room_id else None
    room = await _title(reads, mine) if mine is not None and mine.kind == "group" else ""
    actor = user_view(Profile(row.actor_id, row.nickname, row.intro, row.avatar)) if row.actor_id else None
    content = row.emoji or (content_of(row.text, [], person.language) if row.text else "")
    told = Told(row.kind, actor.nickname if actor else None, room, content, 1)
    return Matter(told, row.id, row.room_id, row.message_id, actor, row.created_at)


async def _why_nothing(reads: Repositories, mine: Row) -> DeliveryReason:
    if mine.last_ordinal <= max(mine.read_ordinal, mine.notified_ordinal):
        return "read_before"
    return "blocked" if await reads.pushes.has_standing_lines(mine.user_id, mine.id) else "deleted"


async def _untold_mention(reads: Repositories, person: Person, mine: Row, spans: Collection[Span]) -> Row | None:
    """The line that mentions somebody, who wants to know, has not read it and was not told of it."""
    mention = await reads.pushes.newest_mention(person.id, mine.id) if person.wants("mention") else None
    if mention is None or _is_sent(spans, mention.seq):
        return None
    return (await reads.messages.by_ids([mention.message_id])).get(mention.message_id)


def _is_sent(spans: Collection[Span], seq: int) -> bool:
    return any(span.status == "sent" and span.first_seq <= seq <= span.last_seq for span in spans)


def _undecided(spans: Sequence[Span], lines: Lines) -> list[Lines]:
    """What nothing was decided of yet, of these lines: they were sent since."""
    first = max(lines[0], *(span.last_seq + 1 for span in spans), 1)
    return [(first, lines[1])] if first <= lines[1] else []


async def _of_line(
    reads: Repositories, person: Person, mine: Row, found: RoomNotification, mention: Row | None
) -> Matter:
    if mention is None:
        line, message_id = found.line, found.line.message_id
        sender = user_view(Profile(line.sender_id, line.nickname, line.intro, line.avatar))
    else:
        line, message_id = mention, mention.id
        sender = user_view((await reads.people.shown([mention.sender_id]))[mention.sender_id])
    files = [] if line.text else (await files_of(reads, [message_id])).get(message_id, [])
    is_group = mine.kind == "group"
    told = Told(
        kind="mention" if mention else "message",
        who=sender.nickname if is_group else mine.alias or sender.nickname,
        room=await _title(reads, mine) if is_group else "",
        content=content_of(line.text, files, person.language),
        messages=found.unread,
    )
    return Matter(told, mine.id, mine.id, message_id, sender, line.created_at)


async def _title(reads: Repositories, mine: Row) -> str:
    """What a member calls a room, from a row of `rooms.joined_by`."""
    if mine.alias or mine.name:
        return str(mine.alias or mine.name)
    people = [user_view(row) for row in await reads.members.first_of(await reads.members.counts([mine.id]))]
    return names([each for each in people if each.id != mine.user_id])
