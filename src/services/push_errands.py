"""What rows of the outbox ask of pushes: to tell, to close what is shown, each perhaps once more to one browser."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from .notices import push_key

FIRST_PAUSE_SECONDS: Final = 30
STALE: Final = timedelta(hours=1)
"""After the first try it is not worth another."""


class Errand(NamedTuple):
    """About the room or the stored notification `subject_id`; to one browser again, where `subscription_id` says so.

    `content`: the payload as it was first. `since`: when it was first tried, `tries`: how often.
    """

    user_id: UUID
    subject_id: UUID
    is_room: bool
    content: Mapping[str, Any]
    subscription_id: UUID | None
    tries: int
    since: datetime

    def key_for(self, subscription_id: UUID) -> str:
        """The key of trying it again with one browser."""
        return f"{push_key(self.user_id, self.subject_id)}:{subscription_id.hex}"

    def again(self, subscription_id: UUID) -> dict[str, Any]:
        """The payload of trying it again with one browser."""
        mine = {"subscription_id": str(subscription_id), "tries": self.tries + 1, "since": self.since.isoformat()}
        return {**self.content, **mine}

    def next_try(self, told_seconds: float | None, moment: datetime) -> datetime | None:
        """When to try again, told by a push service or not; None where it would be stale by then."""
        seconds = told_seconds if told_seconds is not None else FIRST_PAUSE_SECONDS * 2**self.tries
        due_at = moment + timedelta(seconds=max(seconds, 1) + random.uniform(0, 1))
        return due_at if due_at <= self.since + STALE + timedelta(seconds=1) else None


def errand_of(payload: Mapping[str, Any], moment: datetime) -> Errand:
    """What a payload of `notices.push_of`, `push_of_room` or `Errand.again` asks."""
    content = {name: payload[name] for name in ("user_id", "room_id", "notification_id") if name in payload}
    subject = content.get("room_id") or content["notification_id"]
    return Errand(
        user_id=UUID(content["user_id"]),
        subject_id=UUID(subject),
        is_room="room_id" in content,
        content=content,
        subscription_id=UUID(payload["subscription_id"]) if "subscription_id" in payload else None,
        tries=payload.get("tries", 0),
        since=datetime.fromisoformat(payload["since"]) if "since" in payload else moment,
    )
