"""The mail that tells somebody what they have not read: all of it, by room, in their language."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from .digest_layout import Entry, Link, Page, Section, as_html, as_text
from .digest_words import WORDS, Words
from .letters import Letter, host_of, message_id
from .mail_texts import Language
from .one_line import one_line
from .unsubscribing import UnsubscribeTokens

MAX_ROOMS = 20
MAX_LINES = 3
MAX_OTHERS = 20
NAME_CHARACTERS = 60
SUBJECT_CHARACTERS = 40
TEXT_CHARACTERS = 160
EMOJI_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class DigestLine:
    """A message. `text`: what is shown of it."""

    sender_name: str | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DigestRoom:
    """A room with `count` unread messages, `mentions` of which name the reader. `lines`: the newest, oldest first."""

    name: str | None
    link: str
    count: int
    mentions: int
    lines: Sequence[DigestLine]


@dataclass(frozen=True, slots=True)
class DigestOther:
    """A notification of another kind. `preview`: of the message that it is about; `emoji`: of a reaction."""

    kind: str
    actor_name: str | None
    room_name: str | None = None
    preview: str | None = None
    emoji: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """`id`: the same whenever it is sent again. `rooms`: what is shown first comes first. `zone`: the reader's.

    `hide_content`: no names and no words of others, only how much there is.
    """

    id: UUID
    user_id: UUID
    email: str
    language: Language
    nickname: str
    rooms: Sequence[DigestRoom]
    others: Sequence[DigestOther] = ()
    hide_content: bool = False
    zone: tzinfo | None = None


class DigestMails:
    """`public_url`: where the service is. `sender`: the From header."""

    def __init__(self, public_url: str, sender: str, tokens: UnsubscribeTokens) -> None:
        self._public_url = public_url
        self._sender = sender
        self._tokens = tokens

    def write(self, digest: Digest, at: datetime) -> Letter:
        """The mail, of that moment. Raises Undeliverable for an address that no mail can have."""
        links = self._tokens.links(digest.user_id)
        page = _page(digest, self._public_url, links.page)
        return Letter(
            message_id=message_id(digest.id, self._public_url),
            sender=self._sender,
            recipient=digest.email,
            subject=page.title,
            plain=as_text(page),
            html=as_html(page),
            language=digest.language,
            at=at,
            headers={
                "List-Id": f"<notifications.{host_of(self._public_url)}>",
                "List-Unsubscribe": f"<{links.one_click}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                "Precedence": "bulk",
            },
        )


def _page(digest: Digest, home: str, unsubscribe: str) -> Page:
    words = WORDS[digest.language]
    messages, rooms, others = _count(digest.rooms), len(digest.rooms), len(digest.others)
    first = one_line(digest.rooms[0].name or "", SUBJECT_CHARACTERS) if rooms and not digest.hide_content else ""
    return Page(
        language=digest.language,
        title=words.subject(messages, others, first, rooms - 1),
        opening=[words.greeting(_name(digest.nickname)), words.lead(messages, rooms, others)],
        sections=[] if digest.hide_content else [*_sections(digest, words)],
        home=Link(words.open_chatty, home),
        why=words.why,
        unsubscribe=Link(words.unsubscribe, unsubscribe),
    )


def _sections(digest: Digest, words: Words) -> Iterator[Section]:
    for room in digest.rooms[:MAX_ROOMS]:
        yield _of_room(room, words, digest.zone)
    if more := digest.rooms[MAX_ROOMS:]:
        yield Section("", "", (), words.more_rooms(len(more), _count(more)), None)
    if digest.others:
        yield _of_others(digest.others, words, words.others if digest.rooms else "")


def _of_room(room: DigestRoom, words: Words, zone: tzinfo | None) -> Section:
    entries = [
        Entry(_name(line.sender_name) or words.somebody, _time(line.at, words, zone), _text(line.text))
        for line in room.lines[-MAX_LINES:]
    ]
    earlier = room.count - len(entries)
    return Section(
        title=_name(room.name) or words.somebody,
        facts=words.counts(room.count, room.mentions),
        entries=entries,
        more=words.earlier(earlier) if entries and earlier > 0 else "",
        link=Link(words.open_room, room.link),
    )


def _of_others(others: Sequence[DigestOther], words: Words, title: str) -> Section:
    entries = [Entry("", "", sentence) for other in others[:MAX_OTHERS] if (sentence := _sentence(other, words))]
    more = len(others) - MAX_OTHERS
    return Section(title, "", entries, words.more_others(more) if more > 0 else "", None)


def _sentence(other: DigestOther, words: Words) -> str:
    actor, emoji = _name(other.actor_name) or words.somebody, one_line(other.emoji, EMOJI_CHARACTERS)
    sentence, preview = words.other(other.kind, actor, _name(other.room_name), emoji), _text(other.preview)
    return f"{sentence} “{preview}”" if sentence and preview else sentence or preview


def _count(rooms: Sequence[DigestRoom]) -> int:
    return sum(room.count for room in rooms)


def _name(name: str | None) -> str:
    return one_line(name or "", NAME_CHARACTERS)


def _text(text: str | None) -> str:
    return one_line(text or "", TEXT_CHARACTERS)


def _time(at: datetime, words: Words, zone: tzinfo | None) -> str:
    """Where it is not the reader's own clock, it is said whose."""
    local = at.astimezone(zone or words.zone)
    return words.time(local) + ("" if zone else f" {local.tzname()}")
