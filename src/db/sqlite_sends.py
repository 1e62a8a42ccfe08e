"""Batches of sends on SQLite: on the one writer connection, statements on the event loop, waits in a thread."""

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from . import sqlite_search
from .failures import translated
from .rows import Profile
from .sends import Line, Membership, Place, Quote, SendTransaction, Standing, moves
from .transactions import Publish
from .uninterrupted import uninterrupted

_STANDING = """
    SELECT r.last_seq, r.rev, r.last_ordinal, r.roster, r.active_at, m.first_seq,
        u.nickname, u.intro, u.avatar, e.id
    FROM rooms r JOIN users u ON u.id = :sender_id
    LEFT JOIN members m ON m.room_id = r.id AND m.user_id = u.id
    LEFT JOIN messages e ON e.room_id = r.id AND e.sender_id = u.id AND e.client_id = :client_id
    WHERE r.id = :room_id
"""
_MEMBERSHIPS = """
    SELECT m.room_id, m.user_id, m.first_seq, m.listed_at IS NOT NULL,
        r.low_id IS NOT NULL AND u.deleted_at IS NOT NULL,
        r.low_id IS NOT NULL AND EXISTS (SELECT 1 FROM blocks b
            WHERE b.blocker_id = r.low_id AND b.blocked_id = r.high_id
               OR b.blocker_id = r.high_id AND b.blocked_id = r.low_id)
    FROM members m JOIN rooms r ON r.id = m.room_id JOIN users u ON u.id = m.user_id
    WHERE m.room_id IN (SELECT value FROM json_each(?))
"""
_QUOTES = """
    SELECT m.id, m.room_id, m.seq, m.deleted_at IS NOT NULL, m.text, u.id, u.nickname, u.intro, u.avatar
    FROM messages m LEFT JOIN users u ON u.id = m.sender_id WHERE m.id IN (SELECT value FROM json_each(?))
"""
_MOVE_ROOM = """
    UPDATE rooms SET last_seq = ?, rev = ?, last_ordinal = ?, active_at = ?, changed_at = ?,
        tell_at = COALESCE(tell_at, ?)
    WHERE id = ?
"""
_MOVE_CURSOR = "UPDATE members SET read_seq = ?, read_ordinal = ? WHERE room_id = ? AND user_id = ? AND read_seq < ?"
_ADD = """
    INSERT INTO messages (id, room_id, sender_id, client_id, seq, rev, ordinal, kind, text, reply_to_seq, mentions,
        created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class SqliteSendTransaction(SendTransaction):
    """`driver` is sqlite3's own connection beneath `connection`, for the statements that every batch makes."""

    def __init__(self, connection: AsyncConnection, driver: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._driver = driver

    async def standings(self, places: Sequence[Place]) -> list[Standing | None]:
        return [self._standing(place) for place in places]

    async def memberships(self, room_ids: Collection[UUID]) -> list[Membership]:
        rows = self._driver.execute(_MEMBERSHIPS, [_array(room_ids)])
        return [Membership(UUID(room), UUID(user), seq, *map(bool, is_so)) for room, user, seq, *is_so in rows]

    async def quotes(self, ids: Collection[UUID]) -> list[Quote]:
        rows = self._driver.execute(_QUOTES, [_array(ids)])
        return [
            Quote(UUID(id), UUID(room), seq, bool(deleted), text, Profile(UUID(user), *who) if user else None)
            for id, room, seq, deleted, text, user, *who in rows
        ]

    async def _add(self, lines: Sequence[Line]) -> None:
        rooms, cursors = moves(lines)
        self._driver.executemany(
            _MOVE_ROOM,
            [(*to[:3], _moment(to.at), _moment(to.at), _moment(to.tell_at), id.hex) for id, to in rooms.items()],
        )
        self._driver.executemany(
            _MOVE_CURSOR,
            [(to.seq, to.ordinal, room_id.hex, user_id.hex, to.seq) for (room_id, user_id), to in cursors.items()],
        )
        self._driver.executemany(_ADD, [_row(line) for line in lines])
        to_be_found = [sqlite_search.parameters(line.findable) for line in lines]
        for statement in sqlite_search.ADD:
            self._driver.executemany(statement, to_be_found)

    def _standing(self, place: Place) -> Standing | None:
        keys = {name: id.hex for name, id in zip(Place._fields, place, strict=True)}
        row = self._driver.execute(_STANDING, keys).fetchone()
        if row is None:
            return None
        *numbers, active_at, first_seq, nickname, intro, avatar, earlier_id = row
        sender = Profile(place.sender_id, nickname, intro, avatar)
        at = datetime.fromisoformat(active_at).replace(tzinfo=UTC)
        return Standing._make((*numbers, at, first_seq, sender, UUID(earlier_id) if earlier_id else None))


class SqliteSends:
    """On the engine of the database's writer, so that a batch and any other transaction exclude each other."""

    def __init__(self, writer: AsyncEngine, publish: Publish) -> None:
        self._writer = writer
        self._publish = publish

    @contextlib.asynccontextmanager
    async def transaction(self, room_ids: Collection[UUID]) -> AsyncIterator[SqliteSendTransaction]:
        with translated():
            async with self._writer.connect() as connection:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                raw = (await connection.get_raw_connection()).driver_connection
                transaction = SqliteSendTransaction(connection, raw._conn)  # type: ignore[union-attr]
                yield transaction
                await uninterrupted(self._end(connection, transaction))

    async def _end(self, connection: AsyncConnection, transaction: SqliteSendTransaction) -> None:
        """COMMIT and publish are one: who is cancelled in between has still done both."""
        await self._commit(connection)
        if transaction.announced:
            self._publish(transaction.announced)

    async def _commit(self, connection: AsyncConnection) -> None:
        await connection.commit()

    async def close(self) -> None:
        """The connection is the database's."""


def _array(ids: Collection[UUID]) -> str:
    return json.dumps([id.hex for id in ids])


@lru_cache(maxsize=64)  # a batch has two
def _moment(at: datetime) -> str:
    """As SQLAlchemy writes it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def _row(line: Line) -> tuple[Any, ...]:
    mentions = json.dumps([str(each) for each in line.mentions]) if line.mentions else None
    ids = (line.id.hex, *(each.hex for each in line.place))
    numbers = (line.seq, line.rev, line.ordinal)
    return *ids, *numbers, line.kind, line.text, line.reply_to_seq, mentions, _moment(line.created_at)
