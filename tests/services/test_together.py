"""What is asked at about the same time is done together, and what is wrong with one holds up no other."""

import asyncio
from collections.abc import Sequence

import pytest

from src.errors import Unavailable
from src.services.together import Together


class Kitchen:
    """Doubles numbers; `spoiled` fail, and whatever is done together with them."""

    def __init__(self, *spoiled: int, error: type[Exception] = ValueError) -> None:
        self.done: list[list[int]] = []
        self._spoiled = {*spoiled}
        self._error = error

    async def double(self, some: Sequence[int]) -> list[int]:
        self.done.append([*some])
        await asyncio.sleep(0.01)
        if self._spoiled & {*some}:
            raise self._error("spoiled")
        return [2 * each for each in some]


async def test_some_are_done_at_once_and_the_others_after_them() -> None:
    kitchen = Kitchen()
    together = Together(kitchen.double, most=3)
    assert await asyncio.gather(*map(together.ask, range(7))) == [0, 2, 4, 6, 8, 10, 12]
    assert kitchen.done == [[0, 1, 2], [3, 4, 5], [6]]


async def test_one_waits_for_company_and_a_full_table_does_not() -> None:
    kitchen = Kitchen()
    together = Together(kitchen.double, most=3, pause_seconds=0.05)
    first = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0.01)
    await asyncio.gather(first, together.ask(2))
    assert kitchen.done == [[1, 2]]


async def test_what_fails_together_is_done_one_by_one() -> None:
    kitchen = Kitchen(2)
    together = Together(kitchen.double, most=3)
    answers = await asyncio.gather(*map(together.ask, (1, 2, 3)), return_exceptions=True)
    assert [answers[0], answers[2]] == [2, 6]
    assert isinstance(answers[1], ValueError)
    assert kitchen.done == [[1, 2, 3], [1], [2], [3]]


async def test_nobody_asks_a_database_again_that_is_away() -> None:
    kitchen = Kitchen(2, error=Unavailable)
    together = Together(kitchen.double, most=3)
    answers = await asyncio.gather(*map(together.ask, (1, 2, 3)), return_exceptions=True)
    assert [type(each) for each in answers] == [Unavailable] * 3
    assert len(kitchen.done) == 1


async def test_who_has_gone_is_left_out() -> None:
    kitchen = Kitchen()
    together = Together(kitchen.double, most=1)
    first, gone, last = (asyncio.create_task(together.ask(each)) for each in (1, 2, 3))
    await asyncio.sleep(0.005)
    gone.cancel()
    assert [await first, await last] == [2, 6]
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert kitchen.done == [[1], [3]]


async def test_who_waits_is_cancelled_with_the_work() -> None:
    async def never(some: Sequence[int]) -> list[int]:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Together(never, most=3).ask(1)
