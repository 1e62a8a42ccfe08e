"""Sessions: begun at sign-in, renewed by a rotating refresh token, ended by their owner or by a theft (contract §2).

Every request asks `authenticate`. A token that is genuine still needs its session to be alive: that is read from the
database at most once a second per session, and not at all for sessions that are known here to have ended.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog

from ..clock import now
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.repositories import Repositories
from ..db.rows import Row
from ..db.views import me_view
from ..errors import NotFound, ReauthenticationRequired, Unauthorized
from ..events import Event, SessionsEnded
from ..schemas.auth import Device, Session
from ..schemas.common import Items
from ..viewer import ClientInfo, Viewer
from .liveness import Liveness
from .tokens import RefreshToken, Tokens

log = structlog.get_logger("chatty.sessions")

RACE = timedelta(seconds=10)
RECENT = timedelta(minutes=5)
WATCH_SECONDS = 1.0
OVERLAP = timedelta(seconds=10)
CHECK_SECONDS = 10.0
MAX_CLIENT = 200
MAX_SESSIONS = 50


class Started(NamedTuple):
    """A session as its client gets it, and the refresh token that belongs to it; the edge decides how it travels."""

    session: Session
    refresh_token: str


class Sessions:
    """`publish`: what the database publishes to; for sessions that ended on another node. `days`: without a refresh."""

    def __init__(
        self, database: Database, tokens: Tokens, publish: Callable[[Sequence[Event]], None], days: int
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._publish = publish
        self._lasts = timedelta(days=days)
        self._liveness = Liveness(tokens.access_seconds)

    async def authenticate(self, token: str) -> Viewer:
        """Who is asking. Raises TokenExpired, and Unauthorized for a foreign token and for one of an ended session."""
        viewer = self._tokens.read_access(token)
        if not self._liveness.has_ended(viewer.session_id) and (
            self._liveness.was_alive(viewer.session_id) or await self._is_alive(viewer)
        ):
            return viewer
        raise Unauthorized("This session has ended; sign in again.")

    async def begin(self, tx: Transaction, user: Row, client: ClientInfo) -> Started:
        """A new session of the person in this row, who is locked; whoever has MAX_SESSIONS loses the longest unused."""
        session_id, moment = new_id(), now()
        surplus = await tx.sessions.end_beyond(user.id, MAX_SESSIONS - 1, moment)
        if surplus:
            tx.announce(SessionsEnded(frozenset({user.id}), surplus))
        lapses = moment + self._lasts
        await tx.sessions.add(session_id, user.id, **_place(client), moment=moment, expires_at=lapses)
        return self._started(user, session_id, 0)

    async def refresh(self, token: str, client: ClientInfo) -> Started:
        """The session again, with new tokens. Raises Unauthorized.

        A used token means that two hold it, one of them a thief: the session ends for both. Except within RACE of its
        use, when it is one browser asking twice: every asker gets the same new token, so that no second line of
        tokens ever begins.
        """
        given = self._tokens.read_refresh(token)
        async with self._database.transaction() as tx:
            moment = now()
            row = await tx.sessions.lock(given.session_id, moment)
            user = await tx.users.me_row(row.user_id) if row else None
            if row is None or user is None or given.generation > row.generation:
                raise Unauthorized("This session has ended; sign in again.")
            stolen = _is_reuse(given, row, moment)
            if stolen:
                await self.end(tx, row.user_id, only=row.id)
            else:
                started = await self._renewed(tx, given, row, user, client, moment)
        if stolen:
            log.warning("A used refresh token came again; its session has ended.", session_id=str(given.session_id))
            raise Unauthorized("This session has ended; sign in again.")
        return started

    async def session_of(self, refresh_token: str) -> UUID:
        """Which session a refresh token stands for; it stays unused. Raises Unauthorized where `refresh` would."""
        given = self._tokens.read_refresh(refresh_token)
        moment = now()
        async with self._database.single_read() as reads:
            row = await reads.sessions.find(given.session_id, moment)
        if row is None or given.generation > row.generation or _is_reuse(given, row, moment):
            raise Unauthorized("This session has ended; sign in again.")
        return given.session_id

    async def require_recent(self, reads: Repositories, session_id: UUID) -> UUID:
        """Whose session it is. Raises ReauthenticationRequired unless it began within RECENT; Unauthorized if it ended.

        A session begins when somebody proves who they are; that it was renewed since proves nothing.
        """
        moment = now()
        row = await reads.sessions.find(session_id, moment)
        if row is None:
            raise Unauthorized("This session has ended; sign in again.")
        if moment - row.created_at > RECENT:
            raise ReauthenticationRequired
        user_id: UUID = row.user_id
        return user_id

    async def devices(self, viewer: Viewer) -> Items[Device]:
        """Where I am signed in, the latest used first."""
        moment = now()
        async with self._database.single_read() as reads:
            rows = await reads.sessions.of(viewer.user_id, moment)
        return Items[Device](items=[_device(row, viewer, moment) for row in rows])

    async def end_one(self, viewer: Viewer, session_id: UUID) -> None:
        """Sign one of my devices out, this one perhaps. Raises NotFound for anybody else's, and for an ended one."""
        async with self._database.transaction() as tx:
            if not await self.end(tx, viewer.user_id, only=session_id):
                raise NotFound

    async def end_this(self, viewer: Viewer) -> None:
        """Sign out."""
        async with self._database.transaction() as tx:
            await self.end(tx, viewer.user_id, only=viewer.session_id)

    async def end_others(self, viewer: Viewer) -> None:
        """Sign out everywhere but here."""
        async with self._database.transaction() as tx:
            await self.end(tx, viewer.user_id, but=viewer.session_id)

    async def end(
        self, tx: Transaction, user_id: UUID, *, only: UUID | None = None, but: UUID | None = None
    ) -> frozenset[UUID]:
        """End a person's sessions with this transaction: all, `only` one, or all `but` one. Which ones were alive."""
        ended = await tx.sessions.end(user_id, now(), only=only, but=but)
        if ended:
            tx.announce(SessionsEnded(frozenset({user_id}), ended))
        return ended

    def hear(self, events: Sequence[object]) -> None:
        """Subscribed to the bus: from the COMMIT that ended a session on, its tokens are refused here."""
        for event in events:
            if isinstance(event, SessionsEnded):
                self._liveness.note_ended(event.session_ids)

    async def watch(self, connected: Callable[[], Collection[UUID]]) -> None:
        """Run for ever: learn every second which sessions other nodes ended, and tell this node's sockets.

        That goes by the clocks of the nodes and misses a COMMIT that came very late; so every CHECK_SECONDS it also
        asks which of the sessions with sockets here (`connected`) are still alive, and ends those that are not.
        """
        since, checked_at = now() - OVERLAP, time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                since = await self._learn(since)
                if time.monotonic() - checked_at >= CHECK_SECONDS:
                    await self._end_dead(connected())
                    checked_at = time.monotonic()
            except Exception as error:
                log.warning("Sessions that end elsewhere are learnt of later.", error=type(error).__name__)

    async def _is_alive(self, viewer: Viewer) -> bool:
        asked_at = time.monotonic()
        async with self._database.single_read() as reads:
            alive = await reads.sessions.is_alive(viewer.session_id, viewer.user_id, now())
        if not alive or self._liveness.has_ended(viewer.session_id):  # it may have ended while the answer was under way
            return False
        self._liveness.note_alive(viewer.session_id, asked_at)
        return True

    async def _learn(self, since: datetime) -> datetime:
        asked_at = now()
        async with self._database.single_read() as reads:
            rows = await reads.sessions.ended_since(since)
        news = [row for row in rows if not self._liveness.has_ended(row.id)]
        if news:
            self._publish([SessionsEnded(frozenset({row.user_id}), frozenset({row.id})) for row in news])
        return asked_at - OVERLAP

    async def _end_dead(self, connected: Collection[UUID]) -> None:
        if not connected:
            return
        async with self._database.snapshot() as reads:
            dead = frozenset(connected) - await reads.sessions.alive_among(connected, now())
        if dead:
            log.warning("Sessions had ended unnoticed; their sockets end now.", sessions=len(dead))
            self._publish([SessionsEnded(frozenset(), dead)])

    async def _renewed(  # noqa: PLR0913, PLR0917 - one step of `refresh`
        self, tx: Transaction, given: RefreshToken, row: Row, user: Row, client: ClientInfo, moment: datetime
    ) -> Started:
        generation = row.generation
        if given.generation == generation:
            generation += 1
            await tx.sessions.rotate(row.id, moment, moment + self._lasts)
        await tx.sessions.see(row.id, **_place(client), moment=moment)
        return self._started(user, row.id, generation)

    def _started(self, user: Row, session_id: UUID, generation: int) -> Started:
        session = Session(
            access_token=self._tokens.access(user.id, session_id),
            expires_in=self._tokens.access_seconds,
            user=me_view(user),
        )
        return Started(session, self._tokens.refresh(session_id, generation))


def _place(client: ClientInfo) -> dict[str, str]:
    """What a session's row says of where it is used."""
    network = client.network
    return {"client": client.user_agent[:MAX_CLIENT], "address": client.address[:45], "network": network[:45]}


def _is_reuse(given: RefreshToken, row: Row, moment: datetime) -> bool:
    if given.generation == row.generation:
        return False
    return bool(given.generation < row.generation - 1 or moment - row.rotated_at > RACE)


def _device(row: Row, viewer: Viewer, moment: datetime) -> Device:
    current = row.id == viewer.session_id
    return Device(
        id=row.id,
        current=current,
        client=row.client,
        address=row.address,
        created_at=row.created_at,
        last_seen_at=moment if current else row.last_seen_at,
    )
