"""Passwords: hashed and compared in a bounded pool off the event loop; common ones refused.

`bcrypt_sha256`, because plain bcrypt ends at 72 bytes, 24 syllables of Hangul. Plain bcrypt is read, for accounts that
come from elsewhere, and replaced at the next sign-in.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from ..errors import FieldError, Invalid, Unavailable
from .common_passwords import common_passwords, is_derived

T = TypeVar("T")

MAX_WAITING = 50
BUSY_MS = 1000
BCRYPT_BYTES = 72

# A well-formed hash that no password is known for: comparing with it costs what comparing with a person's would.
_NOBODYS = "$bcrypt-sha256$v=2,t=2b,r={rounds}$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"


class Verdict(NamedTuple):
    """Is it the password? `better_hash`: what to keep from now on instead, if the hash is of an older kind."""

    matches: bool
    better_hash: str | None = None


class Passwords:
    """`rounds`: bcrypt's cost, as a power of two; 12 takes about a quarter of a second."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._nobodys = _NOBODYS.format(rounds=rounds)
        self._context: Any = None
        self._workers = os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="passwords")
        self._busy = 0
        self._common: frozenset[str] | None = None
        self._loading = asyncio.Lock()

    async def hash(self, password: str) -> str:
        """What to keep of a password. Raises Unavailable when too many wait."""
        return await self._run(lambda: str(self._hasher().hash(password)))

    async def verify(self, password: str, kept: str | None) -> Verdict:
        """Compare a password with what was kept; with None (nobody, or no password set) for the same time, in vain.

        Raises Unavailable when too many wait.
        """
        return await self._run(lambda: self._verify(password, kept))

    async def refuse_common(self, password: str, own: Iterable[str | None], field: str) -> None:
        """Raise Invalid, naming `field`, for a password that is much used or one of the person's `own` words."""
        if self._common is None:
            async with self._loading:  # once, and not in the pool, whose places are counted
                self._common = await asyncio.to_thread(common_passwords)
        if password.casefold() in self._common or is_derived(password, own):
            raise Invalid(errors=[FieldError(field, "common_password", "is too easy to guess; choose another")])

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._busy >= self._workers + MAX_WAITING:
            raise Unavailable("Too many people are signing in; try again.", retry_after_ms=BUSY_MS)
        self._busy += 1
        running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        running.add_done_callback(lambda _: self._leave())  # also when the caller has gone: the thread is still taken
        return await asyncio.shield(running)

    def _leave(self) -> None:
        self._busy -= 1

    def _hasher(self) -> Any:
        if self._context is None:
            from passlib.context import CryptContext  # a tenth of a second: not at start

            self._context = CryptContext(
                schemes=["bcrypt_sha256", "bcrypt"], deprecated="auto", bcrypt_sha256__rounds=self._rounds
            )
        return self._context

    def _verify(self, password: str, kept: str | None) -> Verdict:
        hasher = self._hasher()
        given: str | bytes = password
        if kept and hasher.identify(kept) == "bcrypt":
            given = password.encode()[:BCRYPT_BYTES]  # as whoever made this hash did; bcrypt 5 refuses to
        try:
            matches = hasher.verify(given, kept or self._nobodys)
        except ValueError:  # no hash that anybody can read: as if there were none
            hasher.verify(password, self._nobodys)
            return Verdict(False)
        if not matches or not kept:
            return Verdict(False)
        return Verdict(True, str(hasher.hash(password)) if hasher.needs_update(kept) else None)
