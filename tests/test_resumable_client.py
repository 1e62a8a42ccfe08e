"""tus-js-client, as it comes, against the service: cut off in the middle, and with the service killed."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from src.controllers import bodies
from src.db.models import File

from .cast import PATIENCE, Cast, Person, Service, draft
from .conftest import Node, StartService
from .resumable import (
    MIB,
    Tus,
    only_files,
)
from .test_command import Operator
from .test_file_life import cast_of, count, operator

__all__ = ["cast_of", "operator"]


@pytest.mark.one_database
class TestTheStockClient:
    @pytest.mark.parametrize("trouble", ["cut", "freeze"])
    async def test_goes_on_where_the_connection_was_lost(
        self,
        start_service: StartService,
        cast_of: Any,
        node: Node,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        trouble: str,
    ) -> None:
        monkeypatch.setattr(bodies, "SILENCE_SECONDS", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        service = await start_service(public_url=public_url)
        anna, room = await cast_of(service)
        path, data = tmp_path / "film.bin", os.urandom(6 * MIB + 123)
        path.write_bytes(data)
        (told,) = await node("tus.mjs", trouble, public_url, anna.token, str(path), room, service.url)
        assert (told["cuts"], told["offsets"][0]) == (1, 0)
        assert 0 < told["offsets"][-1] < len(data)
        assert await count(service, File) == 1
        file = (await anna.get(f"/uploads/{told['upload'].rpartition('/')[2]}"))["file"]
        assert (file["name"], file["size"], told["fileId"]) == ("film 강릉.bin", len(data), file["id"])
        await anna.post(f"/rooms/{room}/messages", draft(file_ids=[file["id"]]), expect=201)
        boris = await Cast(service).sign_in("boris@example.com")
        (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        assert (await boris.fetch(urlsplit(seen["url"])._replace(scheme="", netloc="").geturl())).body == data
        await only_files(service)

    @pytest.mark.slow
    async def test_goes_on_after_the_service_was_killed(self, operator: Operator, node: Node, tmp_path: Path) -> None:
        path, data = tmp_path / "film.bin", os.urandom(22 * MIB)
        path.write_bytes(data)
        parts = tmp_path / "uploads" / "chat" / "parts"
        async with operator.serving("--migrate") as process, visitor(operator) as (anna, _, room):
            tus = Tus(anna, room)
            upload = await tus.begin(len(data), "film.bin")
            writer = await tus.hold(upload, 0, data[: 20 * MIB], len(data))
            async with asyncio.timeout(PATIENCE):
                while await tus.offset(upload) < 16 * MIB or not list(tmp_path.glob("uploads/incoming/*.part")):
                    await asyncio.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            writer.close()
        assert len([each for each in parts.rglob("*") if each.is_file()]) == 2
        async with operator.serving(), visitor(operator) as (anna, boris, room):
            tus = Tus(anna, room)
            assert await tus.offset(upload) == 16 * MIB
            (told,) = await node(
                "tus.mjs", "resume", operator.url, anna.token, str(path), f"{operator.url}/api/v1{upload}"
            )
            assert told["offsets"] == [16 * MIB]
            await anna.post(f"/rooms/{room}/messages", draft(file_ids=[told["fileId"]]), expect=201)
            (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
            assert (await boris.fetch(seen["url"])).body == data
            async with asyncio.timeout(2 * PATIENCE):
                while any(each.is_file() for each in parts.rglob("*")):
                    await asyncio.sleep(0.05)
        assert (await operator.run("files", "check")).status == 0


@contextlib.asynccontextmanager
async def visitor(operator: Operator) -> AsyncIterator[tuple[Person, Person, str]]:
    """Anna, Boris and their room, in the service of an operator; made when there are none."""
    async with aiohttp.ClientSession(operator.url, cookie_jar=aiohttp.DummyCookieJar()) as http:
        cast = Cast(Service(operator.url, None, None, http))  # type: ignore[arg-type]
        people = []
        for name in ("Anna", "Boris"):
            with contextlib.suppress(AssertionError):
                await cast.join(name)
            people.append(await cast.sign_in(f"{name.lower()}@example.com"))
        yield people[0], people[1], await cast.direct_room(*people)
