"""Objects as files below one directory, each for the user of this process alone."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import aiofiles

from .files import NO_FOLLOW, keep_private, make_directory, remove, room_needed, sync_directory, to_the_end
from .keys import INCOMING, checked, checked_prefix, is_key
from .locks import open_part
from .store import ObjectMissing, Stored

PIECE = 256 * 1024
_PORTION = 500
_ABSENT = frozenset([errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR])


class DiskStore:
    """A Store below `root`. A directory below it that is a symbolic link out of it is an OSError, not a way."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    async def put(self, key: str, source: Path) -> None:
        """See Store. Costs a rename where `source` is on the same file system, as the parts of `incoming` are."""
        await to_the_end(asyncio.to_thread(self._put, checked(key), source))

    async def size(self, key: str) -> int:
        return await asyncio.to_thread(self._size, checked(key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        path = await asyncio.to_thread(self._located, checked(key))
        try:
            # Buffered, although the pieces pass its buffer by: its lock keeps a close from a read that still runs.
            file = await aiofiles.open(path, "rb", opener=_open_object)
        except OSError as error:
            raise _explained(error, key) from error
        try:
            await file.seek(start)
            while (wanted := PIECE if end is None else min(PIECE, end - start)) > 0:
                piece = await file.read(wanted)
                if not piece:
                    return
                start += len(piece)
                yield piece
        finally:
            await file.close()

    async def delete(self, keys: Collection[str]) -> None:
        await to_the_end(asyncio.to_thread(self._delete, [checked(key) for key in keys]))

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        directory = checked_prefix(prefix).rpartition("/")[0]
        found = self._found(await asyncio.to_thread(self._directory, directory))
        while portion := await asyncio.to_thread(lambda: list(islice(found, _PORTION))):
            for stored in portion:
                if stored.key.startswith(prefix):
                    yield stored

    def path(self, key: str) -> Path | None:
        """See Store. Raises OSError where somebody has put a symbolic link."""
        path = self._located(checked(key))
        if path.is_symlink():
            raise _link(path)
        return path

    async def link(self, key: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        """None: nothing but this service reaches these files."""
        return None

    async def close(self) -> None: ...

    def _located(self, key: str) -> Path:
        """Where an object is or will be. Raises OSError if the way leads through a link."""
        directory, _, name = key.rpartition("/")
        return self._directory(directory) / name

    def _directory(self, name: str) -> Path:
        path = self._root / name
        if Path(os.path.realpath(path)) != Path(os.path.realpath(self._root)) / name:
            raise _link(path)
        return path

    def _put(self, key: str, source: Path) -> None:
        with room_needed():
            target = self._located(key)
            make_directory(target.parent)
            _sync_for_good(source)
            try:
                os.replace(source, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy(source, target)
            sync_directory(target.parent)

    def _copy(self, source: Path, target: Path) -> None:
        """Put what lies on another file system: whole or not at all, and a sweep finds what a crash leaves."""
        make_directory(self._root / INCOMING)
        part, copy = open_part(self._root / INCOMING)
        try:
            with source.open("rb") as original:
                shutil.copyfileobj(original, copy, 1024 * 1024)
            copy.flush()
            os.fsync(copy.fileno())
            os.replace(part, target)
        finally:
            remove(part, copy)
        source.unlink(missing_ok=True)

    def _size(self, key: str) -> int:
        path = self._located(key)
        try:
            found = path.lstat()
        except OSError as error:
            raise _explained(error, key) from error
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(key)
        return found.st_size

    def _delete(self, keys: Collection[str]) -> None:
        changed = set()
        for path in map(self._located, keys):
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
                changed.add(path.parent)
        for directory in changed:
            sync_directory(directory)

    def _found(self, directory: Path) -> Iterator[Stored]:
        """The objects below a directory; what disappears meanwhile is left out."""
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
            for entry in entries:
                key = Path(entry.path).relative_to(self._root).as_posix()
                if not is_key(key):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._found(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        yield Stored(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _sync_for_good(source: Path) -> None:
    """Let the bytes of a file survive a power cut, readable for this user alone."""
    descriptor = os.open(source, os.O_RDWR | NO_FOLLOW)
    try:
        keep_private(source, descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_object(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW)


def _link(path: Path) -> OSError:
    return OSError(errno.ELOOP, "A symbolic link stands in the storage", str(path))


def _explained(error: OSError, key: str) -> Exception:
    return ObjectMissing(key) if error.errno in _ABSENT else error
