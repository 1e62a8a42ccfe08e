"""What every store does, on the disk and in a bucket."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from src.storage.store import ObjectMissing, Store

from .conftest import MakeFile, noise

KEY = "chat/images/ab/abcdef0123456789abcdef0123456789.webp"
MIB = 1024 * 1024

NO_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "../outside",
    "chat/../../outside",
    "chat/images/..",
    "./chat",
    "chat//images",
    "chat/images/",
    "chat/images/.hidden",
    "chat\\images",
    "chat/IMAGES/a",
    "chat/images/%2e%2e",
    "chat/images/a\0b",
    "chat/images/a\n",
    "chat/images/그림",
    "chat/images/a b",
    "incoming/a.part",
    "incoming",
    "a" * 256,
]


async def whole(store: Store, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start, end)])


async def keys(store: Store, prefix: str = "") -> set[str]:
    return {stored.key async for stored in store.list(prefix)}


class TestAnObject:
    @pytest.mark.parametrize("size", [0, 1, 256 * 1024, 5 * MIB, 12 * MIB + 5])
    async def test_comes_back_as_it_was(self, store: Store, make_file: MakeFile, size: int) -> None:
        await store.put(KEY, make_file(noise(size)))
        assert await store.size(KEY) == size
        assert await whole(store, KEY) == noise(size)

    @pytest.mark.parametrize(
        ("start", "end"),
        [
            (0, 1),
            (1, 2),
            (0, None),
            (3, None),
            (299_999, None),
            (100, 290_000),
            (0, 300_000),
            (10, 999_999),
            (5, 5),
            (7, 3),
            (300_000, None),
            (400_000, None),
            (400_000, 400_001),
        ],
    )
    async def test_comes_in_ranges(self, store: Store, make_file: MakeFile, start: int, end: int | None) -> None:
        await store.put(KEY, make_file(noise(300_000)))
        assert (
            await whole(store, KEY, start, end) == noise(300_000)[start : max(start, end) if end is not None else end]
        )

    async def test_of_no_bytes_has_empty_ranges(self, store: Store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(b""))
        assert await whole(store, KEY, 0, 5) == await whole(store, KEY, 1) == b""

    async def test_comes_in_small_pieces(self, store: Store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(noise(2 * MIB)))
        sizes = [len(piece) async for piece in store.read(KEY)]
        assert max(sizes) <= 256 * 1024
        assert len(sizes) <= 32

    async def test_can_be_left_in_the_middle(self, store: Store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(noise(2 * MIB)))
        reading = store.read(KEY)
        assert noise(2 * MIB).startswith(await anext(reading))
        await reading.aclose()
        assert await store.size(KEY) == 2 * MIB

    async def test_is_there_beside_others_put_at_once(self, store: Store, make_file: MakeFile) -> None:
        names = [f"chat/documents/{number % 4:02x}/{number:032x}" for number in range(24)]
        await asyncio.gather(*(store.put(name, make_file(noise(50_000, seed))) for seed, name in enumerate(names)))
        assert await keys(store) == set(names)
        for seed, name in enumerate(names):
            assert await whole(store, name) == noise(50_000, seed)

    async def test_is_gone_once_deleted(self, store: Store, make_file: MakeFile) -> None:
        other = KEY.replace("abcdef", "abcde0")
        for key in (KEY, other):
            await store.put(key, make_file(b"x"))
        await store.delete([KEY, "chat/images/ab/never.webp", "no/such/place"])
        assert await keys(store) == {other}
        with pytest.raises(ObjectMissing):
            await store.size(KEY)
        await store.delete([KEY])
        await store.delete([])

    async def test_that_is_not_there_is_missing(self, store: Store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(b"x"))
        for key in ("chat/images/ab/other.webp", "chat/images", "nowhere/at/all", f"{KEY}/below"):
            with pytest.raises(ObjectMissing):
                await store.size(key)
            with pytest.raises(ObjectMissing):
                await whole(store, key)
            with pytest.raises(ObjectMissing):
                await whole(store, key, 5, 5)
            with pytest.raises(ObjectMissing):
                await whole(store, key, 5, 9)

    async def test_needs_a_file_to_be_made_of(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(OSError):
            await store.put(KEY, tmp_path / "missing")
        assert await keys(store) == set()


class TestAList:
    async def test_has_sizes_and_times(self, store: Store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(b"12345"))
        (stored,) = [stored async for stored in store.list()]
        assert (stored.key, stored.size) == (KEY, 5)
        assert abs(datetime.now(UTC) - stored.modified_at) < timedelta(minutes=1)

    async def test_begins_with_any_prefix(self, store: Store, make_file: MakeFile) -> None:
        names = {"chat/images/ab/1", "chat/images/ac/2", "chat/documents/ab/3", "user-profiles/ab/4-192.webp"}
        for name in names:
            await store.put(name, make_file(b"x"))
        assert await keys(store) == names
        assert await keys(store, "chat/images/a") == {"chat/images/ab/1", "chat/images/ac/2"}
        assert await keys(store, "chat/images/ab/1") == {"chat/images/ab/1"}
        assert await keys(store, "chat/") == names - {"user-profiles/ab/4-192.webp"}
        assert await keys(store, "chat/images/ab/") == {"chat/images/ab/1"}
        assert await keys(store, "nothing/") == set()

    @pytest.mark.slow
    async def test_is_as_long_as_it_is(self, store: Store, make_file: MakeFile) -> None:
        names = {f"chat/documents/{number % 16:02x}/{number:032x}" for number in range(1100)}
        for name in names:
            await store.put(name, make_file(b""))
        assert await keys(store) == names
        await store.delete(names)
        assert await keys(store) == set()


class TestAKey:
    @pytest.mark.parametrize("key", NO_KEYS, ids=repr)
    async def test_that_leads_elsewhere_is_refused(self, store: Store, make_file: MakeFile, key: str) -> None:
        source = make_file(b"x")
        with pytest.raises(ValueError):
            await store.put(key, source)
        with pytest.raises(ValueError):
            await store.size(key)
        with pytest.raises(ValueError):
            await whole(store, key)
        with pytest.raises(ValueError):
            await store.delete([KEY, key])
        with pytest.raises(ValueError):
            await store.link(key, 60, content_type="a/b", disposition="inline") or store.path(key)
        assert source.read_bytes() == b"x"

    @pytest.mark.parametrize("prefix", ["../", "/", "chat/../", "..", "chat//", "A", "chat/.\0"], ids=repr)
    async def test_begins_with_nothing_that_leads_elsewhere(self, store: Store, prefix: str) -> None:
        with pytest.raises(ValueError):
            await keys(store, prefix)
