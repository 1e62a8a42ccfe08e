"""Where files wait while they come in: one part each, gone with whoever writes it unless it was moved away."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BufferedWriter
from pathlib import Path

from aiofiles.threadpool import wrap

from ..errors import StorageFull
from .files import NO_FOLLOW, make_directory, remove, room_needed, to_the_end
from .locks import PART, is_left_behind, open_part

BLOCK = 1024 * 1024
"""What is written at once: a visit to the thread pool costs as much as many small chunks."""
ASK_EVERY = 8 * BLOCK


class Part:
    """A file while it comes in. `size`: how many bytes have been given to `write`."""

    def __init__(self, path: Path, file: BufferedWriter, refuse_if_full: Callable[[int], None]) -> None:
        self.path = path
        self.size = 0
        self._file = file
        self._writer = wrap(file)
        self._refuse_if_full = refuse_if_full
        self._block = bytearray()
        self._asked: int | None = None
        self._finished = False

    async def write(self, chunk: bytes | bytearray) -> None:
        """Add to the file; the chunk may be used again afterwards. Raises StorageFull, OSError."""
        if self._finished:
            raise ValueError("This part is finished.")
        self.size += len(chunk)
        self._block += chunk
        if len(self._block) >= BLOCK:
            await self._write_block()

    async def finish(self) -> None:
        """Write the rest and let it survive a power cut; nothing more can be written. Raises StorageFull, OSError."""
        if self._finished:
            return
        self._finished = True
        await self._write_block()
        with room_needed():
            await to_the_end(self._writer.flush())
            await to_the_end(asyncio.to_thread(os.fsync, self._file.fileno()))

    async def _write_block(self) -> None:
        if self._asked is None or self.size - self._asked >= ASK_EVERY:
            await asyncio.to_thread(self._refuse_if_full, len(self._block))
            self._asked = self.size
        block, self._block = self._block, bytearray()
        with room_needed():
            await to_the_end(self._writer.write(block))


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
        try:
            yield Part(path, file, self.refuse_if_full)
        finally:
            await to_the_end(asyncio.to_thread(remove, path, file))

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
