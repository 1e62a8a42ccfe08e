"""Work that may not take for ever, without a timer for each piece: a timer costs as much as a small event."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from ..errors import Unavailable

T = TypeVar("T")

RETRY_MS: Final = 1000
OUTCOME_UNKNOWN: Final = "This took too long; whether it was done is unknown. Send it again with the same client_id."


class Deadlines:
    """Bounds work to `seconds`, as exactly as `sweep` is called."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()

    async def bound(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`. Raises Unavailable, its outcome unknown, if it takes too long or cancels itself.

        A cancellation of the task itself passes. One task bounds one piece of work at a time.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Only a task can be cancelled when its time is over.")
        self._begun[task] = task.get_loop().time()
        try:
            return await work
        except asyncio.CancelledError:
            if task.cancelling() > (task in self._overdue):
                raise
            raise Unavailable(OUTCOME_UNKNOWN, retry_after_ms=RETRY_MS) from None
        finally:
            del self._begun[task]
            if task in self._overdue:
                self._overdue.remove(task)
                task.uncancel()

    def sweep(self, now: float) -> None:
        """Cancel what has taken too long. `now` is the loop's time."""
        for task, begun in self._begun.items():
            if now - begun > self._seconds and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
