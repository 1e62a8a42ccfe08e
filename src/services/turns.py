"""So many at once of one person: for what occupies the service for as long as they like."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from ..errors import RateLimited

RETRY_MS = 1000


class Turns:
    """`most` at once under one key, on this node; None for any number."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    @contextlib.contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Take one of the places for as long as the block lasts. Raises RateLimited where none is free."""
        if self._most is not None and self._taken[key] >= self._most:
            raise RateLimited("Too many uploads at once; wait until one is done.", retry_after_ms=RETRY_MS)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
