"""Files and directories that survive a power cut, and threads that are not left behind."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import TypeVar

from ..errors import StorageFull

T = TypeVar("T")

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither it nor symbolic links that anybody may make
_NO_ROOM = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])  # the disk, a quota, a limit of this process


async def to_the_end(work: Awaitable[T]) -> T:
    """Await work in a thread; whoever is cancelled meanwhile waits for its end, since no thread can be stopped.

    So nothing touches a file any more when its context is left.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


@contextmanager
def room_needed() -> Iterator[None]:
    """Raises StorageFull in place of the OSErrors that mean that there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull from error
        raise


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, for this user alone, so that it survives a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    try:
        path.mkdir(0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Let what was made in, moved into or taken from a directory survive a power cut."""
    if os.name == "nt":  # which cannot open one
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_new(path: Path) -> int:
    """Make and open a file for this user alone, whatever the umask. Raises FileExistsError, for a symlink too."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o600)
    keep_private(path, descriptor)
    return descriptor


def keep_private(path: Path, descriptor: int) -> None:
    """Let this user alone read and write an open file, whatever the umask was when it was made."""
    os.chmod(descriptor if os.chmod in os.supports_fd else path, 0o600)


def remove(path: Path, file: BufferedWriter) -> None:
    """Take away a file, if it is still where it was, then close it and so let go of its lock."""
    try:
        path.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # what is still in the buffer of a file that is gone, on a disk that is full
            file.close()
