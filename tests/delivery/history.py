"""What was tried, what was answered, what was heard, and what is stored: the facts that the checker compares."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Key = tuple[str, int]
Reactions = frozenset[tuple[str, frozenset[str]]]


class Line(NamedTuple):
    """One line of a room, as the database or a device holds it. Ids are strings."""

    id: str
    seq: int
    rev: int
    kind: str
    sender: str | None
    client_id: str | None
    text: str | None
    deleted: bool
    edited: bool
    reactions: Reactions
    system: tuple[str, str | None, frozenset[str]] | None


def line_of(message: Mapping[str, Any]) -> Line:
    """The `Message` of the contract as a line."""
    system = message["system"]
    return Line(
        id=message["id"],
        seq=message["seq"],
        rev=message["rev"],
        kind=message["kind"],
        sender=message["sender"]["id"] if message["sender"] else None,
        client_id=message["client_id"],
        text=message["text"],
        deleted=message["deleted_at"] is not None,
        edited=message["edited_at"] is not None,
        reactions=frozenset((each["emoji"], frozenset(each["user_ids"])) for each in message["reactions"]),
        system=system and (system["type"], _id(system["actor"]), frozenset(each["id"] for each in system["targets"])),
    )


def _id(user: Mapping[str, Any] | None) -> str | None:
    return str(user["id"]) if user else None


class Answer(NamedTuple):
    """How one attempt ended. `unknown`: no answer, or one that says neither yes nor no (503, a lost connection).

    `repeats`: when it was begun, an earlier attempt had been acknowledged.
    """

    outcome: Literal["acked", "refused", "unknown"]
    line: Line | None = None
    code: str | None = None
    replayed: bool = False
    repeats: bool = False


@dataclass(slots=True)
class Send:
    """One draft and every attempt at it. `steady`: its sender surely stays in the room, so no refusal is right.

    `place` is the connection and the turn at which it was emitted, if it was emitted once and answered there.
    """

    room_id: str
    sender: str
    client_id: str
    text: str
    steady: bool
    answers: list[Answer] = field(default_factory=list)
    place: tuple[str, int] | None = None

    @property
    def acks(self) -> list[Line]:
        return [answer.line for answer in self.answers if answer.line is not None]

    @property
    def settled(self) -> bool:
        return any(answer.outcome != "unknown" for answer in self.answers)


@dataclass(slots=True)
class Change:
    """An acknowledged edit, deletion or reaction; `line` is how the server then showed the message."""

    room_id: str
    line: Line


@dataclass(slots=True)
class Journal:
    """Everything that the clients know. `reads`: the highest acknowledged cursor of a person in a room."""

    sends: dict[str, Send] = field(default_factory=dict)
    edits: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    changes: list[Change] = field(default_factory=list)
    reads: dict[tuple[str, str], int] = field(default_factory=dict)
    revs: dict[Key, str] = field(default_factory=dict)
    found: list["Violation"] = field(default_factory=list)

    def note_rev(self, room_id: str, rev: int, what: str) -> None:
        """A device heard that `rev` was `what`: it must be the same for all."""
        if self.revs.setdefault((room_id, rev), what) != what:
            self.found.append(Violation("gap", f"rev {rev} of {room_id} was {self.revs[room_id, rev]} and {what}"))

    def note_read(self, room_id: str, user_id: str, seq: int) -> None:
        self.reads[room_id, user_id] = max(seq, self.reads.get((room_id, user_id), 0))


class Violation(NamedTuple):
    """A promise broken: its kind, and where."""

    kind: str
    what: str


@dataclass(slots=True)
class Membership:
    """A row of `members`."""

    first_seq: int
    read_seq: int


@dataclass(slots=True)
class StoredRoom:
    """A room of the database, after everything."""

    kind: str
    name: str | None
    rev: int
    last_seq: int
    lines: list[Line]
    members: dict[str, Membership]


Truth = dict[str, StoredRoom]


@dataclass(slots=True)
class HeldRoom:
    """A room as a device holds it."""

    rev: int
    name: str | None
    members: frozenset[str]
    lines: dict[int, Line]
    first_seq: int = 1


@dataclass(slots=True)
class Held:
    """All that a device holds at the end, and all that it ever heard.

    `heard`: of each line the highest `rev` in which it came; `revs`: of each room the changes heard that are no line;
    `twice`: lines that one connection heard as new more than once; `unread`: what the server told it at the end.
    """

    device: str
    user_id: str
    rooms: dict[str, HeldRoom]
    heard: dict[Key, int]
    revs: set[Key]
    twice: list[Key]
    faults: list[Violation]
    unread: dict[str, tuple[int, int]]
    unread_total: int
    complete: bool
