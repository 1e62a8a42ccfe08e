"""Batches of sends on PostgreSQL: four round trips each, over a connection of their own."""

import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from . import postgres
from .failures import translated
from .rows import Profile
from .search_rows import vector
from .sends import Line, Membership, Move, Place, Quote, SendTransaction, Standing, moves
from .transactions import Publish
from .uninterrupted import uninterrupted

LANES = 2

# A batch asks for rows by their keys. A plan made while a table was small must not scan it once it is large.
# Nor is a plan made for each batch: that takes as long as carrying it out.
_SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}

_PREPARE = "PREPARE lock_rooms (uuid[]) AS SELECT 1 FROM rooms WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
_LOCK = "BEGIN; EXECUTE lock_rooms ('{%s}')"
_STANDINGS = """
    SELECT d.n, r.last_seq, r.rev, r.last_ordinal, r.roster, r.active_at, m.first_seq,
        u.id, u.nickname, u.intro, u.avatar, e.id
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS d(room_id, sender_id, client_id, n)
    JOIN rooms r ON r.id = d.room_id
    JOIN users u ON u.id = d.sender_id
    LEFT JOIN members m ON m.room_id = d.room_id AND m.user_id = d.sender_id
    LEFT JOIN messages e ON e.sender_id = d.sender_id AND e.client_id = d.client_id
        AND e.room_id IS NOT DISTINCT FROM d.room_id -- not by an index that would read all lines of the room
"""
_MEMBERSHIPS = """
    SELECT m.room_id, m.user_id, m.first_seq, m.listed_at IS NOT NULL,
        r.low_id IS NOT NULL AND u.deleted_at IS NOT NULL,
        r.low_id IS NOT NULL AND EXISTS (SELECT 1 FROM blocks b WHERE (b.blocker_id, b.blocked_id)
            IN ((r.low_id, r.high_id), (r.high_id, r.low_id)))
    FROM members m JOIN rooms r ON r.id = m.room_id JOIN users u ON u.id = m.user_id
    WHERE m.room_id = ANY($1::uuid[])
"""
_QUOTES = """
    SELECT m.id, m.room_id, m.seq, m.deleted_at IS NOT NULL, m.text, u.id, u.nickname, u.intro, u.avatar
    FROM messages m LEFT JOIN users u ON u.id = m.sender_id WHERE m.id = ANY($1::uuid[])
"""
# Lines travel as JSON: written by orjson in a tenth of the time that asyncpg takes for arrays.
_ADD = """
    WITH moved AS (
        UPDATE rooms SET last_seq = n.seq, rev = n.rev, last_ordinal = n.ordinal, active_at = n.at, changed_at = n.at,
            tell_at = COALESCE(rooms.tell_at, n.tell_at)
        FROM json_to_recordset($1)
            AS n(id uuid, seq bigint, rev bigint, ordinal bigint, at timestamptz, tell_at timestamptz)
        WHERE rooms.id = n.id
    ), read AS (
        UPDATE members SET read_seq = n.seq, read_ordinal = n.ordinal
        FROM json_to_recordset($2) AS n(room_id uuid, user_id uuid, seq bigint, ordinal bigint)
        WHERE members.room_id = n.room_id AND members.user_id = n.user_id AND members.read_seq < n.seq
    ), line AS (
        SELECT * FROM json_to_recordset($3) AS n(id uuid, room_id uuid, sender_id uuid, client_id uuid, seq bigint,
            rev bigint, ordinal bigint, kind varchar, text text, reply_to_seq bigint, mentions json, at timestamptz,
            words tsvector)
    ), found AS (
        INSERT INTO search_lines (message_id, room_id, seq, words) SELECT id, room_id, seq, words FROM line
    )
    INSERT INTO messages (id, room_id, sender_id, client_id, seq, rev, ordinal, kind, text, reply_to_seq, mentions,
        created_at)
    SELECT id, room_id, sender_id, client_id, seq, rev, ordinal, kind, text, reply_to_seq, mentions, at FROM line
"""


