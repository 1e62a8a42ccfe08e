"""Where files wait while they come in: one part each, gone with whoever writes it unless it was moved away."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from aiofiles.threadpool import wrap

from ..errors import StorageFull
from .files import NO_FOLLOW, make_directory, remove, room_needed, to_the_end
from .locks import PART, is_left_behind, open_part

BLOCK = 1024 * 1024
"""What is written at once: a visit to the thread pool costs as much as many small chunks."""
EVERY = 8 * BLOCK
"""After so much the disk is asked for room anew, and begins to keep what it has."""

_sync = getattr(os, "fdatasync", os.fsync)


class Part:
    """A file while it comes in. `size`: how many bytes have been given to `write`."""

    def __init__(self, path: Path, file: BufferedWriter, refuse_if_full: Callable[[int], None]) -> None:
        self.path = path
        self.size = 0
        self._file = file
        self._writer = wrap(file)
        self._refuse_if_full = refuse_if_full
        self._block: list[bytes] = []
        self._waiting = 0
        self._asked: int | None = None
        self._writing: asyncio.Future[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._finished = False

    async def write(self, chunk: bytes | bytearray) -> None:
        """Add to the file; the chunk may be used again afterwards. Raises StorageFull, OSError."""
        if self._finished:
            raise ValueError("This part is finished.")
        self.size += len(chunk)
        self._block.append(bytes(chunk))
        self._waiting += len(chunk)
        if self._waiting >= BLOCK:
            await self._write_block()

    async def finish(self) -> None:
        """Write the rest and let it survive a power cut; nothing more can be written. Raises StorageFull, OSError."""
        if self._finished:
            return
        self._finished = True
        await self._write_block()
        with room_needed():
            await self.settle()
            await to_the_end(self._writer.flush())
            await to_the_end(asyncio.to_thread(os.fsync, self._file.fileno()))

    async def _write_block(self) -> None:
        """Have a thread write what waits, while the next chunks come in."""
        with room_needed():
            await _ended(self._writing)
            if self._asked is None or self.size - self._asked >= EVERY:
                await to_the_end(asyncio.to_thread(self._refuse_if_full, self._waiting))
                if self._asked is not None:
                    await self._begin_to_sync()
                self._asked = self.size
            block, self._block, self._waiting = self._block, [], 0
            self._writing = asyncio.ensure_future(self._writer.writelines(block))

    async def _begin_to_sync(self) -> None:
        """Bring to the disk what was written so far, so that the end does not find all of it waiting."""
        if self._syncing is None or self._syncing.done():
            await _ended(self._syncing)
            self._syncing = asyncio.ensure_future(asyncio.to_thread(_sync, self._file.fileno()))

    async def settle(self) -> None:
        """Return when no thread works on the file any more. Raises OSError where one of them has failed."""
        try:
            await _ended(self._writing)
        finally:
            await _ended(self._syncing)


async def _ended(work: "asyncio.Future[None] | None") -> None:
    """Raises what it failed with: an error of the disk is told once alone, and must not be lost."""
    if work:
        await to_the_end(work)


class Staging:
    """A directory in which parts wait. `reserve_bytes`: what must stay free on its disk."""

    def __init__(self, directory: Path, reserve_bytes: int) -> None:
        self.directory = directory
        self._reserve = reserve_bytes

    @asynccontextmanager
    async def part(self) -> AsyncIterator[Part]:
        """A new, empty part; what is still there at the end of the context is removed. Raises StorageFull, OSError."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            path, file = await to_the_end(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_remove_opened)
            raise
        part = Part(path, file, self.refuse_if_full)
        try:
            yield part
        finally:
            await to_the_end(_discard(part, file))

    def refuse_if_full(self, coming: int) -> None:
        """Raises StorageFull if with `coming` bytes more the disk had less free than must stay free."""
        self._prepare()
        if shutil.disk_usage(self.directory).free - coming < self._reserve:
            raise StorageFull

    async def sweep(self) -> int:
        """Remove the parts whose writers are dead, also those of other processes. How many."""
        return await asyncio.to_thread(self._sweep)

    def _prepare(self) -> None:
        with room_needed():
            make_directory(self.directory)

    def _open(self) -> tuple[Path, BufferedWriter]:
        self._prepare()
        with room_needed():
            return open_part(self.directory)

    def _sweep(self) -> int:
        return sum(_remove_if_left_behind(path) for path in self.directory.glob(f"*{PART}"))


async def _discard(part: Part, file: BufferedWriter) -> None:
    with suppress(OSError):  # nobody relies on it any more, or has been told
        await part.settle()
    await asyncio.to_thread(remove, part.path, file)


def _remove_if_left_behind(path: Path) -> bool:
    """Remove a part if its writer is dead. Whether it was."""
    try:
        descriptor = os.open(path, os.O_RDWR | NO_FOLLOW)
    except OSError:  # it has just been finished, or it is none of ours
        return False
    try:
        if not is_left_behind(descriptor):
            return False
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _remove_opened(opening: "asyncio.Future[tuple[Path, BufferedWriter]]") -> None:
    if not opening.cancelled() and not opening.exception():
        remove(*opening.result())
