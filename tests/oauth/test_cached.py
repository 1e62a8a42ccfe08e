"""What others publish: fetched once for all who wait, and not more often than strangers may make us."""

import asyncio

import pytest

from src.oauth import cached
from src.oauth.cached import Cached


class Source:
    """Counts. While `shut`, fetches wait."""

    def __init__(self) -> None:
        self.count = 0
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def fetch(self) -> int:
        self.count += 1
        number = self.count
        await self.open.wait()
        if self.error:
            raise self.error
        return number


async def test_one_fetch_serves_all_who_wait_and_all_who_come_later() -> None:
    source = Source()
    value = Cached(source.fetch)
    assert await asyncio.gather(*(value.get() for _ in range(20))) == [1] * 20
    assert await value.get() == 1


async def test_an_old_value_is_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    value = Cached(source.fetch)
    await value.get()
    monkeypatch.setattr(cached, "LIFETIME", 0)
    assert await value.get() == 2


async def test_whoever_began_may_go_away() -> None:
    source = Source()
    source.open.clear()
    value = Cached(source.fetch)
    first, second = asyncio.create_task(value.get()), asyncio.create_task(value.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    source.open.set()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    source = Source()
    source.error = OSError("gone")
    value = Cached(source.fetch)
    results = await asyncio.gather(*(value.get() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    assert source.count == 1
    source.error = None
    assert await value.get() == 2


async def test_a_renewal_happens_once_within_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    value = Cached(source.fetch)
    await value.get()
    assert await asyncio.gather(*(value.renewed() for _ in range(20))) == [2] * 20
    assert await value.renewed() == 2
    monkeypatch.setattr(cached, "PAUSE", 0)
    assert await value.renewed() == 3


async def test_a_renewal_that_fails_takes_nothing_away_and_is_not_repeated_at_once() -> None:
    source = Source()
    value = Cached(source.fetch)
    await value.get()
    source.error = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await value.renewed()
    assert await value.get() == 1
    assert await value.renewed() == 1
    assert source.count == 2
