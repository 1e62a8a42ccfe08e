"""Both kinds of stores, and a place where parts wait."""

import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from src.storage.staging import Staging
from src.storage.storages import store_for
from src.storage.store import Store

MakeFile = Callable[[bytes], Path]


@pytest.fixture(params=["disk", "s3"])
def storage(request: pytest.FixtureRequest) -> str:
    """A directory, then a bucket."""
    return str(request.param)


@pytest.fixture
async def store(storage_url: str) -> AsyncIterator[Store]:
    made = store_for(storage_url)
    yield made
    await made.close()


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """`make_file(content)`: a file outside the storage."""

    def make(content: bytes) -> Path:
        path = tmp_path / f"source-{len(list(tmp_path.glob('source-*')))}"
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    return Staging(tmp_path / "uploads" / "incoming", reserve_bytes=0)


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """`umask(mask)` sets the umask until the test ends."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that show where they were moved or lost."""
    return random.Random(seed).randbytes(size)
