"""`chatty why`, for whoever runs the service: why somebody was told of a message, or not, in sentences."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from rich.console import Console

from .config import Settings
from .db.rows import Row
from .parts import build
from .schemas.common import rfc3339
from .schemas.notifications import Channel, ChannelDelivery
from .services.deliveries import Explanation

WHY: Mapping[str, str] = {
    "read_before": "they had read it before",
    "muted": "they have muted the room",
    "preference": "they do not want to be told of this in this way",
    "offline": "they have not been here since",
    "bounced": "their address does not take mail",
    "blocked": "there is a block between them and the sender",
    "active": "they were here, on another device or this",
    "quiet_hours": "they have quiet hours",
    "no_subscription": "none of their browsers takes pushes",
    "no_address": "they have no address",
    "unverified": "they have not verified their address",
    "deleted": "it was deleted",
    "left": "the room is not in their list any more",
    "gone": "their browser does not take pushes any more",
    "refused": "it was refused by whoever should have passed it on",
}
NAMES: Mapping[Channel, str] = {"in_app": "In-app", "push": "Push", "email": "E-mail"}
STATUS = {"sent": "sent", "pending": "still to come", "skipped": "not sent", "failed": "failed"}


def explain(settings: Settings, message_id: UUID, person: str) -> bool:
    """Print what became of a message for a person. False if there is not the one or the other."""
    return asyncio.run(_explain(settings, message_id, person))


async def _explain(settings: Settings, message_id: UUID, person: str) -> bool:
    parts = build(settings)
    try:
        found = await parts.notifying.deliveries.explain(message_id, person)
    finally:
        await parts.files.store.close()
        await parts.database.close()
    console = Console(highlight=False, soft_wrap=True)
    for sentence in _sentences(found) if found else ("There is no such message, or no such person.",):
        console.print(sentence, markup=False)
    return found is not None


def _sentences(found: Explanation) -> Iterator[str]:
    line, who = found.line, found.nickname or "Somebody without a name"
    yield f"Line {line.seq} of room {line.room_id}, of {_moment(line.created_at)}."
    if line.sender_id is None:
        yield "It is a line of the house's own, of which nobody is told."
    elif found.is_sender:
        yield f"{who} wrote it."
    elif found.delivery is None:
        yield f"{who} is not in the room."
    elif not found.may_read:
        yield f"{who} came to the room after it and may not read it."
    else:
        read = found.delivery.read_at
        yield f"{who} read it at {_moment(read)}." if read else f"{who} has not read it."
        for channel, name in NAMES.items():
            yield f"{name}: {_said(getattr(found.delivery.channels, channel))}"
    for work in found.work:
        yield _work(work)


def _said(one: ChannelDelivery) -> str:
    why = f", because {WHY[one.reason]}" if one.reason else ""
    at = f" ({_moment(one.at)})" if one.at else ""
    return f"{STATUS[one.status]}{why}{at}."


def _work(work: Row) -> str:
    """What the outbox has to do for them: about this room, another one, or all that is unread."""
    about = work.payload.get("room_id") or work.payload.get("notification_id")
    tried = f", tried {work.attempts} times" if work.attempts else ""
    error = f", the last time it failed with {work.last_error}" if work.last_error else ""
    subject = f" about {about}" if about else ""
    return f"In the outbox: {work.kind}{subject}, due at {_moment(work.due_at)}{tried}{error}."


def _moment(at: datetime) -> str:
    return rfc3339(at)
