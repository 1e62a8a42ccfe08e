"""What only the store on the disk can get wrong: modes, links, what survives."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import StorageFull
from src.storage import disk, files
from src.storage.disk import DiskStore
from src.storage.staging import Staging
from src.storage.store import ObjectMissing

from .conftest import MakeFile, noise

KEY = "chat/documents/ab/abcdef0123456789abcdef0123456789"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def store(root: Path) -> DiskStore:
    return DiskStore(root)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were synced, in order, each as it was called then."""
    paths: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return paths


def across_file_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames from outside `uploads` fail as they do between two file systems."""
    replace = os.replace

    def refused(source: Path, target: Path) -> None:
        if "uploads" not in Path(source).parts:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)


class TestAFile:
    @pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o377])
    @pytest.mark.parametrize("across", [False, True])
    async def test_is_for_its_user_alone_whatever_the_umask(
        self, store, root, make_file: MakeFile, umask: Callable[[int], int], monkeypatch, mask: int, across: bool
    ) -> None:
        source = make_file(b"x")
        source.chmod(0o666)
        if across:
            across_file_systems(monkeypatch)
        if mask == 0o377:
            files.make_directory((root / KEY).parent)
            files.make_directory(root / "incoming")
        umask(mask)
        await store.put(KEY, source)
        path = store.path(KEY)
        assert path == root / KEY
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for directory in (root, root / "chat", root / "chat/documents", root / "chat/documents/ab"):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    async def test_is_moved_and_not_copied(self, store, make_file: MakeFile) -> None:
        source = make_file(b"x")
        inode = source.stat().st_ino
        await store.put(KEY, source)
        assert store.path(KEY).stat().st_ino == inode
        assert not source.exists()

    async def test_survives_a_power_cut_with_its_directories(self, store, root, make_file, synced: list[str]) -> None:
        source = make_file(b"x")
        await store.put(KEY, source)
        shard = str((root / KEY).parent)
        made = [str(root.parent), str(root), str(root / "chat"), str(root / "chat/documents")]
        assert synced == [*made, str(source), shard]
        synced.clear()
        await store.delete([KEY])
        assert synced == [shard]

    async def test_survives_it_from_another_file_system_too(self, store, root, make_file, monkeypatch, synced) -> None:
        across_file_systems(monkeypatch)
        source = make_file(noise(3_000_000))
        await store.put(KEY, source)
        assert not source.exists()
        assert (root / KEY).read_bytes() == noise(3_000_000)
        assert list((root / "incoming").iterdir()) == []
        copy = next(number for number, path in enumerate(synced) if path.endswith(".part"))
        assert synced[copy:] == [synced[copy], str((root / KEY).parent)]

    async def test_is_left_alone_by_a_sweep_while_it_is_copied(self, store, root, make_file, monkeypatch) -> None:
        across_file_systems(monkeypatch)
        copy, swept = disk.shutil.copyfileobj, []

        def slowly(source, target, length) -> None:
            swept.append(Staging(root / "incoming", 0)._sweep())
            copy(source, target, length)

        monkeypatch.setattr(disk.shutil, "copyfileobj", slowly)
        await store.put(KEY, make_file(b"content"))
        assert swept == [0]
        assert (root / KEY).read_bytes() == b"content"

    async def test_is_whole_or_not_there(self, store, root, make_file: MakeFile, monkeypatch) -> None:
        across_file_systems(monkeypatch)

        def breaks(source, target, length) -> None:
            target.write(source.read(10))
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(disk.shutil, "copyfileobj", breaks)
        with pytest.raises(OSError, match="Input/output error"):
            await store.put(KEY, make_file(noise(100)))
        assert [path for path in root.rglob("*") if path.is_file()] == []

    async def test_is_not_half_put_when_whoever_puts_it_is_cancelled(self, store, root, make_file, monkeypatch) -> None:
        under_way, go_on = threading.Event(), threading.Event()
        replace = os.replace

        def slowly(source: Path, target: Path) -> None:
            under_way.set()
            go_on.wait(5)
            replace(source, target)

        monkeypatch.setattr(os, "replace", slowly)
        source = make_file(noise(1000))
        putting = asyncio.create_task(store.put(KEY, source))
        await asyncio.to_thread(under_way.wait, 5)
        putting.cancel()
        await asyncio.sleep(0.05)
        assert not putting.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert (root / KEY).read_bytes() == noise(1000)

    async def test_lets_the_loop_go_on_while_it_is_put(self, store, make_file: MakeFile, monkeypatch) -> None:
        loops = []
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda fd: loops.append(threading.current_thread()) or fsync(fd))
        await store.put(KEY, make_file(b"x"))
        await store.delete([KEY])
        assert loops and threading.current_thread() not in loops

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    async def test_without_room_is_refused_as_such(self, store, make_file: MakeFile, monkeypatch, number: int) -> None:
        def full(descriptor: int) -> None:
            raise OSError(number, os.strerror(number))

        source = make_file(b"x")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            await store.put(KEY, source)


class TestALink:
    """A symbolic link that somebody has planted below the storage."""

    async def test_at_the_target_is_replaced_and_not_followed(self, store, root, make_file, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"precious")
        (root / KEY).parent.mkdir(parents=True)
        (root / KEY).symlink_to(outside)
        await store.put(KEY, make_file(b"new"))
        assert outside.read_bytes() == b"precious"
        assert not (root / KEY).is_symlink()
        assert (root / KEY).read_bytes() == b"new"

    async def test_in_place_of_an_object_is_no_object(self, store, root, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"secret")
        (root / KEY).parent.mkdir(parents=True)
        (root / KEY).symlink_to(outside)
        with pytest.raises(ObjectMissing):
            await anext(store.read(KEY))
        with pytest.raises(ObjectMissing):
            await store.size(KEY)
        with pytest.raises(OSError):
            store.path(KEY)
        assert [stored async for stored in store.list()] == []
        await store.delete([KEY])
        assert outside.read_bytes() == b"secret"
        assert not (root / KEY).is_symlink()

    async def test_in_place_of_a_directory_is_no_way_out(self, store, root, make_file, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        (outside / "ab").mkdir(parents=True)
        (outside / "ab" / "a").write_bytes(b"secret")
        (root / "chat").mkdir(parents=True)
        (root / "chat" / "documents").symlink_to(outside)
        key = "chat/documents/ab/a"
        source = make_file(b"x")
        with pytest.raises(OSError):
            await store.put(key, source)
        with pytest.raises(OSError):
            await anext(store.read(key))
        with pytest.raises(OSError):
            await store.size(key)
        with pytest.raises(OSError):
            store.path(key)
        with pytest.raises(OSError):
            await store.delete([key])
        assert [stored async for stored in store.list()] == []
        with pytest.raises(OSError):
            await anext(store.list("chat/documents/ab/"))
        assert (outside / "ab" / "a").read_bytes() == b"secret"

    async def test_to_the_storage_itself_is_the_operators(self, root, make_file, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        root.symlink_to(tmp_path / "elsewhere")
        store = DiskStore(root)
        await store.put(KEY, make_file(b"x"))
        assert (tmp_path / "elsewhere" / KEY).read_bytes() == b"x"
        assert [stored.key async for stored in store.list()] == [KEY]

    async def test_as_a_source_is_not_followed(self, store, root, tmp_path: Path) -> None:
        (tmp_path / "outside").write_bytes(b"secret")
        (tmp_path / "source").symlink_to(tmp_path / "outside")
        with pytest.raises(OSError):
            await store.put(KEY, tmp_path / "source")
        assert not (root / KEY).exists()


async def test_what_is_coming_in_is_not_listed(store: DiskStore, root: Path, make_file: MakeFile) -> None:
    staging = Staging(root / "incoming", 0)
    await store.put(KEY, make_file(b"x"))
    (root / "chat" / ".gitkeep").touch()
    async with staging.part() as part:
        await part.write(b"x")
        assert [stored.key async for stored in store.list()] == [KEY]


async def test_an_object_that_disappears_meanwhile_is_not_listed(store, root, make_file: MakeFile, monkeypatch) -> None:
    monkeypatch.setattr(disk, "_PORTION", 1)
    names = [f"chat/documents/ab/{number}" for number in range(4)]
    for name in names:
        await store.put(name, make_file(b"x"))
    listing = store.list()
    first = (await anext(listing)).key
    _, gone, *others = sorted(names, key=lambda name: name != first)
    await store.delete([gone])
    assert {stored.key async for stored in listing} == set(others)


async def test_no_part_of_the_disk_has_an_address(store: DiskStore, make_file: MakeFile) -> None:
    await store.put(KEY, make_file(b"x"))
    assert await store.link(KEY, 60, content_type="text/plain", disposition="attachment") is None
