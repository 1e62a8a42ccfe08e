"""Parts: what they hold, and that none is left behind whatever happens to whoever writes it."""

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from src.errors import StorageFull
from src.storage import locks
from src.storage import staging as module
from src.storage.disk import DiskStore
from src.storage.staging import BLOCK, EVERY, Staging

from .conftest import noise

ROOT = Path(__file__).parents[2]
KEY = "chat/documents/ab/abcdef0123456789abcdef0123456789"

WRITE_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from src.storage.staging import Staging
async def main():
    async with Staging(Path(sys.argv[1]), 0).part() as part:
        print(part.path.name, flush=True)
        while part.size < 32 * 1024 * 1024:
            await part.write(bytes(65536))
            await asyncio.sleep(0)
        print("full", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""

WRITE_BEYOND_A_LIMIT = """
import asyncio, resource, sys
from pathlib import Path
from src.errors import StorageFull
from src.storage.staging import Staging
limit, chunk = int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
async def main():
    try:
        async with Staging(Path(sys.argv[1]), 0).part() as part:
            for _ in range(100):
                await part.write(bytes(chunk))
            await part.finish()
    except StorageFull:
        print("refused at", part.size)
asyncio.run(main())
"""


class Disk(NamedTuple):
    total: int
    used: int
    free: int


def parts(staging: Staging) -> list[Path]:
    return sorted(staging.directory.glob("*")) if staging.directory.exists() else []


@contextmanager
def writer(staging: Staging) -> Iterator[subprocess.Popen[str]]:
    """Another process that has opened a part in `staging` and is writing to it."""
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(staging.directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline().strip().endswith(".part")
            yield process
        finally:
            process.kill()


class TestAPart:
    @pytest.mark.parametrize("size", [0, 1, 65536, BLOCK, 3 * BLOCK + 7])
    @pytest.mark.parametrize("chunk", [1000, 65536, 2 * BLOCK])
    async def test_holds_what_was_written(self, staging: Staging, size: int, chunk: int) -> None:
        content = noise(size)
        async with staging.part() as part:
            for at in range(0, size, chunk):
                await part.write(content[at : at + chunk])
            assert part.size == size
            await part.finish()
            assert part.path.read_bytes() == content

    async def test_keeps_its_own_copy_of_what_is_written(self, staging: Staging) -> None:
        buffer = bytearray(b"first")
        async with staging.part() as part:
            await part.write(buffer)
            buffer[:] = b"again"
            await part.write(buffer)
            await part.finish()
            assert part.path.read_bytes() == b"firstagain"

    async def test_holds_no_more_than_two_blocks_in_memory(self, staging: Staging) -> None:
        async with staging.part() as part:
            for _ in range(100):
                await part.write(bytes(65536))
                assert part.size - part.path.stat().st_size <= 2 * BLOCK + 65536

    async def test_takes_nothing_more_once_finished(self, staging: Staging) -> None:
        async with staging.part() as part:
            await part.write(b"x")
            await part.finish()
            await part.finish()
            with pytest.raises(ValueError):
                await part.write(b"y")
            assert part.path.read_bytes() == b"x"

    async def test_survives_a_power_cut_once_finished(self, staging: Staging, monkeypatch) -> None:
        synced = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd)) or fsync(fd))
        async with staging.part() as part:
            await part.write(b"123")
            synced.clear()
            await part.finish()
            assert [(file.st_ino, file.st_size) for file in synced] == [(part.path.stat().st_ino, 3)]

    async def test_is_gone_afterwards(self, staging: Staging) -> None:
        async with staging.part() as part:
            await part.write(b"x")
        assert parts(staging) == []
        with pytest.raises(RuntimeError):
            async with staging.part() as part:
                await part.write(b"x")
                raise RuntimeError
        assert parts(staging) == []

    async def test_stays_where_it_was_put(self, staging: Staging) -> None:
        store = DiskStore(staging.directory.parent)
        async with staging.part() as part:
            await part.write(b"content")
            await part.finish()
            inode = part.path.stat().st_ino
            await store.put(KEY, part.path)
        assert parts(staging) == []
        assert store.path(KEY).read_bytes() == b"content"
        assert store.path(KEY).stat().st_ino == inode

    @pytest.mark.parametrize("mask", [0o000, 0o022, 0o377])
    async def test_is_for_its_user_alone_whatever_the_umask(
        self, staging: Staging, umask: Callable[[int], int], mask: int
    ) -> None:
        if mask == 0o377:
            staging.directory.mkdir(0o700, parents=True)
        umask(mask)
        async with staging.part() as part:
            assert stat.S_IMODE(part.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(part.path.parent.stat().st_mode) == 0o700
            assert len(part.path.stem) == 32 and int(part.path.stem, 16) >= 0 and part.path.suffix == ".part"

    @pytest.mark.parametrize("planted", ["link", "dangling", "file"])
    async def test_is_not_written_through_what_somebody_planted(
        self, staging: Staging, tmp_path: Path, monkeypatch, planted: str
    ) -> None:
        outside = tmp_path / "outside"
        staging.directory.mkdir(parents=True)
        target = staging.directory / f"{'a' * 32}.part"
        if planted == "link":
            outside.write_bytes(b"precious")
            target.symlink_to(outside)
        elif planted == "dangling":
            target.symlink_to(outside)
        else:
            target.write_bytes(b"precious")
        monkeypatch.setattr(locks.secrets, "token_hex", lambda size: "a" * 2 * size)
        with pytest.raises(FileExistsError):
            async with staging.part() as part:
                await part.write(b"x")
        assert outside.exists() is (planted == "link")
        assert planted == "dangling" or target.read_bytes() == b"precious"

    async def test_closes_all_that_it_opened(self, staging: Staging) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with staging.part() as part:
                await part.write(b"x")
                await part.finish()
            async with staging.part() as part:
                await part.write(b"x")
        assert len(os.listdir("/proc/self/fd")) <= before


class TestADiskThatFails:
    async def test_while_more_comes_in_is_told(self, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel tells of a page that it could not write to whoever asks first, and to nobody after."""
        monkeypatch.setattr("src.storage.staging._sync", failing)
        with pytest.raises(OSError, match="a broken disk"):
            async with staging.part() as part:
                await part.write(bytes(BLOCK))
                await part.write(bytes(EVERY))
                await part.finish()
        assert parts(staging) == []


def failing(descriptor: int) -> None:
    raise OSError(errno.EIO, "a broken disk")


class TestACancellation:
    async def test_while_the_disk_is_waited_for_waits_too(
        self, staging: Staging, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        under_way, go_on, ended = threading.Event(), threading.Event(), []

        def slow(descriptor: int) -> None:
            under_way.set()
            go_on.wait(5)
            os.fsync(descriptor)
            ended.append(descriptor)

        monkeypatch.setattr("src.storage.staging._sync", slow)

        async def upload() -> None:
            async with staging.part() as part:
                await part.write(bytes(BLOCK))
                await part.write(bytes(EVERY))
                await asyncio.sleep(60)

        task = asyncio.create_task(upload())
        await asyncio.to_thread(under_way.wait, 5)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(ended) == 1
        assert parts(staging) == []

    async def test_in_the_middle_of_a_write_waits_for_its_end(self, staging: Staging) -> None:
        """The file is closed only when no thread writes to it: its descriptor may be somebody else's by then."""
        under_way, go_on = threading.Event(), threading.Event()
        part = None

        async def upload() -> None:
            nonlocal part
            async with staging.part() as part:
                part._writer._file = Slow(part._writer._file, under_way, go_on)
                await part.write(bytes(2 * BLOCK))

        task = asyncio.create_task(upload())
        await asyncio.to_thread(under_way.wait, 5)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        assert len(parts(staging)) == 1
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert parts(staging) == []
        assert part._file.closed

    @pytest.mark.parametrize("seconds", [0, 0.0002, 0.001, 0.003, 0.01, 0.03])
    async def test_at_any_moment_leaves_nothing(self, staging: Staging, seconds: float) -> None:
        async def upload() -> None:
            async with staging.part() as part:
                for _ in range(200):
                    await part.write(bytes(100_000))
                await part.finish()
                await asyncio.sleep(5)

        before = len(os.listdir("/proc/self/fd"))
        tasks = [asyncio.create_task(upload()) for _ in range(8)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert parts(staging) == []
        assert len(os.listdir("/proc/self/fd")) <= before

    async def test_while_it_is_opened_leaves_nothing(self, staging: Staging, monkeypatch) -> None:
        under_way, go_on = threading.Event(), threading.Event()
        take = locks.lock

        def slowly(descriptor: int) -> bool | None:
            under_way.set()
            go_on.wait(5)
            return take(descriptor)

        monkeypatch.setattr(locks, "lock", slowly)

        async def upload() -> None:
            async with staging.part():
                raise AssertionError("It was cancelled before.")

        task = asyncio.create_task(upload())
        await asyncio.to_thread(under_way.wait, 5)
        assert len(parts(staging)) == 1
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            if not parts(staging):
                break
            await asyncio.sleep(0.01)
        assert parts(staging) == []


class TestASweep:
    async def test_removes_the_part_of_a_process_that_was_killed(self, staging: Staging) -> None:
        with writer(staging) as killed:
            assert await staging.sweep() == 0
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        assert len(parts(staging)) == 1
        assert await staging.sweep() == 1
        assert parts(staging) == []

    async def test_leaves_the_part_of_a_living_one(self, staging: Staging) -> None:
        with writer(staging) as living, writer(staging) as killed:
            killed.kill()
            killed.wait()
            assert await staging.sweep() == 1
            assert len(parts(staging)) == 1
            assert living.stdout.readline() == "full\n"
            assert parts(staging)[0].stat().st_size == 32 * BLOCK

    async def test_leaves_a_part_of_its_own_process_even_when_it_is_finished(self, staging: Staging) -> None:
        async with staging.part() as part:
            await part.write(b"x")
            assert await staging.sweep() == 0
            await part.finish()
            assert await staging.sweep() == 0
            assert part.path.read_bytes() == b"x"

    async def test_leaves_what_is_no_part(self, staging: Staging, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"precious")
        staging.directory.mkdir(parents=True)
        (staging.directory / "notes").touch()
        (staging.directory / "link.part").symlink_to(outside)
        (staging.directory / "directory.part").mkdir()
        assert await staging.sweep() == 0
        assert len(parts(staging)) == 3
        assert outside.read_bytes() == b"precious"

    async def test_of_a_directory_that_is_not_there_finds_nothing(self, staging: Staging) -> None:
        assert await staging.sweep() == 0

    async def test_does_not_take_a_newborn_part_from_its_writer(self, staging: Staging, monkeypatch) -> None:
        """It comes in between the making of the file and its lock: the writer takes another."""
        take = locks.lock
        swept = []

        def late(descriptor: int) -> bool | None:
            if not swept:
                swept.append(0)
                swept.append(staging._sweep())
            return take(descriptor)

        monkeypatch.setattr(locks, "lock", late)
        async with staging.part() as part:
            await part.write(b"x")
            await part.finish()
            assert swept == [0, 1]
            assert parts(staging) == [part.path]

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, None])
    async def test_goes_by_age_where_nothing_can_be_locked(self, staging: Staging, monkeypatch, number) -> None:
        class NoLocks:
            LOCK_EX = LOCK_NB = 0

            @staticmethod
            def flock(descriptor: int, how: int) -> None:
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(locks, "fcntl", NoLocks if number else None)
        async with staging.part() as part:
            assert await staging.sweep() == 0
            old = time.time() - 3590
            os.utime(part.path, (old, old))
            assert await staging.sweep() == 0
            os.utime(part.path, (old - 20, old - 20))
            assert await staging.sweep() == 1

    async def test_lets_the_loop_go_on(self, staging: Staging, monkeypatch) -> None:
        threads = []
        sweep = staging._sweep
        monkeypatch.setattr(staging, "_sweep", lambda: threads.append(threading.current_thread()) or sweep())
        await staging.sweep()
        assert threads != [threading.current_thread()]


class TestAFullDisk:
    @pytest.fixture
    def free(self, monkeypatch) -> list[int]:
        """How much is free: its last value."""
        free = [100 * BLOCK]
        monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Disk(0, 0, free[-1]))
        return free

    def test_is_one_that_what_comes_would_take_below_the_reserve(self, tmp_path: Path, free: list[int]) -> None:
        staging = Staging(tmp_path / "incoming", reserve_bytes=40 * BLOCK)
        staging.refuse_if_full(60 * BLOCK)
        with pytest.raises(StorageFull):
            staging.refuse_if_full(60 * BLOCK + 1)

    def test_is_asked_of_the_disk_that_there_is(self, tmp_path: Path) -> None:
        Staging(tmp_path / "incoming", 0).refuse_if_full(1)
        with pytest.raises(StorageFull):
            Staging(tmp_path / "incoming", 0).refuse_if_full(2**62)

    async def test_is_noticed_while_a_part_grows(self, tmp_path: Path, free: list[int]) -> None:
        staging = Staging(tmp_path / "incoming", reserve_bytes=40 * BLOCK)
        with pytest.raises(StorageFull):
            async with staging.part() as part:
                while part.size < 2 * EVERY:
                    await part.write(bytes(65536))
                    free.append(39 * BLOCK if part.size > BLOCK * 2 else free[-1])
        assert part.size <= BLOCK * 2 + EVERY
        assert parts(staging) == []

    async def test_takes_not_even_a_small_part(self, tmp_path: Path, free: list[int]) -> None:
        staging = Staging(tmp_path / "incoming", reserve_bytes=101 * BLOCK)
        with pytest.raises(StorageFull):
            async with staging.part() as part:
                await part.write(b"x")
                await part.finish()
        assert parts(staging) == []

    @pytest.mark.parametrize(("limit", "chunk"), [(3_000_000, 65536), (1000, 20)])
    def test_answers_a_write_that_the_system_refuses(self, staging: Staging, limit: int, chunk: int) -> None:
        command = [sys.executable, "-W", "error", "-c", WRITE_BEYOND_A_LIMIT, str(staging.directory)]
        command += [str(limit), str(chunk)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.stderr == ""
        assert limit <= int(ended.stdout.removeprefix("refused at ")) <= limit + 2 * BLOCK
        assert parts(staging) == []


class Slow:
    """A file whose writes wait until they may go on."""

    def __init__(self, file, under_way: threading.Event, go_on: threading.Event) -> None:
        self._file, self._under_way, self._go_on = file, under_way, go_on

    def writelines(self, blocks: list[bytes]) -> None:
        self._under_way.set()
        self._go_on.wait(5)
        self._file.writelines(blocks)
