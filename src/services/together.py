"""What is asked at about the same time is done together: a statement costs little more for twenty than for one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

import structlog

from ..errors import Unavailable

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

log = structlog.get_logger("chatty.together")


class Together(Generic[Ask, Answer]):
    """`do` answers some at once, in their order: `most` of them, and no others meanwhile.

    `pause_seconds`: for how long one waits for company. What fails together is done one by one: what is wrong with one
    must not hold up the others. The worker is a task for as long as somebody waits.
    """

    def __init__(
        self, do: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer]]], *, most: int, pause_seconds: float = 0
    ) -> None:
        self._do = do
        self._most = most
        self._pause_seconds = pause_seconds
        self._waiting: deque[tuple[Ask, asyncio.Future[Answer]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, one: Ask) -> Answer:
        """The answer to this one; raises what `do` raises for it."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answered))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), context=Context())  # nobody's request: it serves many
        return await answered

    async def _work(self) -> None:
        some: list[tuple[Ask, asyncio.Future[Answer]]] = []
        try:
            while self._waiting:
                await asyncio.sleep(self._pause_seconds if len(self._waiting) < self._most else 0)
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most))]
                await self._settle(some)
        finally:
            self._worker = None
            for _, answered in (*some, *self._waiting):  # whom this has not answered: it was cancelled
                answered.cancel()
            self._waiting.clear()

    async def _settle(self, some: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        some = [each for each in some if not each[1].done()]  # who asked may have gone
        try:
            answers = await self._do([ask for ask, _ in some]) if some else ()
        except Exception as error:
            if len(some) == 1 or isinstance(error, Unavailable):
                for _, answered in some:
                    if not answered.done():
                        answered.set_exception(error)
                return
            log.warning("What failed together is done one by one.", some=len(some), error=type(error).__name__)
            for each in some:
                await self._settle([each])
            return
        for (_, answered), answer in zip(some, answers, strict=True):
            if not answered.done():
                answered.set_result(answer)
                await asyncio.sleep(0)  # what they do with it takes a while, too: messages come in between
