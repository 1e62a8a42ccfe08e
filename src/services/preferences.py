"""How somebody wants to be told: by kind and channel, when not, and with what in it (contract §7, §9)."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.repositories import Repositories
from ..db.rows import Row
from ..events import NotificationsSettled
from ..schemas.notifications import (
    KINDS,
    Channel,
    Kind,
    PreferencesDraft,
    QuietHours,
    channels_of,
)
from ..schemas.notifications import (
    Preferences as View,
)
from .notices import digest_key, pushes_to

SOON = timedelta(seconds=20)
"""Until pushes are looked at again that waited for the end of quiet hours which have become others."""


class Preferences:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: UUID) -> View:
        """My preferences; what I have not chosen is as it is for everybody."""
        async with self._database.snapshot() as reads:
            rows = await reads.notification_preferences.of([user_id])
        return _view(rows.get(user_id))

    async def change(self, user_id: UUID, draft: PreferencesDraft) -> View:
        """Change what is given; all of them then. What it shows and hides in-app is told to my devices."""
        async with self._database.transaction() as tx:
            before = await tx.notification_preferences.locked(user_id)
            changes = _changes(before, draft)
            await tx.notification_preferences.change(user_id, changes)
            row = await tx.notification_preferences.locked(user_id)
            if allowed(before.kinds, "in_app") != allowed(row.kinds, "in_app"):
                tx.announce(NotificationsSettled(frozenset({user_id}), None))
            if _quiet(before) != _quiet(row):
                await _look_again(tx, user_id)
            return _view(row)


async def turn_off_email(tx: Transaction, user_id: UUID, at: datetime) -> None:
    """Have somebody get no mails of notifications any more; nothing for who is gone."""
    if await tx.users.lock(user_id):
        await tx.notification_preferences.turn_off_email(user_id, at)


async def allowed_for(
    reads: Repositories, user_ids: Collection[UUID], channel: Channel
) -> Mapping[UUID, frozenset[Kind]]:
    """Of which kinds each of these people wants to be told by this channel."""
    rows = await reads.notification_preferences.of(user_ids)
    by_default = allowed({}, channel)
    return {each: allowed(rows[each].kinds, channel) if each in rows else by_default for each in user_ids}


def allowed(chosen: Mapping[str, Any], channel: Channel) -> frozenset[Kind]:
    """The same of one person. `chosen`: the column `kinds` of their preferences."""
    return frozenset(kind for kind in KINDS if getattr(channels_of(chosen, kind), channel))


def _changes(row: Row, draft: PreferencesDraft) -> dict[str, Any]:
    """The columns with what is given of them, merged into what there is."""
    given = {kind: choice.model_dump(exclude_unset=True) for kind, choice in (draft.kinds or {}).items()}
    kinds = row.kinds | {kind: row.kinds.get(kind, {}) | chosen for kind, chosen in given.items()}
    changes: dict[str, Any] = {"kinds": kinds}
    if draft.hide_content is not None:
        changes["hide_content"] = draft.hide_content
    if "quiet_hours" in draft.model_fields_set:
        quiet = draft.quiet_hours
        changes |= {"quiet_from": quiet and quiet.from_, "quiet_to": quiet and quiet.to}
        changes["time_zone"] = quiet and quiet.time_zone
    return changes


def _quiet(row: Row) -> tuple[str | None, ...]:
    return row.quiet_from, row.quiet_to, row.time_zone


async def _look_again(tx: Transaction, user_id: UUID) -> None:
    """Not at the end of the former quiet hours: till then nothing newer would be pushed or mailed either."""
    waiting = await tx.pushes.waiting_under(pushes_to(user_id))
    await tx.pushes.release([*waiting, digest_key(user_id)], now() + SOON)


def _view(row: Row | None) -> View:
    chosen = row.kinds if row else {}
    return View(
        kinds={kind: channels_of(chosen, kind) for kind in KINDS},
        quiet_hours=_quiet_hours(row) if row and row.time_zone else None,
        hide_content=bool(row and row.hide_content),
    )


def _quiet_hours(row: Row) -> QuietHours:
    return QuietHours(**{"from": row.quiet_from}, to=row.quiet_to, time_zone=row.time_zone)
