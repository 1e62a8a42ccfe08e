"""A process is killed while people are connected to it: nobody stays online."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
from sqlalchemy import update

from src.config import Settings
from src.db.database import Database
from src.db.models import Node
from src.db.repositories.presence import ALIVE_FOR

from .cast import PATIENCE, Cast, Service
from .conftest import StartService
from .servers import free_port

ROOT = Path(__file__).parents[1]


@contextlib.asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[tuple[Service, asyncio.subprocess.Process]]:
    """The service in a process of its own. Killed at the end, if it still runs."""
    port = free_port()
    environment = {
        "CHATTY_DATABASE_URL": settings.database_url,
        "CHATTY_DATA_DIR": str(settings.data_dir),
        "CHATTY_PORT": str(port),
        "CHATTY_RATE_LIMITS": "off",
        "CHATTY_BCRYPT_ROUNDS": "4",
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "src", "serve", cwd=ROOT, env=os.environ | environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar()) as http:
        try:
            await answering(http, running)
            yield Service(url, settings, None, http), running  # type: ignore[arg-type]
        finally:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()


async def answering(http: aiohttp.ClientSession, running: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while running.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get("/readyz") as response:
                    if response.ok:
                        return
            await asyncio.sleep(0.05)
    raise RuntimeError("the process has ended")


async def time_passes(settings: Settings) -> None:
    """Make every node's last heartbeat older, as if this much time had passed since."""
    database = Database(settings.database_url, lambda events: None)
    async with database.transaction() as tx:
        for node in (await tx._connection.execute(Node.__table__.select())).all():
            moved = node.seen_at - ALIVE_FOR - timedelta(seconds=1)
            await tx._connection.execute(update(Node).where(Node.id == node.id).values(seen_at=moved))
    await database.close()


async def left_on_nodes(database: Database, user_id: UUID) -> bool:
    async with database.snapshot() as reads:
        return bool(await reads.presence.heartbeats([user_id]))


async def test_who_was_connected_to_a_killed_process_goes_offline(
    settings: Settings, database: str, start_service: StartService
) -> None:
    async with process(settings) as (service, running):
        cast = Cast(service)
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await cast.befriend(anna, boris)
        ear = await boris.connect()
        await anna.connect()
        assert (await ear.heard("presence_changed"))["online"] is True
        running.kill()
        await running.wait()
        await cast.leave()
    if database == "postgres":  # there a start does not sweep at once: the other node might be alive
        await time_passes(settings)
    survivor = await start_service()
    cast = Cast(survivor)
    boris = await cast.sign_in(boris.email)
    async with asyncio.timeout(PATIENCE):
        while (friend := (await boris.get("/friends"))["items"][0])["online"] or not friend["last_seen_at"]:
            await asyncio.sleep(0.02)
    assert friend["id"] == anna.id
    async with asyncio.timeout(PATIENCE):
        while await left_on_nodes(survivor.parts.database, UUID(anna.id)):
            await asyncio.sleep(0.02)
