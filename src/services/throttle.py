"""How often somebody may do something: policies as data, counted in Redis where there is one, else in this process.

A sliding window of `amount` per `seconds` lets `amount` through at once, and amount/seconds a second for ever. Redis
is a hint: while it is away, each node counts for itself.
"""

import asyncio
import hashlib
import math
import time
from typing import Any, Final

import structlog
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from ..errors import RateLimited

log = structlog.get_logger("chatty.throttle")

HOUR: Final = 3600
QUARTER: Final = 900

# policy: how many, in how many seconds. Per person unless the name says otherwise; of an address, per /64 for IPv6.
POLICIES: Final = {
    "requests": (60, 3),
    "events": (60, 3),
    "messages": (20, 4),
    "typing": (10, 10),
    "friend_requests": (20, HOUR),
    "rooms": (20, HOUR),
    "invitations": (60, HOUR),
    "uploads": (60, 600),
    "upload_parts": (600, 600),
    "downloads": (600, 60),
    "pictures": (1000, 10),
    "search": (30, 60),
    "push_subscriptions": (60, HOUR),
    "connect": (60, 60),
    "register": (10, HOUR),
    "login": (300, HOUR),
    "refresh": (600, HOUR),
    "redeem": (60, HOUR),
    "sign_in_attempts": (300, 600),
    "exchange": (1000, 600),
    "unlinked": (300, 60),
    "unsubscribe": (600, 60),
    "login_per_account_and_address": (10, QUARTER),
    "login_per_account": (50, QUARTER),
    "login_failures_per_address": (100, HOUR),
    "password_change": (10, QUARTER),
    "mail_per_account": (5, HOUR),
    "mail_per_address": (20, HOUR),
}

REDIS_SECONDS: Final = 0.25
REDIS_REST_SECONDS: Final = 5
SWEEP_SECONDS: Final = 30


class Throttle:
    """`on`: does it count at all. `redis_url`: where nodes count together; "" for this process alone."""

    def __init__(self, on: bool, redis_url: str = "") -> None:
        self.on = on
        self._items = {name: _item(name, *policy) for name, policy in POLICIES.items()}
        self._local = SlidingWindowCounterRateLimiter(_Memory())
        self._redis = _redis(redis_url) if on and redis_url else None
        self._shared = SlidingWindowCounterRateLimiter(self._redis) if self._redis else None
        self._shared_again_at = 0.0

    async def hit(self, policy: str, *keys: str) -> None:
        """Count one use of `policy` by `keys` (a person's id, an address, …). Raises RateLimited for one too many."""
        if self.on:
            await self._ask("hit", self._items[policy], keys)

    async def check(self, policy: str, *keys: str) -> None:
        """Raise RateLimited when a `hit` would, without counting."""
        if self.on:
            await self._ask("test", self._items[policy], keys)

    async def forget(self, policy: str, *keys: str) -> None:
        """Begin to count anew."""
        if self.on:
            await self._call("clear", self._items[policy], keys)

    async def close(self) -> None:
        if self._redis:
            client: Any = self._redis.bridge
            await client.storage.aclose()

    async def _ask(self, question: str, item: RateLimitItem, keys: tuple[str, ...]) -> None:
        if not await self._call(question, item, keys):
            stats = await self._call("get_window_stats", item, keys)
            seconds = max(stats.reset_time - time.time(), 0.001)
            raise RateLimited(retry_after_ms=math.ceil(seconds * 1000), limit=item.amount)

    async def _call(self, method: str, item: RateLimitItem, keys: tuple[str, ...]) -> Any:
        """Ask Redis; if it does not answer in time, ask this process, and leave Redis alone for some seconds."""
        if self._shared and time.monotonic() >= self._shared_again_at:
            try:
                async with asyncio.timeout(REDIS_SECONDS):
                    return await getattr(self._shared, method)(item, *keys)
            except Exception as error:  # whatever Redis or its client does must not shut the door
                self._shared_again_at = time.monotonic() + REDIS_REST_SECONDS
                log.warning("Redis does not count; this node counts for itself.", error=type(error).__name__)
        return await getattr(self._local, method)(item, *keys)


def fingerprint(text: str) -> str:
    """A key that does not show what it stands for: e-mail addresses do not lie about in Redis."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class _Memory(MemoryStorage):
    """limits looks through all its keys at every hit; every half minute is enough."""

    _swept_at = 0.0

    async def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - the private method of that name
        moment = time.time()
        if abs(moment - self._swept_at) < SWEEP_SECONDS:
            return
        self._swept_at = moment
        for key in [key for key, expires in self.expirations.items() if expires <= moment]:
            self.storage.pop(key, None)
            self.expirations.pop(key, None)
            self.locks.pop(key, None)


def _item(name: str, amount: int, seconds: int) -> RateLimitItem:
    return RateLimitItemPerSecond(amount, seconds, namespace=name)


def _redis(url: str) -> RedisStorage:
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        key_prefix="chatty:limits",
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
    )
