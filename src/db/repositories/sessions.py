"""Sessions: one row per sign-in on one device."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import Session, User, UtcDateTime
from ..rows import Row

ASKED_AT_ONCE = 1000  # a statement takes so many values, and the loop so long a list

_MOMENT = bindparam("moment", type_=UtcDateTime())
_ALIVE = (Session.revoked_at.is_(None), Session.expires_at > _MOMENT)
_EVERYTHING = list(Session.__table__.columns)
_IS_ALIVE = (
    select(literal(True))
    .select_from(Session)
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"), Session.user_id == bindparam("user_id"), *_ALIVE)
    .where(User.deleted_at.is_(None))
)
_ALIVE_AMONG = (
    select(Session.id)
    .join(User, User.id == Session.user_id)
    .where(Session.id.in_(bindparam("session_ids", expanding=True)), *_ALIVE, User.deleted_at.is_(None))
)
_FOUND = (
    select(*_EVERYTHING)
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("session_id"), *_ALIVE, User.deleted_at.is_(None))
)
_LOCKED = select(*_EVERYTHING).where(Session.id == bindparam("session_id"), *_ALIVE).with_for_update()
_MINE = select(*_EVERYTHING).where(Session.user_id == bindparam("user_id"), *_ALIVE)
_MINE_LATEST = _MINE.order_by(Session.last_seen_at.desc(), Session.id.desc())
_MINE_BEYOND = (
    select(Session.id)
    .where(Session.user_id == bindparam("user_id"), *_ALIVE)
    .order_by(Session.last_seen_at.desc(), Session.id.desc())
    .offset(bindparam("kept"))
    .with_for_update()
)
_KNOWN_NETWORK = (
    select(literal(True))
    .select_from(Session)
    .join(User, User.id == Session.user_id)
    .where(User.email_key == bindparam("email_key"), Session.network == bindparam("network"))
    .limit(1)
)
_ENDED_SINCE = select(Session.id, Session.user_id).where(Session.revoked_at > bindparam("since"))


class Sessions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(  # noqa: PLR0913 - a row
        self,
        session_id: UUID,
        user_id: UUID,
        *,
        client: str,
        address: str,
        network: str,
        moment: datetime,
        expires_at: datetime,
    ) -> None:
        """A new session, whose refresh token is generation 0."""
        row = {
            "id": session_id, "user_id": user_id, "generation": 0, "rotated_at": moment, "client": client,
            "address": address, "network": network,
            "created_at": moment, "last_seen_at": moment, "expires_at": expires_at,
        }  # fmt: skip
        await self._connection.execute(insert(Session), row)

    async def is_alive(self, session_id: UUID, user_id: UUID, moment: datetime) -> bool:
        """Has it neither ended nor lapsed, and is its person still here? One statement."""
        alive = {"session_id": session_id, "user_id": user_id, "moment": moment}
        return (await self._connection.execute(_IS_ALIVE, alive)).first() is not None

    async def find(self, session_id: UUID, moment: datetime) -> Row | None:
        """The row of a session that is alive, its person being still here. One statement."""
        return (await self._connection.execute(_FOUND, {"session_id": session_id, "moment": moment})).one_or_none()

    async def lock(self, session_id: UUID, moment: datetime) -> Row | None:
        """The row of a session that is alive, held against every other refresh until this transaction ends."""
        return (await self._connection.execute(_LOCKED, {"session_id": session_id, "moment": moment})).one_or_none()

    async def rotate(self, session_id: UUID, moment: datetime, expires_at: datetime) -> None:
        """The next generation: the refresh token before this one is used."""
        await self._connection.execute(
            update(Session)
            .where(Session.id == session_id)
            .values(generation=Session.generation + 1, rotated_at=moment, expires_at=expires_at)
        )

    async def see(self, session_id: UUID, *, client: str, address: str, network: str, moment: datetime) -> None:
        """Note from where the session was used."""
        seen = {"client": client, "address": address, "network": network, "last_seen_at": moment}
        await self._connection.execute(update(Session).where(Session.id == session_id).values(**seen))

    async def of(self, user_id: UUID, moment: datetime) -> Sequence[Row]:
        """A person's sessions that are alive, the latest used first."""
        return (await self._connection.execute(_MINE_LATEST, {"user_id": user_id, "moment": moment})).all()

    async def end(
        self, user_id: UUID, moment: datetime, *, only: UUID | None = None, but: UUID | None = None
    ) -> frozenset[UUID]:
        """End a person's sessions: all, `only` one, or all `but` one. The ids of those that were alive until now."""
        ended = update(Session).where(Session.user_id == user_id, Session.revoked_at.is_(None))
        if only:
            ended = ended.where(Session.id == only)
        if but:
            ended = ended.where(Session.id != but)
        ended = ended.where(Session.expires_at > moment).values(revoked_at=moment)
        return frozenset((await self._connection.execute(ended.returning(Session.id))).scalars())

    async def end_beyond(self, user_id: UUID, kept: int, moment: datetime) -> frozenset[UUID]:
        """End a person's sessions but the `kept` that were used last. The ids of those that were alive until now."""
        old = {"user_id": user_id, "kept": kept, "moment": moment}
        ids = frozenset((await self._connection.execute(_MINE_BEYOND, old)).scalars())
        if ids:
            await self._connection.execute(update(Session).where(Session.id.in_(ids)).values(revoked_at=moment))
        return ids

    async def knows_network(self, email_key: str, network: str) -> bool:
        """Has the account with this e-mail address signed in from this network before?"""
        known = {"email_key": email_key, "network": network}
        return (await self._connection.execute(_KNOWN_NETWORK, known)).first() is not None

    async def alive_among(self, session_ids: Collection[UUID], moment: datetime) -> frozenset[UUID]:
        """Which of these have neither ended nor lapsed, their people being still here."""
        asked, alive = list(session_ids), set[UUID]()
        for start in range(0, len(asked), ASKED_AT_ONCE):
            given = {"moment": moment, "session_ids": asked[start : start + ASKED_AT_ONCE]}
            alive.update((await self._connection.execute(_ALIVE_AMONG, given)).scalars())
        return frozenset(alive)

    async def ended_since(self, since: datetime) -> Sequence[Row]:
        """`id` and `user_id` of the sessions that were ended after `since`."""
        return (await self._connection.execute(_ENDED_SINCE, {"since": since})).all()

    async def sweep(self, before: datetime) -> None:
        """Forget the sessions that were over before that moment."""
        await self._connection.execute(
            delete(Session).where(or_(Session.revoked_at < before, Session.expires_at < before))
        )
