"""What there is to push about when the push is made: judged anew, whatever was so when it was decided on. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ..db.rows import Profile, Row
from ..db.spans import Span
from ..db.views import user_view
from ..schemas.files import File
from ..schemas.notifications import DeliveryReason, Kind, channels_of
from ..schemas.people import User
from .push_texts import Language, Told, content_of

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


class Line(NamedTuple):
    """A line as a push shows it, by whom and with which files."""

    row: Row
    message_id: UUID
    sender: User
    files: Sequence[File] = ()

    @property
    def seq(self) -> int:
        return int(self.row.seq)


class InRoom(NamedTuple):
    """What is so for somebody in a room. `mine`: their membership, as `push_matters.memberships` has it.

    `title`: what they call a group. `newest`: the last line that they have not read, of `unread`; without one, `why`.
    `mention`: the last that mentions them. `spans`: what was decided of pushing, as far as it matters.
    """

    mine: Row | None
    spans: Sequence[Span]
    title: str = ""
    newest: Line | None = None
    unread: int = 0
    muted: bool = False
    mention: Line | None = None
    why: DeliveryReason | None = None


def room_matter(person: Person, room: InRoom, *, again: bool) -> Matter | Nothing:
    """What somebody has not read in a room, unless a push has told of it. `again`: even then."""
    spans, mine, newest = room.spans, room.mine, room.newest
    pending = [(span.first_seq, span.last_seq) for span in spans if span.status == "pending"]
    if mine is None or mine.listed_at is None:
        return Nothing("left", pending)
    if newest is None:
        return Nothing(room.why, pending)
    mention = room.mention if room.mention and not _is_sent(spans, room.mention.seq) else None
    first, unread = max(mine.read_seq, mine.first_seq - 1) + 1, room.unread
    if room.muted or not person.wants("message"):
        if mention is None:
            return Nothing("muted" if room.muted else "preference", pending)
        newest, first, unread = mention, mention.seq, 1
    if not again and _is_sent(spans, newest.seq):
        return Nothing("deleted" if pending else None, pending)
    line = mention or newest
    return Matter(
        told=_told(person, room, mine, line, "mention" if mention else "message", unread),
        tag=mine.room_id,
        room_id=mine.room_id,
        message_id=line.message_id,
        actor=line.sender,
        created_at=line.row.created_at,
        ordinal=newest.row.ordinal,
        lines=[*pending, *_undecided(spans, (first, newest.seq))],
    )


def stored_matter(person: Person, row: Row | None, room: str) -> Matter | Nothing:
    """Something stored, if the person may still see it and has not read it. `room`: what they call a group."""
    if row is None or row.user_id != person.id or row.read_at is not None or not person.wants(row.kind):
        return Nothing()
    actor = user_view(Profile(row.actor_id, row.nickname, row.intro, row.avatar)) if row.actor_id else None
    content = row.emoji or (content_of(row.text, [], person.language) if row.text else "")
    told = Told(row.kind, actor.nickname if actor else None, room, content, 1)
    return Matter(told, row.id, row.room_id, row.message_id, actor, row.created_at)


def _told(person: Person, room: InRoom, mine: Row, line: Line, kind: Kind, unread: int) -> Told:  # noqa: PLR0913, PLR0917 - what it tells
    is_group = mine.kind == "group"
    return Told(
        kind=kind,
        who=line.sender.nickname if is_group else mine.alias or line.sender.nickname,
        room=room.title if is_group else "",
        content=content_of(line.row.text, line.files, person.language),
        messages=unread,
    )


def _is_sent(spans: Collection[Span], seq: int) -> bool:
    return any(span.status == "sent" and span.first_seq <= seq <= span.last_seq for span in spans)


def _undecided(spans: Sequence[Span], lines: Lines) -> list[Lines]:
    """What nothing was decided of yet, of these lines: they were sent since."""
    first = max(lines[0], *(span.last_seq + 1 for span in spans), 1)
    return [(first, lines[1])] if first <= lines[1] else []
