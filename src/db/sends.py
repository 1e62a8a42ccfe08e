"""Sends, many in one transaction: what a batch of drafts asks, and what it stores.

The rooms of the batch are locked by `transaction`; the questions after it see what was committed before the lock. One
implementation per database, each in plain SQL for the driver: this is the one place where a statement per message would
be felt. See docs/decisions/0008-group-commit.md.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ..schemas.files import File
from .rows import Profile
from .search_rows import Findable, searched_text
from .transactions import Transaction


class Place(NamedTuple):
    """Who sends into which room, under which `client_id`."""

    room_id: UUID
    sender_id: UUID
    client_id: UUID


class Standing(NamedTuple):
    """What there is at a place: the room's numbers, its sender, and the line stored under its `client_id`, if any.

    `first_seq` is None for who is not in the room.
    """

    last_seq: int
    rev: int
    last_ordinal: int
    roster: int
    active_at: datetime
    first_seq: int | None
    sender: Profile
    earlier_id: UUID | None


class Membership(NamedTuple):
    """One member of a room. Of a direct one: `gone` who has deleted the account, `barred` both if there is a block."""

    room_id: UUID
    user_id: UUID
    first_seq: int
    listed: bool
    gone: bool
    barred: bool


class Quote(NamedTuple):
    """A line that somebody answers. `sender` is None for a system line."""

    id: UUID
    room_id: UUID
    seq: int
    deleted: bool
    text: str | None
    sender: Profile | None


class Line(NamedTuple):
    """A row of `messages`, as a person sends it, with the files that it has.

    `tell_at`: when to look who has not read it.
    """

    id: UUID
    place: Place
    seq: int
    rev: int
    ordinal: int
    kind: str
    text: str | None
    reply_to_seq: int | None
    mentions: Sequence[UUID]
    files: Sequence[File]
    created_at: datetime
    tell_at: datetime

    @property
    def findable(self) -> Findable:
        """As far as a search finds it. It has a text, or files, or both."""
        text = searched_text(self.text, [file.name for file in self.files]) or ""
        return Findable(self.id, self.place.room_id, self.seq, self.place.sender_id, text)

    @property
    def attachments(self) -> list[dict[str, Any]]:
        """Its rows of `message_files`."""
        place = {"message_id": self.id, "room_id": self.place.room_id, "seq": self.seq}
        files = enumerate(self.files)
        return [{**place, "position": number, "file_id": file.id, "kind": file.kind} for number, file in files]


class SendTransaction(Transaction, ABC):
    """A transaction in which the rooms of a batch are locked.

    `on_new_connection`: the first one since the connection was opened. The database may be another one than before.
    """

    on_new_connection = False

    @abstractmethod
    async def standings(self, places: Sequence[Place]) -> list[Standing | None]:
        """What there is at each place, in their order; None where there is no such room or no such person."""

    @abstractmethod
    async def memberships(self, room_ids: Collection[UUID]) -> list[Membership]:
        """Who is in these rooms."""

    @abstractmethod
    async def quotes(self, ids: Collection[UUID]) -> list[Quote]:
        """These lines, as far as they exist, whoever may read them."""

    async def add(self, lines: Sequence[Line]) -> None:
        """Store lines, numbered on from their rooms' numbers, in their order: rooms and senders' cursors move along."""
        await self._add(lines)
        if attachments := [row for line in lines if line.files for row in line.attachments]:
            await self.files.attach(attachments)

    @abstractmethod
    async def _add(self, lines: Sequence[Line]) -> None:
        """The same without their files."""


class Sends(Protocol):
    """Where batches are stored, one after the other: a connection of its own, or the one writer of SQLite."""

    def transaction(self, room_ids: Collection[UUID]) -> AbstractAsyncContextManager[SendTransaction]:
        """Lock these rooms, in the order of their ids; COMMIT at the end, then publish.

        Raises Unavailable when the database is away or overwhelmed, its outcome unknown if that was at the COMMIT, and
        the driver's own error for a row that the database refuses.
        """

    async def close(self) -> None: ...


class Move(NamedTuple):
    """Where a room, or its member's cursor, stands after a batch. `tell_at`: of the first of its lines."""

    seq: int
    rev: int
    ordinal: int
    at: datetime
    tell_at: datetime


def moves(lines: Sequence[Line]) -> tuple[dict[UUID, Move], dict[tuple[UUID, UUID], Move]]:
    """How far these lines move rooms, and the cursors of (room, sender)."""
    rooms: dict[UUID, Move] = {}
    cursors: dict[tuple[UUID, UUID], Move] = {}
    for line in lines:
        earlier = rooms.get(line.place.room_id)
        tell_at = earlier.tell_at if earlier else line.tell_at
        move = Move(line.seq, line.rev, line.ordinal, line.created_at, tell_at)
        rooms[line.place.room_id] = cursors[line.place.room_id, line.place.sender_id] = move
    return rooms, cursors
