"""Work is bounded without a timer, and a cancellation from outside is told from one of ours."""

import asyncio

import pytest

from src.errors import Unavailable
from src.realtime.deadlines import Deadlines


async def sweep_soon(deadlines: Deadlines) -> None:
    await asyncio.sleep(0.01)
    deadlines.sweep(asyncio.get_running_loop().time() + 1)


async def test_what_is_done_in_time_is_left_alone() -> None:
    deadlines = Deadlines(60)
    sweep = asyncio.create_task(sweep_soon(deadlines))
    assert await deadlines.bound(asyncio.sleep(0.03, "done")) == "done"
    await sweep


async def test_what_takes_too_long_is_cancelled_and_the_task_goes_on() -> None:
    deadlines = Deadlines(0.5)
    for _ in range(2):
        sweep = asyncio.create_task(sweep_soon(deadlines))
        with pytest.raises(Unavailable):
            await deadlines.bound(asyncio.sleep(60))
        await sweep
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
    await asyncio.sleep(0)
    deadlines.sweep(asyncio.get_running_loop().time() + 1000)
    await asyncio.sleep(0)


async def test_a_result_that_comes_in_spite_of_the_cancellation_counts() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "committed"
        return "late"

    deadlines = Deadlines(0.5)
    sweep = asyncio.create_task(sweep_soon(deadlines))
    assert await deadlines.bound(stubborn()) == "committed"
    await sweep
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


@pytest.mark.parametrize("overdue", [False, True])
async def test_a_cancellation_from_outside_passes(overdue: bool) -> None:
    deadlines = Deadlines(0.5)
    task = asyncio.create_task(deadlines.bound(asyncio.sleep(60)))
    await asyncio.sleep(0.01)
    if overdue:
        deadlines.sweep(asyncio.get_running_loop().time() + 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_within_is_an_unknown_outcome() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(Unavailable):
        await Deadlines(60).bound(cancelled())
