"""What is shown on somebody's devices is closed once they have read it on one of them (contract §7).

With a push that was accepted, work is left that waits for its being read: so nothing is sent of what was never pushed,
and nothing twice.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from .notices import PUSH
from .push_errands import STALE
from .push_payloads import closing
from .push_rounds import Push, Rounds

SHOWN_FOR: Final = timedelta(days=30)
"""Then nobody looks any more whether it was read."""
MAX_TAGS: Final = 20
TTL_SECONDS: Final = 3600
"""Who is away for longer has lost what was to be shown anyhow: this took its place, by its topic."""
PAUSE: Final = timedelta(seconds=60)
_APPLE: Final = "push.apple.com"


class Shown(NamedTuple):
    """What somebody is shown: see `shown_of`."""

    user_id: UUID
    subject_id: UUID
    ordinal: int | None
    to: frozenset[UUID]
    until: datetime
    since: datetime | None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Self:
        since = payload.get("since")
        return cls(
            user_id=UUID(payload["user_id"]),
            subject_id=UUID(payload["read"]),
            ordinal=payload["ordinal"],
            to=frozenset(UUID(each) for each in payload["to"]),
            until=datetime.fromisoformat(payload["until"]),
            since=datetime.fromisoformat(since) if since else None,
        )


class Closing:
    def __init__(self, database: Database, rounds: Rounds) -> None:
        self._database = database
        self._rounds = rounds

    async def carry_out(self, payload: Mapping[str, Any]) -> None:
        """Close what is shown, if it was read; if it was not, wait on. Nothing is closed that something newer shows."""
        shown, at = Shown.of(payload), now()
        if at >= shown.until:
            return
        async with self._database.transaction() as tx:
            subscriptions = await _where_to_close(tx, shown, payload, at)
            total = await tx.rooms.unread_total(shown.user_id)
        if not subscriptions:
            return
        # It need not wake a phone; and where what was to be shown still waits, this takes its place.
        push = Push(lambda _: closing(shown.subject_id, total), shown.subject_id.hex, TTL_SECONDS, "low")
        results = await self._rounds.push(push, subscriptions)
        async with self._database.transaction() as tx:
            for each, result in results.items():
                if result.fate == "later":
                    await self._try_again(tx, shown, payload, each, result.retry_after_seconds)
            await tx.push_subscriptions.forget([each for each, result in results.items() if result.fate == "gone"])

    async def _try_again(
        self, tx: Transaction, shown: Shown, payload: Mapping[str, Any], subscription_id: UUID, seconds: float | None
    ) -> None:
        at = now()
        since, due_at = shown.since or at, at + (PAUSE if seconds is None else timedelta(seconds=max(seconds, 1)))
        if due_at <= since + STALE:
            key = f"{shown_key(shown.user_id, shown.subject_id)}:{subscription_id.hex}"
            again = {**payload, "to": [subscription_id.hex], "since": since.isoformat()}
            await tx.outbox.hold(PUSH, [(key, again, due_at)], at)


async def close_pushed(tx: Transaction, user_id: UUID, *subject_ids: UUID) -> bool:
    """Close what was pushed to somebody of these, rooms or notifications, as this transaction reads them.

    Call it after what reads them, which locks: see `repositories.pushes.hold_cursor`. True if there is work to do.
    """
    keys = [shown_key(user_id, subject_id) for subject_id in subject_ids]
    return await tx.pushes.release(keys, now()) if keys else False


def shown_key(user_id: UUID, subject_id: UUID) -> str:
    """The key of the work to close what somebody is shown of a room, or of one notification."""
    return f"{shown_by(user_id)}{subject_id.hex}"


def shown_by(user_id: UUID) -> str:
    """With what all of somebody's begin."""
    return f"shown:{user_id.hex}:"


def shown_of(
    user_id: UUID, subject_id: UUID, ordinal: int | None, subscription_ids: Collection[UUID], at: datetime
) -> dict[str, Any]:
    """The outbox's payload of what was pushed `at`: of a room up to the line `ordinal`; None if it was stored."""
    to, until = sorted(each.hex for each in subscription_ids), at + SHOWN_FOR
    what = {"user_id": str(user_id), "read": str(subject_id), "ordinal": ordinal, "to": to}
    return {**what, "at": at.isoformat(), "until": until.isoformat()}


def tags_key(subscription_id: UUID) -> str:
    """The key of the tags that the next push to a browser closes by the way."""
    return f"tags:{subscription_id.hex}"


def added(payload: Mapping[str, Any] | None, user_id: UUID, tag: UUID) -> dict[str, Any]:
    """What waits under `tags_key`, with one more; of another person's nothing is left."""
    earlier = tags_in(payload, user_id)
    return {"user_id": str(user_id), "tags": [*(each for each in earlier if each != str(tag)), str(tag)][-MAX_TAGS:]}


def tags_in(payload: Mapping[str, Any] | None, user_id: UUID) -> list[str]:
    if payload is None or payload["user_id"] != str(user_id):
        return []
    return list(payload["tags"])


def has_read(cursor: Row, ordinal: int) -> bool:
    """Has somebody read, or marked read, a room up to that line? `cursor`: of `pushes.hold_cursors`."""
    return bool(max(cursor.read_ordinal, cursor.notified_ordinal) >= ordinal)


def must_show(subscription: Row) -> bool:
    """Does this push service withdraw the permission after pushes that show nothing?"""
    host = urlsplit(subscription.endpoint).hostname or ""
    return host == _APPLE or host.endswith(f".{_APPLE}")


async def _where_to_close(tx: Transaction, shown: Shown, payload: Mapping[str, Any], at: datetime) -> list[Row]:
    """The browsers that are to be told; those that must show something are told with the next push."""
    key = shown_key(shown.user_id, shown.subject_id)
    await tx.pushes.hold_people([shown.user_id])
    if await tx.users.me_row(shown.user_id) is None:
        return []
    if await _is_unread(tx, shown):
        if shown.since is None and not await tx.outbox.held([key]):
            await tx.outbox.hold(PUSH, [(key, payload, shown.until)], at)
        return []
    if await tx.outbox.held([key]):
        return []
    living = (await tx.push_subscriptions.living([shown.user_id], at)).get(shown.user_id, [])
    concerned = [row for row in living if row.id in shown.to]
    tags = [tags_key(row.id) for row in concerned if must_show(row)]
    held = await tx.outbox.held(tags)
    more = [(each, added(held.get(each), shown.user_id, shown.subject_id), at + SHOWN_FOR) for each in tags]
    await tx.outbox.hold(PUSH, more, at)
    return [row for row in concerned if not must_show(row)]


async def _is_unread(tx: Transaction, shown: Shown) -> bool:
    """Nobody reads it until COMMIT. What was deleted is not to be shown any more."""
    if shown.ordinal is not None:
        pair = shown.user_id, shown.subject_id
        cursor = (await tx.pushes.hold_cursors([pair], wait=True)).get(pair)
        if cursor is None or cursor.listed_at is None or has_read(cursor, shown.ordinal):
            return False
        return await tx.push_matters.has_standing_lines(*pair)
    if not (await tx.pushes.hold_notifications([shown.subject_id], wait=True)).get(shown.subject_id):
        return False
    row = (await tx.notifications.visible([shown.subject_id])).get(shown.subject_id)
    return row is not None and row.read_at is None
