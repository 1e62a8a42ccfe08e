"""Browsers that take pushes, each for as long as the session lasts in which it was made known."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from ..models import PushSubscription, Session, User, UtcDateTime
from ..rows import Row
from ..snapshots import DIRECT, any_of

_MOMENT = bindparam("moment", type_=UtcDateTime())
_OVER = or_(Session.revoked_at.is_not(None), Session.expires_at <= _MOMENT)
_LIVING = (
    select(*PushSubscription.__table__.columns)
    .join(Session, Session.id == PushSubscription.session_id)
    .join(User, User.id == PushSubscription.user_id)
    .where(any_of(PushSubscription.user_id, "user_ids"), ~_OVER, User.deleted_at.is_(None))
    .order_by(PushSubscription.created_at, PushSubscription.id)
    .execution_options(**DIRECT)
)
_BEYOND = (
    select(PushSubscription.id)
    .where(PushSubscription.user_id == bindparam("of_user", type_=PushSubscription.user_id.type))
    .order_by(PushSubscription.created_at.desc(), PushSubscription.id.desc())
    .offset(bindparam("kept"))
)
_THESE = any_of(PushSubscription.id, "ids")
_FREE = select(PushSubscription.id).where(_THESE).with_for_update(skip_locked=True)
_FORGET = delete(PushSubscription).where(_THESE)
_ENDED = select(PushSubscription.id).join(Session, Session.id == PushSubscription.session_id).where(_OVER)
_FORGET_ENDED = delete(PushSubscription).where(PushSubscription.id.in_(_ENDED))


class PushSubscriptions:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, **row: Any) -> None:
        """Store a subscription. One of the same endpoint, whoever's, becomes this one and keeps its id."""
        await self._connection.execute(_upsert(self._connection.dialect.name), row)

    async def forget_beyond(self, user_id: UUID, kept: int) -> None:
        """Forget somebody's subscriptions but the `kept` that were made known last."""
        old = (await self._connection.scalars(_BEYOND, {"of_user": user_id, "kept": kept})).all()
        await self.forget(old)

    async def remove(self, user_id: UUID, endpoint_hash: str) -> None:
        """Forget a subscription, if it is this person's."""
        mine = (PushSubscription.user_id == user_id, PushSubscription.endpoint_hash == endpoint_hash)
        await self._connection.execute(delete(PushSubscription).where(*mine))

    async def forget(self, ids: Collection[UUID]) -> None:
        """Forget these subscriptions, but what somebody else is just forgetting or renewing: nobody waits for that."""
        if ids:
            free = (await self._connection.scalars(_FREE, {"ids": ids})).all()
            await self._connection.execute(_FORGET, {"ids": free})

    async def living(self, user_ids: Collection[UUID], at: datetime) -> dict[UUID, list[Row]]:
        """The subscriptions of these people whose sessions have not ended by then; without who has none."""
        of = {"user_ids": [*user_ids], "moment": at}
        found: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in (await self._connection.execute(_LIVING, of)).all():
            found[row.user_id].append(row)
        return dict(found)

    async def sweep(self, moment: datetime) -> None:
        """Forget those whose sessions have ended by then."""
        await self._connection.execute(_FORGET_ENDED, {"moment": moment})


def _upsert(dialect: str) -> Any:
    if dialect == "sqlite":
        add: Any = sqlite.insert(PushSubscription)
    else:
        from sqlalchemy.dialects import postgresql  # not on SQLite: it takes a tenth of a start

        add = postgresql.insert(PushSubscription)
    names = ("user_id", "session_id", "endpoint", "p256dh", "auth", "created_at")
    return add.on_conflict_do_update(
        index_elements=[PushSubscription.endpoint_hash], set_={name: add.excluded[name] for name in names}
    )