class PostgresSendTransaction(SendTransaction):
    """`driver` is asyncpg's own connection beneath `connection`, for the statements that every batch makes."""

    def __init__(self, connection: AsyncConnection, driver: asyncpg.Connection) -> None:
        super().__init__(connection)
        self._driver = driver

    async def standings(self, places: Sequence[Place]) -> list[Standing | None]:
        found: list[Standing | None] = [None] * len(places)
        for row in await self._driver.fetch(_STANDINGS, *zip(*places, strict=True)):
            number, *room, user_id, nickname, intro, avatar, earlier_id = row
            found[number - 1] = Standing._make((*room, Profile(user_id, nickname, intro, avatar), earlier_id))
        return found

    async def memberships(self, room_ids: Collection[UUID]) -> list[Membership]:
        return [Membership(*row) for row in await self._driver.fetch(_MEMBERSHIPS, [*room_ids])]

    async def quotes(self, ids: Collection[UUID]) -> list[Quote]:
        rows = await self._driver.fetch(_QUOTES, [*ids])
        return [Quote._make((*row[:5], Profile(*row[5:]) if row[5] else None)) for row in map(tuple, rows)]

    async def _add(self, lines: Sequence[Line]) -> None:
        rooms, cursors = moves(lines)
        await self._driver.execute(
            _ADD, _json(map(_room, rooms.items())), _json(map(_cursor, cursors.items())), _json(map(_line, lines))
        )


class PostgresSends:
    """One connection, kept from batch to batch; where it was lost, the next batch opens another.

    SQLAlchemy's connection around it serves the repositories, for what few batches need; it is in autocommit mode, so
    that BEGIN and COMMIT are ours.
    """

    def __init__(self, url: str, publish: Publish) -> None:
        engine = postgres.engine(url, connections=1, lock_timeout="2000", **_SETTINGS)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._publish = publish
        self._connection: AsyncConnection | None = None
        self._driver: asyncpg.Connection = None
        self._is_new = True

    @contextlib.asynccontextmanager
    async def transaction(self, room_ids: Collection[UUID]) -> AsyncIterator[PostgresSendTransaction]:
        with translated():
            try:
                transaction = await self._begin(room_ids)
                yield transaction
                await self._commit()
                if transaction.announced:
                    self._publish(transaction.announced)
            except BaseException as error:
                lost = isinstance(error, Exception) and self._connection is not None and self._driver.is_closed()
                await uninterrupted(self._let_go(error))
                if lost:  # whatever asyncpg calls it
                    raise ConnectionError from error
                raise

    async def close(self) -> None:
        await self._drop()
        await self._engine.dispose()

    async def _begin(self, room_ids: Collection[UUID]) -> PostgresSendTransaction:
        connection = self._connection
        if connection is None or self._driver.is_closed():
            await self._drop()
            connection = await self._connect()
        await self._driver.execute(_LOCK % ",".join([room_id.hex for room_id in room_ids]))
        transaction = PostgresSendTransaction(connection, self._driver)
        transaction.on_new_connection, self._is_new = self._is_new, False
        return transaction

    async def _connect(self) -> AsyncConnection:
        connection = self._connection = await self._engine.connect()
        self._is_new = True
        self._driver = (await connection.get_raw_connection()).driver_connection
        try:
            await self._driver.execute(_PREPARE)
        except BaseException:
            await uninterrupted(self._drop())  # no connection is kept without its statement
            raise
        return connection

    async def _commit(self) -> None:
        if await self._driver.execute("COMMIT") != "COMMIT":  # what has failed is rolled back without an error
            raise ConnectionError

    async def _let_go(self, error: BaseException) -> None:
        """ROLLBACK after a refusal; a connection of which we do not know how it stands is not used again."""
        healthy = self._connection is not None and not self._driver.is_closed()
        if healthy and isinstance(error, Exception) and not isinstance(error, OSError):
            with contextlib.suppress(Exception):
                await self._driver.execute("ROLLBACK")
                return
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._driver.terminate()
            await connection.invalidate()
            await connection.close()


def lanes(url: str, publish: Publish) -> list[PostgresSends]:
    """Some, so that one batch is read while another waits for the disk."""
    return [PostgresSends(url, publish) for _ in range(LANES)]


def _json(rows: Iterable[dict[str, Any]]) -> str:
    return orjson.dumps([*rows], default=str).decode()  # asyncpg's own UUIDs


def _room(moved: tuple[UUID, Move]) -> dict[str, Any]:
    room_id, to = moved
    return {"id": room_id, "seq": to.seq, "rev": to.rev, "ordinal": to.ordinal, "at": to.at, "tell_at": to.tell_at}


def _cursor(moved: tuple[tuple[UUID, UUID], Move]) -> dict[str, Any]:
    (room_id, user_id), to = moved
    return {"room_id": room_id, "user_id": user_id, "seq": to.seq, "ordinal": to.ordinal}


def _line(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "room_id": line.place.room_id,
        "sender_id": line.place.sender_id,
        "client_id": line.place.client_id,
        "seq": line.seq,
        "rev": line.rev,
        "ordinal": line.ordinal,
        "kind": line.kind,
        "text": line.text,
        "reply_to_seq": line.reply_to_seq,
        "mentions": line.mentions or None,
        "at": line.created_at,
        "words": vector(line.findable),
    }
