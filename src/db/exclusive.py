"""Ids that one worker has to itself for a while, without a row or a transaction that others would wait for."""

import contextlib
from collections.abc import AsyncIterator, Collection
from typing import Final, Literal
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Integer, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

log = structlog.get_logger("chatty.database")

_TAKE = text("SELECT key FROM unnest(:keys) AS key WHERE pg_try_advisory_lock(key)").bindparams(
    bindparam("keys", type_=ARRAY(BigInteger))
)
_LEAVE = text("SELECT pg_advisory_unlock_all()")
_HOLD = text("SELECT pg_advisory_xact_lock(:what, key) FROM unnest(:keys) AS key").bindparams(
    bindparam("what", type_=Integer), bindparam("keys", type_=ARRAY(Integer))
)
_WHAT: Final = {"deliveries": 1, "pushes": 2}
"""What is held of people. PostgreSQL keeps these apart from the locks above, which have one number."""


async def hold_people(
    connection: AsyncConnection, what: Literal["deliveries", "pushes"], user_ids: Collection[UUID]
) -> None:
    """Until COMMIT nobody else holds the same of one of these people; on SQLite, which has one writer, nobody does.

    For transactions that change many rows of many people, in whatever order: taken first, and in one order, it keeps
    two of them from waiting for each other.
    """
    if connection.dialect.name == "sqlite" or not user_ids:
        return
    keys = sorted({int.from_bytes(each.bytes[12:], signed=True) for each in user_ids})
    await connection.execute(_HOLD, {"what": _WHAT[what], "keys": keys})


@contextlib.asynccontextmanager
async def taken_here(ids: Collection[UUID], taken: set[UUID]) -> AsyncIterator[frozenset[UUID]]:
    """Those of these ids that are not in `taken`; there until the end of the block."""
    mine = frozenset(ids) - taken
    taken |= mine
    try:
        yield mine
    finally:
        taken -= mine


@contextlib.asynccontextmanager
async def taken_on(engine: AsyncEngine, ids: Collection[UUID]) -> AsyncIterator[frozenset[UUID]]:
    """The same among all processes on a PostgreSQL, by advisory locks of a connection: they end with it at the latest.

    It is in no transaction meanwhile, which the server would end if it took long.
    """
    by_key = {_key(each): each for each in ids}
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        keys = (await connection.scalars(_TAKE, {"keys": [*by_key]})).all()
        try:
            yield frozenset(by_key[key] for key in keys)
        finally:
            await _leave(connection)


async def _leave(connection: AsyncConnection) -> None:
    """What was done in the block is done, whatever becomes of the connection now."""
    try:
        await connection.execute(_LEAVE)
    except BaseException as error:
        log.warning("A connection with locks is thrown away.", error=type(error).__name__)
        await connection.invalidate()
        if not isinstance(error, Exception):
            raise


def _key(id_: UUID) -> int:
    """The end of an id, which is random, as PostgreSQL takes it."""
    return int.from_bytes(id_.bytes[8:], signed=True)
