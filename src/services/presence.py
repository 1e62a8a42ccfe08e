"""Who is online, over all nodes (contract §7, §9).

The socket edge says who comes and goes; one worker writes it down, some people at a time, and announces it. Each node
says every few seconds that it is alive, and sweeps up after those that no longer do.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from time import monotonic
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.repositories.presence import ALIVE_FOR
from ..events import PresenceChanged
from ..schemas.people import PresenceChange
from .push_waiting import push_to_who_left

log = logging.getLogger(__name__)

_GATHER_SECONDS = 0.1
_AT_ONCE = 500
_RETRY_SECONDS = 1.0
_FAREWELL_SECONDS = 5.0


class Presence:
    """The people connected to this node.

    Who lost the last connection goes offline `grace_seconds` later: a reload is no absence. `beat_seconds`: how often
    this node says that it is alive, and looks for those that are not.
    """

    def __init__(
        self, database: Database, node_id: UUID, *, grace_seconds: float = 5.0, beat_seconds: float = 5.0
    ) -> None:
        self._database = database
        self._node_id = node_id
        self._grace_seconds = grace_seconds
        self._beat_seconds = beat_seconds
        self._connections: Counter[UUID] = Counter()
        self._online: set[UUID] = set()  # as the database has it
        self._arriving: set[UUID] = set()
        self._leaving: dict[UUID, float] = {}  # until when they may come back, the soonest first
        self._next_beat = 0.0
        self._woken = asyncio.Event()

    def connected(self, user_id: UUID) -> None:
        """A connection of this person's was opened here. Returns at once."""
        self._connections[user_id] += 1
        self._leaving.pop(user_id, None)
        if user_id not in self._online:
            self._arriving.add(user_id)
            self._woken.set()

    def disconnected(self, user_id: UUID) -> None:
        """A connection of this person's has ended here. Returns at once."""
        self._connections[user_id] -= 1
        if self._connections[user_id] > 0:
            return
        del self._connections[user_id]
        self._arriving.discard(user_id)
        self._leaving[user_id] = monotonic() + self._grace_seconds
        self._woken.set()

    def is_here(self, user_id: UUID) -> bool:
        """Has this person a connection to this node?"""
        return user_id in self._connections

    async def run(self) -> None:
        """Write down who comes and goes until cancelled; then everybody here goes offline."""
        try:
            if self._database.is_sqlite:  # one node: whoever else is written down was left by an earlier run
                await _until_it_works(lambda: self._sweep(now()))
            while True:
                await _until_it_works(self._step)
                await self._pause()
        finally:
            with contextlib.suppress(Exception):  # the database is gone before us: another node sweeps up
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await self._retire()

    async def _pause(self) -> None:
        """Wait until somebody comes, somebody's grace is over, or a beat is due; and a moment for those who follow."""
        soonest = min(self._next_beat, next(iter(self._leaving.values()), self._next_beat))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, soonest - monotonic())):
                await self._woken.wait()
        await asyncio.sleep(_GATHER_SECONDS)

    async def _step(self) -> None:
        self._woken.clear()
        beat_due = monotonic() >= self._next_beat
        arriving, leaving = set(list(self._arriving)[:_AT_ONCE]), self._overdue()
        if arriving or leaving or beat_due:
            await self._write(arriving, leaving)
        if beat_due:
            self._next_beat = monotonic() + self._beat_seconds
            if not self._database.is_sqlite:
                await self._sweep(now() - ALIVE_FOR)

    def _overdue(self) -> set[UUID]:
        """Some of those whose grace is over. Who came and left between two steps was never online."""
        due = [user_id for user_id, until in self._leaving.items() if until <= monotonic()][:_AT_ONCE]
        for user_id in set(due) - self._online:
            del self._leaving[user_id]
        return set(due) & self._online

    async def _write(self, arriving: set[UUID], leaving: set[UUID]) -> None:
        async with self._database.transaction() as tx:
            known = await tx.presence.beat(self._node_id, at := now())
            if known:
                people = await tx.people.lock(arriving | leaving)
                await _come(tx, self._node_id, arriving & people.keys(), at)
                await _go(tx, self._node_id, leaving & people.keys(), at)
            else:
                await tx.presence.add_node(self._node_id, at)
        if known:
            self._written(arriving, leaving)
        else:  # this node is new, or another one took it for dead and swept it
            self._online.clear()
            self._arriving = set(self._connections)
        if self._arriving:
            self._woken.set()

    def _written(self, arriving: set[UUID], leaving: set[UUID]) -> None:
        """Catch up with the database; meanwhile people may have come and gone again."""
        self._online = (self._online | arriving) - leaving
        self._arriving -= arriving
        for user_id in leaving:
            self._leaving.pop(user_id, None)
            if user_id in self._connections:
                self._arriving.add(user_id)

    async def _sweep(self, seen_before: datetime) -> None:
        """Take offline whom nodes have left that were not seen since."""
        swept = True
        while swept:
            async with self._database.transaction() as tx:
                node = await tx.presence.lock_dead_node(seen_before, except_id=self._node_id)
                swept = node is not None
                if node is not None:
                    await _clear(tx, node.id, node.seen_at)

    async def _retire(self) -> None:
        """Take everybody here offline, at the end."""
        cleared = False
        while not cleared:
            async with self._database.transaction() as tx:
                await tx.presence.beat(self._node_id, at := now())
                cleared = await _clear(tx, self._node_id, at)


