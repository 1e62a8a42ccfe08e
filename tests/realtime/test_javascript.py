"""The stock JavaScript client, as it comes: `io(url, {auth})`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from src.realtime.connections import Connection

from .stage import PATIENCE, Stage, person

Node = Callable[..., Awaitable[list[Any]]]


async def connected(stage: Stage, namespace: str = "/chat") -> Connection:
    """Anna's connection, once it has opened a namespace and been greeted there."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            for connection in stage.connections.of_user(person("anna")):
                if namespace in connection.namespaces and not connection.greeting(namespace):
                    return connection
            await asyncio.sleep(0.01)


async def test_it_connects_by_polling_and_upgrades(stage: Stage, node: Node) -> None:
    (result,) = await node("realtime.mjs", stage.url, "upgrade")
    assert result == {
        "names": ["polling", "websocket"],
        "greeted": True,
        "echo": {"ok": True, "text": "안녕 👋"},
    }
    await stage.until_empty()
    assert stage.chat.gone == stage.chat.here


async def test_a_refusal_carries_code_and_detail(stage: Stage, node: Node) -> None:
    (results,) = await node("realtime.mjs", stage.url, "refused")
    assert {token: result["data"]["code"] for token, result in results.items()} == {
        "late": "token_expired",
        "nobody": "unauthorized",
        "none": "unauthorized",
    }
    assert all(result["message"] == result["data"]["detail"] for result in results.values())


async def test_two_namespaces_share_one_transport_and_one_may_leave_and_return(stage: Stage, node: Node) -> None:
    script = asyncio.create_task(node("realtime.mjs", stage.url, "namespaces"))
    connection = await connected(stage, "/notifications")
    assert stage.open_transports == 1
    stage.broadcast("news", "for both", "/notifications")
    first, second = await script
    assert first == {"shared": True, "news": "for both"}
    assert second == {"echo": {"ok": True, "text": "the other one stays"}, "again": True}
    assert connection.malformed == 0


async def test_it_may_stay_with_polling_and_misses_nothing(stage: Stage, node: Node) -> None:
    script = asyncio.create_task(node("realtime.mjs", stage.url, "polling"))
    await connected(stage)
    stage.broadcast("news", "by polling")
    (result,) = await script
    assert result == {
        "transport": "polling",
        "texts": [str(number) for number in range(100)],
        "long": True,
        "news": "by polling",
    }
    assert stage.chat.log[:100] == [str(number) for number in range(100)]


async def test_binary_is_refused_in_words_and_costs_nothing(stage: Stage, node: Node) -> None:
    (result,) = await node("realtime.mjs", stage.url, "binary")
    assert result["refused"]["error"]["code"] == "unsupported_type"
    assert result["echo"] == {"ok": True, "text": "fine"}


async def test_whoever_is_kicked_does_not_come_back_by_itself(stage: Stage, node: Node) -> None:
    script = asyncio.create_task(node("realtime.mjs", stage.url, "kicked"))
    (await connected(stage)).kick()
    assert await script == [{"reason": "io server disconnect", "active": False}]  # also in the midst of the upgrade
    assert stage.sessions.asked == 1


async def test_a_shutdown_makes_it_look_for_the_service_again(stage: Stage, node: Node) -> None:
    script = asyncio.create_task(node("realtime.mjs", stage.url, "shutdown"))
    connection = await connected(stage)
    while not connection.transport.upgraded:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await stage.server.drain()
    assert await script == [{"reason": "transport close", "active": True}]
