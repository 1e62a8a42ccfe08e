"""What keeps objects: immutable bytes under a key that is made up here and says nothing of who sent them.

A key is a path of lower-case letters, digits, `-`, `.` and `/`, such as `chat/images/3f/3f9c….webp`.
"""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol


class ObjectMissing(Exception):
    """There is no object under this key."""


class Stored(NamedTuple):
    """An object as `Store.list` finds it. `size` in bytes."""

    key: str
    size: int
    modified_at: datetime


class Store(Protocol):
    """Raises OSError (StorageFull where there is no room) when the storage fails; callers know no other failure."""

    async def put(self, key: str, source: Path) -> None:
        """Make the bytes of the file `source` the object `key`: when this returns, they survive a power cut.

        `source` may be gone then. An object that exists is never written again: keys are random.
        """

    async def size(self, key: str) -> int:
        """How many bytes it has. Raises ObjectMissing."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Its bytes from `start` up to, not including, `end`, in pieces of at most 256 KiB. Raises ObjectMissing."""

    async def delete(self, keys: Collection[str]) -> None:
        """Remove these objects; those that are not there count as removed."""

    def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        """All objects whose key begins with `prefix`, in any order, but none of what is only coming in."""

    def path(self, key: str) -> Path | None:
        """The file that is the object, which may be missing; None where objects are not files."""

    async def link(self, key: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        """An address of the storage itself that answers this object with these headers, for so long.

        None where there is no such thing.
        """

    async def close(self) -> None: ...