async def _until_it_works(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await work()
        except Exception:
            log.warning("Presence could not be written; trying again.", exc_info=True)
            await asyncio.sleep(_RETRY_SECONDS)


async def _come(tx: Transaction, node_id: UUID, user_ids: Collection[UUID], at: datetime) -> None:
    elsewhere = await _alive_elsewhere(tx, node_id, user_ids, at)
    await tx.presence.add(node_id, user_ids)
    await _announce(tx, set(user_ids) - elsewhere, last_seen_at=None)


async def _go(tx: Transaction, node_id: UUID, user_ids: Collection[UUID], at: datetime) -> None:
    """Take people off a node where they were until `at`."""
    await tx.presence.remove(node_id, user_ids)
    gone = set(user_ids) - await _alive_elsewhere(tx, node_id, user_ids, now())
    await _announce(tx, await tx.presence.set_last_seen(gone, at), last_seen_at=at)
    await push_to_who_left(tx, gone, now())


async def _clear(tx: Transaction, node_id: UUID, at: datetime) -> bool:
    """Take some people off a node, seen last `at`, and the node with the last of them: True."""
    user_ids = await tx.presence.people_on(node_id, _AT_ONCE)
    await tx.people.lock(user_ids)
    await _go(tx, node_id, user_ids, at)
    if len(user_ids) < _AT_ONCE:
        await tx.presence.remove_node(node_id)
        return True
    return False


async def _alive_elsewhere(tx: Transaction, node_id: UUID, user_ids: Collection[UUID], at: datetime) -> set[UUID]:
    seen = await tx.presence.heartbeats(user_ids, except_on=node_id)
    return {user_id for user_id, seen_at in seen.items() if seen_at > at - ALIVE_FOR}


async def _announce(tx: Transaction, user_ids: Collection[UUID], last_seen_at: datetime | None) -> None:
    """People are online, or were `last_seen_at`."""
    hearers = await tx.presence.hearers_of(user_ids)
    for user_id, audience in hearers.items():
        change = PresenceChange(user_id=user_id, online=last_seen_at is None, last_seen_at=last_seen_at)
        tx.announce(PresenceChanged(audience, change))


async def show_each_other(tx: Transaction, pair: frozenset[UUID]) -> None:
    """After two people have come to see each other's presence: tell each if the other is online."""
    at = now()
    hearers = await tx.presence.hearers_of(pair)
    for user_id, seen_at in (await tx.presence.heartbeats(pair)).items():
        if seen_at > at - ALIVE_FOR:
            _tell_the_other(tx, pair, hearers, PresenceChange(user_id=user_id, online=True, last_seen_at=None))


async def hide_from_each_other(tx: Transaction, pair: frozenset[UUID]) -> None:
    """Before a block between two people who see each other's presence: who is online leaves, as the other sees it.

    So does who is written down on a dead node: when that is swept, the other hears nothing of it any more.
    """
    at = now()
    hearers = await tx.presence.hearers_of(pair)
    for user_id, seen_at in (await tx.presence.heartbeats(pair)).items():
        last_seen_at = at if seen_at > at - ALIVE_FOR else seen_at
        _tell_the_other(tx, pair, hearers, PresenceChange(user_id=user_id, online=False, last_seen_at=last_seen_at))


async def vanish(tx: Transaction, user_id: UUID) -> None:
    """Before an account is deleted: who sees this person online sees them leave."""
    seen_at = (await tx.presence.heartbeats([user_id])).get(user_id)
    if seen_at is not None:
        at = now()
        await _announce(tx, [user_id], last_seen_at=at if seen_at > at - ALIVE_FOR else seen_at)


def _tell_the_other(
    tx: Transaction, pair: frozenset[UUID], hearers: Mapping[UUID, frozenset[UUID]], change: PresenceChange
) -> None:
    audience = hearers.get(change.user_id, frozenset()) & pair
    if audience:
        tx.announce(PresenceChanged(audience, change))
