"""Which browsers of somebody's take pushes (contract §7, §9)."""

import hashlib
from collections.abc import Callable, Collection
from typing import Final

from ..clock import now
from ..db.database import Database
from ..db.ids import new_id
from ..errors import FieldError, Invalid, Unauthorized
from ..push.endpoints import check_auth, check_endpoint, check_p256dh
from ..schemas.notifications import PushSubscriptionDraft
from ..viewer import Viewer

MAX_SUBSCRIPTIONS: Final = 20


class PushSubscriptions:
    """`key`: whose pushes a browser has to take; `allowed_origins`: see push.endpoints.check_endpoint."""

    def __init__(self, database: Database, key: str, allowed_origins: Collection[str]) -> None:
        self._database = database
        self.key: Final = key
        self._allowed = frozenset(allowed_origins)

    async def put(self, viewer: Viewer, draft: PushSubscriptionDraft) -> None:
        """Have this browser take pushes for as long as this session lasts, and for nobody else any more.

        Who has MAX_SUBSCRIPTIONS loses the one that was made known the longest ago. Raises Invalid.
        """
        self._refuse_unsound(draft)
        keys = {"p256dh": draft.keys.p256dh, "auth": draft.keys.auth}
        async with self._database.transaction() as tx:
            if not await tx.people.lock([viewer.user_id]):
                raise Unauthorized("This account is gone.")
            await tx.push_subscriptions.put(
                id=new_id(),
                user_id=viewer.user_id,
                session_id=viewer.session_id,
                endpoint=draft.endpoint,
                endpoint_hash=_hash(draft.endpoint),
                created_at=now(),
                **keys,
            )
            await tx.push_subscriptions.forget_beyond(viewer.user_id, MAX_SUBSCRIPTIONS)

    async def remove(self, viewer: Viewer, endpoint: str) -> None:
        """Have the browser at this endpoint take none any more, if it is one of mine."""
        async with self._database.transaction() as tx:
            await tx.push_subscriptions.remove(viewer.user_id, _hash(endpoint))

    def _refuse_unsound(self, draft: PushSubscriptionDraft) -> None:
        checks: dict[str, Callable[[], None]] = {
            "endpoint": lambda: check_endpoint(draft.endpoint, self._allowed),
            "keys.p256dh": lambda: check_p256dh(draft.keys.p256dh),
            "keys.auth": lambda: check_auth(draft.keys.auth),
        }
        errors = []
        for field, check in checks.items():
            try:
                check()
            except ValueError as error:
                errors.append(FieldError(field, "push_subscription", str(error)))
        if errors:
            raise Invalid(errors=errors)


def _hash(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()
