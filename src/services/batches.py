"""A batch of sends, decided one by one inside one transaction: which are stored, as what, and who hears of it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from ..clock import now
from ..db.file_views import file_view
from ..db.rows import Row
from ..db.sends import Line, Membership, Place, Quote, SendTransaction, Standing
from ..db.views import user_view
from ..errors import ChattyError, NotFound
from ..events import Event, MessageSent, RoomAdded
from ..schemas.drafts import MessageDraft
from ..schemas.messages import Message, Sent
from .audiences import Audience, Audiences
from .drafts import attachments_of, check_mentions, check_partner, kind_of, quoted, reply_to
from .mentions import tell_mentioned
from .rooms import room_as_seen_by


class Repeat:
    """The answer to a draft that was stored before: its line has to be read."""


REPEAT = Repeat()
Answer = Sent | Repeat | ChattyError
Origin = str | None


@dataclass(slots=True, eq=False)
class Send:
    """Somebody's draft on its way. `id`: of its line, from the first attempt to the last. `since`: the loop's time.

    `origin`: the connection whose sends keep their order among themselves; None for a call of its own. `alone`: it
    needs a transaction of its own.
    """

    id: UUID
    place: Place
    draft: MessageDraft
    origin: Origin
    since: float
    answered: "asyncio.Future[Sent]"
    alone: bool = False

    def answer(self, answer: Sent | Exception) -> None:
        """Tell the caller, unless it has gone."""
        if self.answered.done():
            return
        if isinstance(answer, Exception):
            self.answered.set_exception(answer)
        else:
            self.answered.set_result(answer)


@dataclass(slots=True)
class Outcome:
    """What a transaction has done, once it is committed. `apart`: those of later transactions, in their order."""

    answers: list[tuple[Send, Answer]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    apart: list[Send] = field(default_factory=list)


@dataclass(slots=True)
class _Room:
    """Where a room stands within the batch."""

    audience: Audience
    seq: int
    rev: int
    ordinal: int
    at: datetime


@dataclass(frozen=True, slots=True)
class _Referred:
    """What the drafts of a batch name, as far as it exists."""

    quotes: Mapping[UUID, Quote]
    files: Mapping[UUID, Row]


class Batch:
    """`before` is the outcome of an earlier attempt whose COMMIT was not answered."""

    def __init__(
        self, tx: SendTransaction, audiences: Audiences, tell_after: timedelta, before: Outcome | None = None
    ) -> None:
        self._tx = tx
        self._audiences = audiences
        self._tell_after = tell_after
        self._before = before
        self._rooms: dict[UUID, _Room] = {}
        self._lines: list[Line] = []
        self._stored: dict[Place, tuple[Send, Message]] = {}
        self._outcome = Outcome()
        self._at = now()
        self._alone = False
        self._held_back: set[Origin] = set()

    async def store(self, sends: Sequence[Send]) -> Outcome:
        """Decide and write everything; what is announced is in the transaction, too."""
        self._alone = len(sends) == 1
        standings = await self._tx.standings([send.place for send in sends])
        found = [(send, standing) for send, standing in zip(sends, standings, strict=True) if standing]
        if self._before and any(standing.earlier_id == send.id for send, standing in found):
            return self._as_before(self._before)
        await self._learn_members(found)
        referred = _Referred(await self._quotes(sends), await self._files(sends))
        for send, standing in zip(sends, standings, strict=True):
            try:
                self._decide(send, standing, referred)
            except ChattyError as refusal:
                self._outcome.answers.append((send, refusal))
        if self._lines:
            await self._tx.add(self._lines)
            await tell_mentioned(self._tx, self._lines)
            await self._announce()
        self._outcome.events = self._tx.announced
        return self._outcome

    def _as_before(self, before: Outcome) -> Outcome:
        """A transaction is all or nothing: one of its lines is there, so it was committed, and told to nobody."""
        for event in before.events:
            self._tx.announce(event)
        return before

    async def _learn_members(self, found: Collection[tuple[Send, Standing]]) -> None:
        """Know who is in each room, as of the lock."""
        rosters = {send.place.room_id: standing for send, standing in found}
        unknown = {id: room for id, room in rosters.items() if not self._audiences.at(id, room.roster)}
        members: dict[UUID, list[Membership]] = {room_id: [] for room_id in unknown}
        for row in await self._tx.memberships(unknown) if unknown else ():
            members[row.room_id].append(row)
        for room_id, room in rosters.items():
            known = self._audiences.at(room_id, room.roster)
            audience = known or self._audiences.remember(room_id, room.roster, members[room_id])
            self._rooms[room_id] = _Room(
                audience, room.last_seq, room.rev, room.last_ordinal, max(room.active_at, self._at)
            )

    async def _quotes(self, sends: Sequence[Send]) -> Mapping[UUID, Quote]:
        ids = {send.draft.reply_to for send in sends if send.draft.reply_to}
        return {quote.id: quote for quote in await self._tx.quotes(ids)} if ids else {}

    async def _files(self, sends: Sequence[Send]) -> Mapping[UUID, Row]:
        ids = {file_id for send in sends for file_id in send.draft.file_ids}
        return await self._tx.files.held(ids, {send.place.sender_id for send in sends}) if ids else {}

    def _decide(self, send: Send, standing: Standing | None, referred: _Referred) -> None:
        """Take the next line for this draft, or answer what it repeats. Raises why it is refused.

        A line that brings the room into somebody's list is stored alone: it costs many times what another does.
        """
        if standing is None or standing.sender.nickname is None:  # who has deleted the account sends nothing more
            raise NotFound
        if standing.earlier_id:
            self._outcome.answers.append((send, REPEAT))
            return
        if twin := self._stored.get(send.place):
            self._outcome.answers.append((send, Sent(message=twin[1], replayed=True)))
            return
        room = self._rooms[send.place.room_id]
        if standing.first_seq is None:
            raise NotFound
        check_partner(room.audience)
        check_mentions(send.draft, room.audience)
        quote = quoted(send.draft, send.place.room_id, standing.first_seq, referred.quotes)
        files = attachments_of(send.draft, send.place, referred.files)
        if self._is_for_later(send, room):
            self._outcome.apart.append(send)
        else:
            self._take_line(send, standing, room, quote, files)

    def _is_for_later(self, send: Send, room: _Room) -> bool:
        """Is this a line to be stored alone, or one that must not overtake such a one of the same connection?"""
        send.alone = bool(room.audience.unlisted)
        later = (send.alone and not self._alone) or send.origin in self._held_back
        if later and send.origin:
            self._held_back.add(send.origin)
        return later

    def _take_line(self, send: Send, standing: Standing, room: _Room, quote: Quote | None, files: list[Row]) -> None:
        room.seq, room.rev, room.ordinal = room.seq + 1, room.rev + 1, room.ordinal + 1
        message = Message(
            id=send.id,
            room_id=send.place.room_id,
            seq=room.seq,
            rev=room.rev,
            kind=kind_of(files),
            sender=user_view(standing.sender),
            text=send.draft.text,
            files=[file_view(file) for file in files],
            reply_to=reply_to(quote) if quote else None,
            mentions=[*dict.fromkeys(send.draft.mentions)],
            client_id=send.place.client_id,
            created_at=room.at,
        )
        self._lines.append(_line(send, message, room.ordinal, room.at + self._tell_after))
        self._stored[send.place] = send, message
        self._outcome.answers.append((send, Sent(message=message, replayed=False)))

    async def _announce(self) -> None:
        for send, message in self._stored.values():
            room = self._rooms[message.room_id]
            hearing = room.audience.hearing
            if room.audience.unlisted:
                await self._list(room, message)
                hearing |= room.audience.unlisted
            for event in _sent(send, message, room.audience, hearing):
                self._tx.announce(event)

    async def _list(self, room: _Room, message: Message) -> None:
        """A direct room comes into the list of whoever has it not, with this line."""
        unlisted = sorted(room.audience.unlisted)
        await self._tx.rooms.list_for(message.room_id, unlisted, message.created_at)
        for user_id in unlisted:
            view = await room_as_seen_by(self._tx, user_id, message.room_id)
            self._tx.announce(RoomAdded(frozenset({user_id}), view))


def _line(send: Send, message: Message, ordinal: int, tell_at: datetime) -> Line:
    """The row of a message that is about to be stored."""
    return Line(
        id=send.id,
        place=send.place,
        seq=message.seq,
        rev=message.rev,
        ordinal=ordinal,
        kind=message.kind,
        text=message.text,
        reply_to_seq=message.reply_to.seq if message.reply_to else None,
        mentions=message.mentions,
        files=message.files,
        created_at=message.created_at,
        tell_at=tell_at,
    )


def _sent(send: Send, message: Message, audience: Audience, hearing: frozenset[UUID]) -> list[Event]:
    """Who may not read what is quoted hears of the line without it."""
    quote = message.reply_to
    if quote is None or quote.seq >= audience.newest_first_seq:
        return [MessageSent(hearing, message, send.origin)]
    reading = hearing & audience.reading(quote.seq)
    without = message.model_copy(update={"reply_to": None})
    return [MessageSent(reading, message, send.origin), MessageSent(hearing - reading, without, send.origin)]
