"""What is so for those whom pushes are for: read for all of them together, by few statements."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from ..db.file_views import files_of
from ..db.pairs import Pair
from ..db.repositories import Repositories
from ..db.repositories.room_notifications import RoomNotification
from ..db.room_titles import room_titles
from ..db.rows import Profile, Row
from ..db.views import user_view
from ..schemas.files import File
from ..schemas.notifications import DeliveryReason
from .push_closing import shown_key
from .push_errands import Errand
from .push_matters import InRoom, Line, Matter, Nothing, Person, room_matter, stored_matter
from .push_texts import language_of


async def people_of(reads: Repositories, user_ids: Collection[UUID]) -> dict[UUID, Person]:
    """These people, without who has deleted the account."""
    rows = await reads.users.addressees(user_ids)
    preferences = await reads.notification_preferences.of(user_ids)
    return {
        user_id: Person(user_id, language_of(row.language), preferences.get(user_id)) for user_id, row in rows.items()
    }


async def matters_for(
    reads: Repositories, errands: Sequence[Errand], people: Mapping[UUID, Person]
) -> list[Matter | Nothing]:
    """What there is to tell for each of these errands."""
    mine = [errand for errand in errands if errand.user_id in people]
    rooms = await _rooms(reads, {(each.user_id, each.subject_id) for each in mine if each.is_room}, people)
    stored = await _stored(reads, [each for each in mine if not each.is_room])

    def matter(errand: Errand) -> Matter | Nothing:
        person = people.get(errand.user_id)
        if person is None:
            return Nothing()
        if errand.is_room:
            again = errand.subscription_id is not None
            return room_matter(person, rooms[errand.user_id, errand.subject_id], again=again)
        row = stored.rows.get(errand.subject_id)
        return stored_matter(person, row, stored.titles.get((row.user_id, row.room_id), "") if row else "")

    return [matter(errand) for errand in errands]


async def _rooms(reads: Repositories, pairs: Collection[Pair], people: Mapping[UUID, Person]) -> Mapping[Pair, InRoom]:
    if not pairs:
        return {}
    mine = await reads.push_matters.memberships(pairs)
    listed = [pair for pair, row in mine.items() if row.listed_at]
    found = await reads.room_notifications.of(listed, told=True) if listed else {}
    mentions = await _mentions(reads, [pair for pair in found if people[pair[0]].wants("mention")])
    spans = await reads.push_matters.spans({pair: _first(found.get(pair), mentions.get(pair)) for pair in pairs})
    lines = await _with_files(reads, [*map(_newest, found.values()), *mentions.values()])
    titles = await _titles(reads, {pair: mine[pair] for pair in found})
    whys = {pair: await _why_nothing(reads, mine[pair]) for pair in listed if pair not in found}

    def in_room(pair: Pair) -> InRoom:
        own, decided = mine.get(pair), spans.get(pair, ())
        if (one := found.get(pair)) is None:
            return InRoom(own, decided, why=whys.get(pair))
        mention = mentions.get(pair)
        return InRoom(
            mine=own,
            spans=decided,
            title=titles.get(pair, ""),
            newest=lines[one.line.message_id],
            unread=one.unread,
            muted=one.muted,
            mention=mention and lines[mention.message_id],
        )

    return {pair: in_room(pair) for pair in pairs}


def _newest(found: RoomNotification) -> Line:
    line = found.line
    return Line(line, line.message_id, user_view(Profile(line.sender_id, line.nickname, line.intro, line.avatar)))


def _first(found: RoomNotification | None, mention: Line | None) -> int | None:
    """The first of the lines that may be told of."""
    return min([found.line.seq, *([mention.seq] if mention else [])]) if found else None


async def _mentions(reads: Repositories, pairs: Collection[Pair]) -> Mapping[Pair, Line]:
    newest = await reads.push_matters.newest_mentions(pairs) if pairs else {}
    if not newest:
        return {}
    rows = await reads.messages.by_ids(set(newest.values()))
    people = await reads.people.shown({row.sender_id for row in rows.values()})
    return {
        pair: Line(rows[message_id], message_id, user_view(people[rows[message_id].sender_id]))
        for pair, message_id in newest.items()
        if message_id in rows
    }


async def _with_files(reads: Repositories, lines: Sequence[Line]) -> Mapping[UUID, Line]:
    files: Mapping[UUID, Sequence[File]] = await files_of(
        reads, {line.message_id for line in lines if not line.row.text}
    )
    return {line.message_id: line._replace(files=files.get(line.message_id, ())) for line in lines}


async def _titles(reads: Repositories, mine: Mapping[Pair, Row]) -> Mapping[Pair, str]:
    """What these people call the groups among their rooms."""
    return await room_titles(reads, {pair: row.alias or row.name for pair, row in mine.items() if row.kind == "group"})


async def _why_nothing(reads: Repositories, mine: Row) -> DeliveryReason:
    if mine.last_ordinal <= max(mine.read_ordinal, mine.notified_ordinal):
        return "read_before"
    return "blocked" if await reads.push_matters.has_standing_lines(mine.user_id, mine.room_id) else "deleted"


class _Stored(NamedTuple):
    """What is stored and not pushed yet, by its id, and what the groups in it are called."""

    rows: Mapping[UUID, Row]
    titles: Mapping[Pair, str]


async def _stored(reads: Repositories, errands: Sequence[Errand]) -> _Stored:
    if not errands:
        return _Stored({}, {})
    keys = {shown_key(each.user_id, each.subject_id): each.subject_id for each in errands if not each.subscription_id}
    told = {keys[key] for key in await reads.outbox.held(keys)}
    rows = await reads.notifications.visible({each.subject_id for each in errands} - told)
    pairs = [(row.user_id, row.room_id) for row in rows.values() if row.room_id]
    return _Stored(rows, await _titles(reads, await reads.push_matters.memberships(pairs)) if pairs else {})
