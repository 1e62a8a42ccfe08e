"""A lane: sends queue here, and a worker stores whatever waits in one transaction, the moment the last one is done."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context

from ..db.sends import Sends
from ..errors import Unavailable
from ..schemas.messages import Sent
from .audiences import Audiences
from .batches import Batch, Outcome, Repeat, Send

MAX_BATCH = 256
MAX_WAITING = 4_000
MAX_WAIT_SECONDS = 6.0
RETRY_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
RETRY_MS = 1000
TOO_BUSY = "The service is too busy; try again."
UNKNOWN = "Whether this was stored is unknown. Send it again with the same client_id."


class Lane:
    """The sends of some rooms, in the order in which they came.

    The worker is a task for as long as something waits: a lone send starts it and waits for nobody. `original` finds
    what a repeated send had stored.
    """

    def __init__(self, sends: Sends, original: Callable[[Send], Awaitable[Sent]]) -> None:
        self._sends = sends
        self._original = original
        self._looking_up: set[asyncio.Task[None]] = set()
        self._audiences = Audiences()
        self._waiting: deque[Send] = deque()
        self._apart: deque[Send] = deque()
        self._worker: asyncio.Task[None] | None = None

    def put(self, send: Send) -> None:
        """Queue a send. Raises Unavailable when too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable(TOO_BUSY, retry_after_ms=RETRY_MS)
        self._waiting.append(send)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), context=Context())  # nobody's request: it serves many

    async def finish(self, seconds: float) -> None:
        """Let what waits be stored, in bounded time; the rest is answered that nobody knows."""
        if self._worker:
            await _end([self._worker], seconds)
        if self._looking_up:
            await _end(self._looking_up, seconds)

    async def _work(self) -> None:
        batch: list[Send] = []
        try:
            while self._waiting or self._apart:
                for queue, most in ((self._waiting, MAX_BATCH), (self._apart, 1)):
                    if batch := self._next(queue, most):
                        await self._settle(batch)
        finally:
            self._worker = None
            for send in (*batch, *self._waiting, *self._apart):  # whom this has not answered: it was cancelled
                send.answer(_unknown())
            self._waiting.clear()
            self._apart.clear()

    def _next(self, queue: deque[Send], most: int) -> list[Send]:
        """The next batch, without those whose callers have gone or have waited so long that they will."""
        taken = [queue.popleft() for _ in range(min(len(queue), most))]
        late = asyncio.get_running_loop().time() - MAX_WAIT_SECONDS
        for send in taken:
            if send.since < late:
                send.answer(_unknown())
        ready = [send for send in taken if not send.answered.done()]
        return self._without_overtakers(ready) if queue is self._waiting and self._apart else ready

    def _without_overtakers(self, ready: list[Send]) -> list[Send]:
        """Those that come from no connection of which an earlier send still waits apart; the others wait behind it."""
        held_back = {send.origin for send in self._apart if send.origin}
        self._apart.extend(send for send in ready if send.origin in held_back)
        return [send for send in ready if send.origin not in held_back]

    async def _settle(self, batch: list[Send]) -> None:
        """Store and answer these sends. Where the database refuses something, each gets its own transaction."""
        try:
            outcome = await self._stored(batch)
        except Unavailable:
            for send in batch:
                send.answer(_unknown())
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer(error)
            else:
                self._apart.extend(batch)
        else:
            for send, answer in outcome.answers:
                if isinstance(answer, Repeat):
                    self._look_up(send)
                else:
                    send.answer(answer)
            self._apart.extend(outcome.apart)

    def _look_up(self, send: Send) -> None:
        """Answer a repeat, without holding up who comes after it."""
        task = asyncio.create_task(self._answer_with_original(send))
        self._looking_up.add(task)
        task.add_done_callback(self._looking_up.discard)

    async def _answer_with_original(self, send: Send) -> None:
        try:
            send.answer(await self._original(send))
        except Exception as error:
            send.answer(error)
        finally:
            send.answer(_unknown())  # cancelled

    async def _stored(self, batch: list[Send]) -> Outcome:
        """What the committed transaction has done. Raises Unavailable when the database stays away."""
        outcome: Outcome | None = None
        give_up, pause = asyncio.get_running_loop().time() + RETRY_SECONDS, FIRST_PAUSE
        while True:
            try:
                async with self._sends.transaction({send.place.room_id for send in batch}) as tx:
                    outcome = await Batch(tx, self._audiences, before=outcome).store(batch)
            except Unavailable:
                self._audiences.clear()
                if asyncio.get_running_loop().time() >= give_up:
                    raise
            else:
                return outcome
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _end(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)


def _unknown() -> Unavailable:
    return Unavailable(UNKNOWN, retry_after_ms=RETRY_MS)
