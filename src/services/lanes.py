"""A lane: sends queue here, and a worker stores whatever waits in one transaction, the moment the last one is done."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context
from datetime import timedelta

from ..db.sends import Sends
from ..errors import Unavailable
from ..schemas.messages import Sent
from .audiences import Audiences
from .batches import Batch, Origin, Outcome, Repeat, Send

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
    what a repeated send had stored. `tell_after`: how long after a line to look who has not read it.
    """

    def __init__(self, sends: Sends, original: Callable[[Send], Awaitable[Sent]], tell_after: timedelta) -> None:
        self._sends = sends
        self._original = original
        self._tell_after = tell_after
        self._looking_up: set[asyncio.Task[None]] = set()
        self._audiences = Audiences()
        self._waiting: deque[Send] = deque()
        self._alone_is_next = False
        self._worker: asyncio.Task[None] | None = None

    def put(self, send: Send) -> None:
        """Queue a send. Raises Unavailable when too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            raise Unavailable(TOO_BUSY, retry_after_ms=RETRY_MS)
        self._waiting.append(send)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), context=Context())  # nobody's request: it serves many

    @property
    def is_busy(self) -> bool:
        """Is there a send that is not yet answered?"""
        return self._worker is not None

    async def finish(self, seconds: float) -> None:
        """Let what waits be stored, in bounded time; the rest is answered that nobody knows."""
        if self._worker:
            await _end([self._worker], seconds)
        if self._looking_up:
            await _end(self._looking_up, seconds)

    async def _work(self) -> None:
        batch: list[Send] = []
        try:
            while self._waiting:
                batch = self._next()
                if batch:
                    await self._settle(batch)
                    batch = []
        finally:
            self._worker = None
            for send in (*batch, *self._waiting):  # whom this has not answered: it was cancelled
                send.answer(_unknown())
            self._waiting.clear()

    def _next(self) -> list[Send]:
        """The next batch: in turns one that must be alone, and as many of the others as may come together.

        Without those whose callers have gone, or have waited so long that they will.
        """
        self._alone_is_next = not self._alone_is_next
        if not any(send.alone for send in self._waiting):
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        else:
            taken = self._take_alone() if self._alone_is_next else self._take_together()
        late = asyncio.get_running_loop().time() - MAX_WAIT_SECONDS
        for send in taken:
            if send.since < late:
                send.answer(_unknown())
        return [send for send in taken if not send.answered.done()]

    def _take_alone(self) -> list[Send]:
        """The first that must be alone. It is the first of its connection, too: who must, goes back to the front."""
        send = next(send for send in self._waiting if send.alone)
        self._waiting.remove(send)
        return [send]

    def _take_together(self) -> list[Send]:
        """Those that need not be alone, and come from no connection of which an earlier one has to wait for that."""
        taken: list[Send] = []
        left: deque[Send] = deque()
        held_back: set[Origin] = set()
        for send in self._waiting:
            if send.alone or send.origin in held_back or len(taken) == MAX_BATCH:
                left.append(send)
                held_back |= {send.origin} if send.origin else set()
            else:
                taken.append(send)
        self._waiting = left
        return taken

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
                for send in batch:
                    send.alone = True
                self._waiting.extendleft(reversed(batch))
        else:
            for send, answer in outcome.answers:
                if isinstance(answer, Repeat):
                    self._look_up(send)
                else:
                    send.answer(answer)
            self._waiting.extendleft(reversed(outcome.apart))

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
                    if tx.on_new_connection:
                        self._audiences.clear()
                    outcome = await Batch(tx, self._audiences, self._tell_after, before=outcome).store(batch)
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
