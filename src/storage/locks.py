"""Who is still at work on a part: its writer holds a lock that ends with the process, however that ends."""

import errno
import os
import secrets
import time
from io import BufferedWriter
from pathlib import Path
from typing import Final

from .files import open_new, remove

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART: Final = ".part"
OLD_SECONDS: Final = 3600
"""After how long a part counts as left behind where nothing can be locked."""

_NO_LOCKS = frozenset([errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])


def open_part(directory: Path) -> tuple[Path, BufferedWriter]:
    """A new file for this user alone, locked until it is closed, and its random name. Raises OSError."""
    while True:
        path = directory / f"{secrets.token_hex(16)}{PART}"
        file = os.fdopen(open_new(path), "wb")
        # A sweep may have come in between the two, taken it for one left behind, and removed it.
        if lock(file.fileno()) is not False and os.fstat(file.fileno()).st_nlink:
            return path, file
        remove(path, file)


def lock(descriptor: int) -> bool | None:
    """Take the lock of an open file: whether it was free, or None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def is_left_behind(descriptor: int) -> bool:
    """Whether nobody writes this file any more; its lock is then taken."""
    free = lock(descriptor)
    if free is None:
        return time.time() - os.fstat(descriptor).st_mtime > OLD_SECONDS
    return free
