"""One thing pushed to the browsers of one person, and what became of it at each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple
from uuid import UUID

import structlog

from ..db.rows import Row
from ..push.endpoints import Subscription, audience_of
from ..push.failures import Gone, PushFailed, Refused, TryLater
from ..push.sender import PushSender, Urgency

log = structlog.get_logger("chatty.pushes")

AT_ONCE: Final = 5
PATIENCE_SECONDS: float = 5
"""For all browsers of a person: whoever can sign in can name a push service that keeps silent, and others wait."""
SILENT_SECONDS: float = 60
"""Then it is asked again."""
MOST_SILENT: Final = 1_000
DISOWNED: Final = frozenset([400, 401, 403])
"""What is answered to a subscription that is of another key of ours, or was never one."""

UNANSWERED: Final = ("timeout", "unanswered")

Fate = Literal["sent", "later", "refused", "gone"]


class Push(NamedTuple):
    """What every browser gets. `payload`: for each, by its subscription's row."""

    payload: Callable[[Row], bytes]
    topic: str
    ttl: int
    urgency: Urgency


class Result(NamedTuple):
    """`retry_after_seconds`: when the push service wants to be asked again, if it says so.

    `unanswered`: it may have taken the push, and we cannot tell.
    """

    fate: Fate
    retry_after_seconds: float | None = None
    unanswered: bool = False

    @property
    def may_be_shown(self) -> bool:
        return self.fate == "sent" or self.unanswered


class Rounds:
    def __init__(self, sender: PushSender) -> None:
        self._sender = sender
        self._silent: dict[UUID, float] = {}  # until when, by the loop's time

    async def push(self, push: Push, subscriptions: Sequence[Row]) -> Mapping[UUID, Result]:
        """Push to all of these, some at once; what became of it, by their ids."""
        some = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row) -> Result:
            if self._is_silent(row.id):
                return Result("later")
            try:
                async with asyncio.timeout(PATIENCE_SECONDS), some:
                    return await self._push_to(push, row)
            except TimeoutError:
                _tell(row, TryLater("slow"), "A push service is slow; it is asked again.")
                self._silent[row.id] = asyncio.get_running_loop().time() + SILENT_SECONDS
                return Result("later", unanswered=True)

        results = await asyncio.gather(*(one(row) for row in subscriptions))
        return {row.id: result for row, result in zip(subscriptions, results, strict=True)}

    def _is_silent(self, subscription_id: UUID) -> bool:
        """Has it kept silent just now? Others' pushes wait for each that does."""
        at = asyncio.get_running_loop().time()
        if len(self._silent) > MOST_SILENT:
            self._silent = {key: until for key, until in self._silent.items() if until > at}
        return self._silent.get(subscription_id, 0) > at

    async def _push_to(self, push: Push, row: Row) -> Result:
        subscription = Subscription(row.endpoint, row.p256dh, row.auth)
        try:
            await self._sender.send(
                subscription, push.payload(row), topic=push.topic, ttl=push.ttl, urgency=push.urgency
            )
        except Gone:
            return Result("gone")
        except TryLater as failure:
            _tell(row, failure, "A push service is away; it is asked again.")
            return Result("later", failure.retry_after_seconds, failure.reason in UNANSWERED)
        except Refused as failure:
            if failure.status in DISOWNED:
                _tell(row, failure, "A push service takes no pushes of ours for a browser; it is forgotten.")
                return Result("gone")
            _tell(row, failure, "A push was refused.")
            return Result("refused")
        except Exception as error:  # a library's, about the keys of a browser: the others still get theirs
            log.error("A push could not be made.", subscription=str(row.id), error=type(error).__name__)
            return Result("refused")
        return Result("sent")


def _tell(row: Row, failure: PushFailed, what: str) -> None:
    """Which push service, and of its address only the origin: the rest is a secret."""
    log.warning(what, service=audience_of(row.endpoint), subscription=str(row.id), reason=failure.reason)


def fate_of(results: Mapping[UUID, Result]) -> Fate:
    """What became of it all in all: sent, if any browser took it."""
    fates = {result.fate for result in results.values()}
    order: tuple[Fate, ...] = ("sent", "later", "refused")
    return next((fate for fate in order if fate in fates), "gone")
