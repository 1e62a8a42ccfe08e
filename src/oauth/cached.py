"""What others publish, kept for a while and fetched once for all who wait."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

LIFETIME: float = 3600
"""Seconds for which a value is taken as it is."""
PAUSE: float = 30
"""Seconds between two fetches that were asked for although there was a value."""

T = TypeVar("T")


class Cached(Generic[T]):
    """What `fetch` answers. Its failures are raised to those who wait for it, and are not kept."""

    def __init__(self, fetch: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._fetch = fetch
        self._value: tuple[T, float] | None = None
        self._under_way: asyncio.Task[T] | None = None
        self._renewed_at = -PAUSE - LIFETIME

    async def get(self) -> T:
        """The value, at most LIFETIME old."""
        if self._value and time.monotonic() - self._value[1] < LIFETIME:
            return self._value[0]
        return await self._fetched()

    async def renewed(self) -> T:
        """The value, fetched again unless that was done within the last PAUSE: strangers may make us ask this."""
        if self._under_way is None and time.monotonic() - self._renewed_at < PAUSE:
            return await self.get()
        self._renewed_at = time.monotonic()
        return await self._fetched()

    async def _fetched(self) -> T:
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._fetch())
            self._under_way.add_done_callback(self._keep)
        # Whoever began it may go away; the others still wait.
        return await asyncio.shield(self._under_way)

    def _keep(self, done: asyncio.Task[T]) -> None:
        self._under_way = None
        if not done.cancelled() and done.exception() is None:
            self._value = (done.result(), time.monotonic())
