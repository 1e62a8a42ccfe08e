"""Uploads step back for messages, and get on all the same."""

import asyncio

from src.controllers.courtesy import LONGEST_SECONDS, Courtesy


async def test_nobody_waits_for_nothing() -> None:
    await asyncio.wait_for(Courtesy(lambda: False).turn(), 1)


async def test_a_piece_waits_while_a_message_is_on_its_way() -> None:
    busy = True
    turn = asyncio.create_task(Courtesy(lambda: busy).turn())
    await asyncio.sleep(LONGEST_SECONDS / 4)
    assert not turn.done()
    busy = False
    await asyncio.wait_for(turn, 1)


async def test_an_upload_gets_on_however_much_is_said() -> None:
    await asyncio.wait_for(Courtesy(lambda: True).turn(), 1)


async def test_between_two_pieces_everybody_else_is_served() -> None:
    courtesy, order = Courtesy(lambda: False), []

    async def piece(name: str) -> None:
        await courtesy.turn()
        order.append(name)

    async def others() -> None:
        for _ in range(20):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(*(piece(name) for name in "abc"), others())
    assert [name for name in order if name != "other"] == ["a", "b", "c"]
    assert "other" in order[order.index("a") : order.index("b")]
    assert "other" in order[order.index("b") : order.index("c")]


async def test_who_gives_up_in_line_holds_nobody_up() -> None:
    busy = True
    courtesy = Courtesy(lambda: busy)
    first, second = asyncio.create_task(courtesy.turn()), asyncio.create_task(courtesy.turn())
    await asyncio.sleep(0.001)
    first.cancel()
    busy = False
    await asyncio.wait_for(second, 1)
