"""For whom it is time for a digest, and what is in it; what becomes of the others' work. Nothing is sent or written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..db.pairs import Pair
from ..db.repositories import Repositories
from ..db.room_titles import room_titles
from ..db.rows import Row
from ..db.spans import Span
from .digest_contents import Addressee, Contents, Part, addressees, contents_for, named
from .digest_mails import Digest, DigestLine, DigestOther, DigestRoom
from .outcomes import Later
from .quiet_hours import end_of_quiet


class Pace(NamedTuple):
    """How long after something a mail tells of it, and how long after a mail the next one, while nothing is read."""

    after: timedelta
    every: timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """A mail that is to go out, `item` the work that asked for it. `at`: when what is in it was read."""

    item: Row
    email_key: str
    digest: Digest
    contents: Contents
    at: datetime

    @property
    def user_id(self) -> UUID:
        return self.digest.user_id


@dataclass(frozen=True, slots=True)
class Plans:
    """`mails` to be sent. `later`: of the work that is put off, until when. `spans`: what is decided of lines.

    All other work is done: there is nothing to tell, or nobody to whom it could be told.
    """

    mails: list[Plan] = field(default_factory=list)
    later: dict[UUID, Later] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)


async def plans_for(reads: Repositories, items: Mapping[UUID, Row], pace: Pace, public_url: str, at: datetime) -> Plans:
    """`items`: the work, by whom it is for."""
    plans, due = Plans(), dict[UUID, tuple[Addressee, Contents]]()
    for user_id, one in (await addressees(reads, items, at)).items():
        item = items[user_id]
        contents = contents_for(one, item.created_at)
        if later := _look(plans, one, contents, pace, at):
            plans.later[item.id] = later
        elif contents and contents.since and not one.reader().unreachable():
            due[user_id] = one, contents
    for user_id in await _too_soon(reads, [one for one, _ in due.values()], pace, at):
        one, _ = due.pop(user_id)
        again = (one.mailed_at or at) + pace.every
        plans.later[items[user_id].id] = Later(min(again, at + pace.after))
    titles = await _titles(reads, due)
    for user_id, (one, contents) in due.items():
        item = items[user_id]
        digest = _digest(item.id, one, contents, titles, public_url)
        plans.mails.append(Plan(item, one.user.email_key, digest, contents, at))
    return plans


def _look(plans: Plans, one: Addressee, contents: Contents, pace: Pace, at: datetime) -> Later | None:
    """Until when the work of somebody is put off. What is decided for good is added to the plans."""
    user_id = one.user.id
    unreachable = one.reader().unreachable()
    if unreachable or not contents:
        plans.spans.extend(contents.spans(user_id, at, "skipped", unreachable))
        return None
    if contents.since is None:
        return None
    if one.online:
        return Later(at + pace.after)
    if end := end_of_quiet(one.preferences, at):
        return Later(end)
    due_at = contents.since + pace.after
    return Later(due_at) if due_at > at else None


async def _too_soon(reads: Repositories, some: Collection[Addressee], pace: Pace, at: datetime) -> frozenset[UUID]:
    """To whom of these a mail went out lately, who have read nothing since."""
    lately = frozenset(one.user.id for one in some if one.mailed_at and one.mailed_at + pace.every > at)
    return lately - await reads.notification_preferences.read_since_mailed(lately) if lately else lately


async def _titles(reads: Repositories, due: Mapping[UUID, tuple[Addressee, Contents]]) -> Mapping[Pair, str]:
    """What the rooms in these mails are called by those to whom they go."""
    known = {
        pair: name
        for user_id, (one, contents) in due.items()
        if not (one.preferences and one.preferences.hide_content)
        for pair, name in named(user_id, contents).items()
    }
    nameless = [pair for pair, name in known.items() if not name]
    if nameless:
        known |= await reads.members.names(nameless)
    return await room_titles(reads, known)


def _digest(item_id: UUID, one: Addressee, contents: Contents, titles: Mapping[Pair, str], public_url: str) -> Digest:
    user_id = one.user.id
    return Digest(
        id=item_id,
        user_id=user_id,
        email=one.user.email,
        language="en" if one.user.language == "en" else "ko",
        nickname=one.user.nickname or "",
        rooms=[_room(part, titles.get((user_id, part.room_id)), public_url) for part in contents.parts],
        others=[_other(row, titles.get((user_id, row.room_id))) for row in contents.others],
        hide_content=bool(one.preferences and one.preferences.hide_content),
        zone=_zone(one.preferences),
    )


def _room(part: Part, title: str | None, public_url: str) -> DigestRoom:
    return DigestRoom(
        name=title,
        link=f"{public_url}/rooms/{part.room_id}",
        count=part.unread,
        mentions=part.mentions,
        lines=_shown(part.lines),
    )


def _shown(lines: Sequence[Row]) -> list[DigestLine]:
    """The oldest first."""
    return [DigestLine(row.nickname, row.text or row.file_name or "", row.created_at) for row in reversed(lines)]


def _other(row: Row, title: str | None) -> DigestOther:
    preview = row.text or row.file_name
    return DigestOther(row.kind, row.nickname, title, preview, row.emoji or "")


def _zone(preferences: Row | None) -> ZoneInfo | None:
    """The time zone that somebody has named for their quiet hours."""
    if preferences is None or not preferences.time_zone:
        return None
    try:
        return ZoneInfo(preferences.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # it was there when it was chosen
        return None
