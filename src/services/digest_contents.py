"""What a digest tells somebody: all that is unread and that they want mails of. Pure, but for reading it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from ..db.repositories import Repositories
from ..db.repositories.presence import ALIVE_FOR
from ..db.repositories.room_notifications import RoomDigest
from ..db.rows import Row
from ..db.spans import Span
from ..schemas.notifications import DeliveryReason, DeliveryStatus
from .preferences import allowed
from .rungs import Reader

LATE = timedelta(seconds=10)
"""So long after it says it was made, something may be committed."""

Lines = tuple[int, int]
"""The first and the last."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Somebody with all that is unread for them. `notices`: what is stored of it, the newest first."""

    user: Row
    preferences: Row | None
    online: bool
    rooms: Sequence[RoomDigest]
    notices: Sequence[Row]

    @property
    def mailed_at(self) -> datetime | None:
        return self.preferences.mailed_at if self.preferences else None

    def reader(self, *, muted: bool = False) -> Reader:
        """How they want to be told of lines of a room, and whether a mail would reach them."""
        return Reader(
            muted=muted,
            preferences=self.preferences,
            active=self.online,
            subscribed=False,
            email=self.user.email,
            verified=self.user.email_verified_at is not None,
            bounced=self.user.email_bounced_at is not None,
        )


class Part(NamedTuple):
    """A room in a digest with `unread` messages.

    `lines` are some of those it tells of, newest first, `told` all of them. `name`: what it has been named, None if
    nothing or not known. `since`: when the first came of which no mail has told yet; None if there is none.
    """

    room_id: UUID
    name: str | None
    unread: int
    mentions: int
    lines: Sequence[Row]
    told: Sequence[Lines]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a mail to somebody has in it. `skipped`: lines of which it does not tell, by room, and why.

    `since`: when the first came of which no mail has told yet; None if there is nothing new in it.
    """

    parts: Sequence[Part]
    others: Sequence[Row]
    skipped: Sequence[tuple[UUID, Lines, DeliveryReason]]
    since: datetime | None

    def __bool__(self) -> bool:
        return bool(self.parts or self.others)

    def spans(
        self, user_id: UUID, at: datetime, status: DeliveryStatus, reason: DeliveryReason | None = None
    ) -> list[Span]:
        """What becomes of the lines, if that is what becomes of the mail."""
        skipped = [Span(room, user_id, "email", *lines, "skipped", why, at) for room, lines, why in self.skipped]
        told = [(part.room_id, lines) for part in self.parts for lines in part.told]
        return skipped + [Span(room, user_id, "email", *lines, status, reason, at) for room, lines in told]


async def addressees(reads: Repositories, user_ids: Collection[UUID], at: datetime) -> dict[UUID, Addressee]:
    """These people, without who has deleted the account."""
    users = await reads.users.addressees(user_ids)
    if not users:
        return {}
    preferences = await reads.notification_preferences.of(users)
    seen = await reads.presence.heartbeats(users)
    rooms = await reads.room_notifications.of_people(users)
    notices: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in await reads.notifications.unread_of(users):
        notices[row.user_id].append(row)
    return {
        user_id: Addressee(
            user=user,
            preferences=preferences.get(user_id),
            online=user_id in seen and seen[user_id] > at - ALIVE_FOR,
            rooms=rooms.get(user_id, ()),
            notices=notices[user_id],
        )
        for user_id, user in users.items()
    }


def contents_for(one: Addressee, asked_at: datetime) -> Contents:
    """What a mail would have in it. `asked_at`: when the work was added that asks for the mail."""
    wanted = allowed(one.preferences.kinds if one.preferences else {}, "email")
    mentions: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in one.notices:
        if row.kind == "mention":
            mentions[row.room_id].append(row)
    parts: list[Part] = []
    skipped: list[tuple[UUID, Lines, DeliveryReason]] = []
    for digest in one.rooms:
        room_id = digest.notification.room_id
        theirs = mentions.pop(room_id, [])
        reason = one.reader(muted=digest.notification.muted).wants("email", "plain")
        if reason is None:
            parts.append(_whole(digest, len(theirs), one.mailed_at))
            continue
        skipped.append((room_id, _lines(digest), reason))
        if theirs and "mention" in wanted:
            parts.append(_mentions(room_id, theirs, digest, one.mailed_at, asked_at))
    if "mention" in wanted:  # of rooms of which nothing else is to be told
        parts += [_mentions(room_id, rows, None, one.mailed_at, asked_at) for room_id, rows in mentions.items()]
        parts.sort(key=lambda part: part.lines[0].created_at, reverse=True)
    others = [row for row in one.notices if row.kind != "mention" and row.kind in wanted]
    new = [part.since for part in parts if part.since]
    new += [row.created_at for row in others if _is_new(row, one.mailed_at, asked_at)]
    return Contents(parts, others, skipped, min(new, default=None))


def _whole(digest: RoomDigest, mentions: int, mailed_at: datetime | None) -> Part:
    found = digest.notification
    since = _since(digest, mailed_at)
    return Part(found.room_id, found.name, found.unread, mentions, digest.lines, [_lines(digest)], since)


def _mentions(
    room_id: UUID, rows: Sequence[Row], digest: RoomDigest | None, mailed_at: datetime | None, asked_at: datetime
) -> Part:
    """Of a room nothing but where somebody is mentioned. `digest`: None if the room itself is marked read."""
    new = [
        row.created_at
        for row in rows
        if (_is_unmailed(row, digest, mailed_at) if digest else _is_new(row, mailed_at, asked_at))
    ]
    name = digest.notification.name if digest else None
    told = [(row.seq, row.seq) for row in rows]
    return Part(room_id, name, len(rows), len(rows), rows, told, min(new, default=None))


def _lines(digest: RoomDigest) -> Lines:
    return digest.notification.read_seq + 1, digest.lines[0].seq


def _since(digest: RoomDigest, mailed_at: datetime | None) -> datetime | None:
    """What is from before the last mail, or before mails were turned off, is not new, though none has told of it."""
    if digest.unmailed_since is None or mailed_at is None:
        return digest.unmailed_since
    if digest.lines[0].created_at <= mailed_at - LATE:
        return None
    return max(digest.unmailed_since, mailed_at - LATE)


def _is_unmailed(row: Row, digest: RoomDigest, mailed_at: datetime | None) -> bool:
    return row.seq > digest.mailed_seq and (mailed_at is None or row.created_at > mailed_at - LATE)


def _is_new(row: Row, mailed_at: datetime | None, asked_at: datetime) -> bool:
    """Has no mail told of it? That which asked for this mail may have been committed after the last one was written."""
    return mailed_at is None or row.created_at > mailed_at or row.created_at >= asked_at


def named(user_id: UUID, contents: Contents) -> Mapping[tuple[UUID, UUID], str | None]:
    """The rooms whose names the mail says, by (person, room), with what they are known to be named."""
    rooms: dict[tuple[UUID, UUID], str | None] = {
        (user_id, row.room_id): None for row in contents.others if row.room_id
    }
    return rooms | {(user_id, part.room_id): part.name for part in contents.parts}
