"""Addresses in answers and acknowledgements: absolute, and those of files signed for whoever asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from src.clock import now
from src.config import Settings
from src.controllers.api import PUBLIC, Answer, get
from src.controllers.http import install
from src.controllers.links import Links
from src.controllers.serving import mount
from src.controllers.socket_edge import Caller, SocketEdge, on
from src.realtime.connections import Connection
from src.realtime.frames import Frame
from src.schemas.common import Items, Request
from src.schemas.files import File
from src.schemas.links import Link
from src.schemas.messages import Changed, Sent
from src.schemas.people import User
from src.services.file_signatures import FileSignatures
from src.viewer import Viewer

from ..files import file_view, line_with, signed_for

HOME = "https://chat.example"
SIGNATURES = FileSignatures("secret", 900)
LINKS = Links(HOME, SIGNATURES)
ANNA, BORIS = UUID(int=1), UUID(int=2)
FILE = file_view()
PICTURED = User(id=ANNA, nickname="Anna", intro="", avatar_url=Link("/avatars/a"))


class Gallery:
    tag = "gallery"
    name = "/gallery"

    @get("/pictures")
    async def pictures(self, viewer: Viewer) -> Items[File]:
        """What hangs here."""
        return Items(items=[FILE])

    @get("/poster", access=PUBLIC)
    async def poster(self) -> Answer[File]:
        """What hangs outside."""
        return Answer(FILE, status=203)

    @get("/guide", access=PUBLIC)
    async def guide(self) -> User:
        """Who shows one around."""
        return PICTURED

    async def greet(self, caller: Caller) -> None:
        caller.send("ready", FILE)

    def left(self, caller: Caller) -> None:
        pass

    @on("hang")
    async def hang(self, caller: Caller, payload: Request) -> Changed:
        """At once."""
        return Changed(message=line_with(FILE, sender=PICTURED))

    @on("hang_later")
    async def hang_later(self, caller: Caller, payload: Request) -> asyncio.Future[Sent]:
        """In a while."""
        done = asyncio.get_running_loop().create_future()
        done.set_result(Sent(message=line_with(FILE, sender=PICTURED), replayed=False))
        return done


class Unlimited:
    async def hit(self, policy: str, *keys: str) -> None:
        pass


async def authenticate(token: str) -> Viewer:
    return Viewer(ANNA if token == "anna" else BORIS, UUID(int=3), now())


@pytest.fixture
async def http(tmp_path: Any) -> AsyncIterator[aiohttp.ClientSession]:
    app, settings = web.Application(), Settings(_env_file=None, data_dir=tmp_path)
    install(app, settings)
    mount(app, [Gallery()], authenticate=authenticate, throttle=Unlimited(), settings=settings, links=LINKS)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()


def whose(file: Any) -> set[UUID]:
    return {signed_for(file[name], HOME, SIGNATURES) for name in ("url", "thumbnail_url")}


@pytest.mark.parametrize(("token", "person"), [("anna", ANNA), ("boris", BORIS)])
async def test_an_answer_is_for_who_asked(http: aiohttp.ClientSession, token: str, person: UUID) -> None:
    async with http.get("/api/v1/pictures", headers={"Authorization": f"Bearer {token}"}) as response:
        assert whose((await response.json())["items"][0]) == {person}


async def test_who_is_unknown_gets_addresses_without_a_right(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/poster") as response:
        assert (await response.json())["url"] == f"{HOME}/api/v1/files/{FILE.id}"
    async with http.get("/api/v1/guide") as response:
        assert (await response.json())["avatar_url"] == f"{HOME}/api/v1/avatars/a"


def connection(person: UUID, frames: list[Frame]) -> Connection:
    viewer, transport = Viewer(person, UUID(int=3), now()), SimpleNamespace(push=frames.append)
    return cast(Connection, SimpleNamespace(viewer=viewer, id="c", address="203.0.113.7", transport=transport))


@pytest.mark.parametrize("person", [ANNA, BORIS])
async def test_an_acknowledgement_and_a_greeting_are_for_the_caller(person: UUID) -> None:
    door, frames = SocketEdge([Gallery()], authenticate, Unlimited(), LINKS), list[Frame]()
    for event in ("hang", "hang_later"):
        answer = await door.answer(connection(person, frames), "/gallery", event, [])
        told: list[bytes] = [answer] if isinstance(answer, bytes) else []
        if not isinstance(answer, bytes):
            answer.then(told.append)
            await asyncio.sleep(0)
        message = json.loads(told[0])["message"]
        assert whose(message["files"][0]) == {person}
        assert message["sender"]["avatar_url"] == f"{HOME}/api/v1/avatars/a"
    await door.greet(connection(person, frames), "/gallery")
    assert whose(json.loads(frames[0].encode().partition(",")[2])[1]) == {person}


def test_a_link_is_a_path_of_a_kind_of_its_own_and_an_address_to_clients() -> None:
    assert Link("/files/x").personal and not Link("/avatars/x").personal
    assert FILE.url.file_id == FILE.thumbnail_url.file_id == FILE.id  # type: ignore[union-attr]
    for wrong in ("/avatars/a", b"/avatars/a", 1):
        with pytest.raises(ValueError, match="instance of Link"):
            User(id=ANNA, nickname="Anna", intro="", avatar_url=wrong)  # type: ignore[arg-type]
    assert User.model_json_schema(mode="serialization")["properties"]["avatar_url"]["anyOf"] == [
        {"type": "string", "format": "uri"}, {"type": "null"},
    ]  # fmt: skip
    plain = PICTURED.model_dump(mode="json")["avatar_url"]
    assert (plain, type(plain)) == ("/avatars/a", str)
    assert PICTURED.model_copy(deep=True) == PICTURED
