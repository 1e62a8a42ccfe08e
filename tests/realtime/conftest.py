"""The stage on which the socket server is tried by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from .stage import Stage

StartStage = Callable[..., Awaitable[Stage]]


@pytest.fixture
async def start_stage() -> AsyncIterator[StartStage]:
    """`await start_stage(limits=…, networks=…)`: a running server. A task that outlives it fails the test."""
    before = asyncio.all_tasks()
    stages: list[Stage] = []

    async def start(**options: Any) -> Stage:
        stages.append(await Stage(**options).__aenter__())
        return stages[-1]

    yield start
    for stage in stages:
        await stage.__aexit__()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=1)
    assert not left, f"The server has ended, and these tasks still run: {left}"


@pytest.fixture
async def stage(start_stage: StartStage) -> Stage:
    return await start_stage()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The socket server runs on uvloop; what these tests say of its transports must be said of those."""
    return {"uvloop": uvloop.new_event_loop}
