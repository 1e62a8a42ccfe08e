"""`/healthz` and `/readyz`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from src.config import Settings
from src.controllers.health import Check, mount_health
from src.controllers.http import install

Client = TestClient[web.Request, web.Application]


async def fine() -> None:
    return None


async def broken() -> None:
    raise OSError("postgresql://chatty:hunter2@db.internal/chatty refused")


async def stuck() -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def checks() -> dict[str, Check]:
    return {"database": fine, "migrations": fine}


@pytest.fixture
async def client(checks: dict[str, Check], tmp_path: Path) -> AsyncIterator[Client]:
    app = web.Application()
    install(app, Settings(_env_file=None, data_dir=tmp_path))
    mount_health(app, checks)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_process_that_runs_is_alive_whatever_else_is_broken(client: Client, checks: dict[str, Check]) -> None:
    checks["database"] = broken
    response = await client.get("/healthz")
    assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_it_is_ready_when_all_that_it_needs_answers(client: Client) -> None:
    response = await client.get("/readyz")
    assert response.status == 200
    assert await response.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok"}}


async def test_what_is_missing_is_named_and_no_secret_with_it(client: Client, checks: dict[str, Check]) -> None:
    checks["database"] = broken
    response = await client.get("/readyz")
    problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["code"]) == (503, "unavailable")
    assert [error["field"] for error in problem["errors"]] == ["database"]
    assert "database" in problem["detail"]
    assert "hunter2" not in await response.text()
    assert int(response.headers["Retry-After"]) > 0


async def test_a_check_that_hangs_counts_as_missing(
    client: Client, checks: dict[str, Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.controllers.health.CHECK_SECONDS", 0.05)
    checks["redis"] = stuck
    response = await client.get("/readyz")
    assert [error["field"] for error in (await response.json(content_type=None))["errors"]] == ["redis"]


async def test_it_is_ready_again_once_the_parts_are(
    client: Client, checks: dict[str, Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.controllers.health.KEEP_SECONDS", 0)
    checks["database"] = broken
    assert (await client.get("/readyz")).status == 503
    checks["database"] = fine
    assert (await client.get("/readyz")).status == 200


async def test_many_who_ask_cost_one_round_of_checks(
    client: Client, checks: dict[str, Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.controllers.health.KEEP_SECONDS", 3600)
    asked, answer = 0, asyncio.Event()

    async def counted() -> None:
        nonlocal asked
        asked += 1
        await answer.wait()

    checks["database"] = counted
    impatient = asyncio.create_task(client.get("/readyz"))
    many = [asyncio.create_task(client.get("/readyz")) for _ in range(20)]
    while not asked:
        await asyncio.sleep(0.01)
    impatient.cancel()
    await asyncio.sleep(0.05)
    answer.set()
    assert [response.status for response in await asyncio.gather(*many)] == [200] * 20
    assert (await client.get("/readyz")).status == 200
    assert asked == 1


async def test_nobody_but_get_may_ask(client: Client) -> None:
    assert (await client.post("/healthz")).status == 405
