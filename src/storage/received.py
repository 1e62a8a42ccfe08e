"""A file that somebody has sent, waiting on the local disk for what becomes of it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Received:
    """One file of an upload, whole and counted.

    `field` is where it stood, such as `files.2` for the third of `files`; `name` and `content_type` are the sender's
    words, decoded but not believed. `size` in bytes. The file at `path` goes with the context that gave it, unless it
    was moved away.
    """

    field: str
    name: str
    content_type: str
    size: int
    path: Path


Receive = Callable[[], AbstractAsyncContextManager[Sequence[Received]]]
"""How a service takes what was sent, when it has made sure that it wants it: nothing is read before."""
