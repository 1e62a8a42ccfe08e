"""A tiny service of its own for the tests of the REST layer: two controllers and no database."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from src.config import Settings
from src.controllers.api import PUBLIC, Answer, Cookie, delete, get, post
from src.controllers.http import install
from src.controllers.links import Links
from src.controllers.serving import mount
from src.errors import Conflict, NotFound, RateLimited, TokenExpired, Unauthorized
from src.schemas.common import Id, Request, Text, View
from src.services.file_signatures import FileSignatures
from src.viewer import ClientInfo, Viewer

ANNA = UUID("019aa5b0-7d3e-7000-8000-00000000000a")
SESSION = UUID("019aa5b0-7d3e-7000-8000-00000000000b")
SECRET_WORDS = "the words that no log may hold"
ORIGIN = "https://app.example.com"
LINKS = Links("https://chat.example", FileSignatures("secret", 900))


class Order(Request):
    what: Annotated[Text, Field(max_length=20)]
    count: Annotated[int, Field(ge=1, le=100)] = 1
    for_whom: Id | None = None


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    near: UUID | None = None
    open: bool = False


class Receipt(View):
    what: str
    count: int


class Visit(View):
    address: str
    language: str
    user_agent: str


class BadReceipt(View):
    count: int


class Shop:
    """Sells things to people who are signed in."""

    tag = "shop"

    def __init__(self) -> None:
        self.orders: list[Order] = []

    @post("/orders", status=201, also={200: "It was ordered before."}, limit="orders", errors=(Conflict,))
    async def order(self, viewer: Viewer, body: Order) -> Answer[Receipt]:
        """Order something.

        What is ordered twice is delivered once.
        """
        self.orders.append(body)
        return Answer(Receipt(what=body.what, count=body.count), status=200 if body.count == 2 else None)

    @get("/shelves")
    async def shelves(self, viewer: Viewer, query: Shelf) -> Receipt:
        """What is there."""
        return Receipt(what=f"{query.near} {query.open}", count=query.limit)

    @get("/orders/{order_id}", errors=(NotFound,))
    async def show(self, viewer: Viewer, order_id: UUID) -> Receipt:
        """An order of mine."""
        raise NotFound

    @delete("/orders/{order_id}")
    async def cancel(self, viewer: Viewer, order_id: UUID, body: Order | None) -> None:
        """Cancel an order, saying why or not."""
        if body:
            self.orders.append(body)


class Street:
    """What anybody may ask for."""

    tag = "street"

    @get("/visits", access=PUBLIC, limit="visits")
    async def visit(self, client: ClientInfo) -> Visit:
        """Who I am to the shop."""
        return Visit(address=client.address, language=client.language, user_agent=client.user_agent)

    @get("/names/{name}", access=PUBLIC)
    async def name(self, name: str) -> Receipt:
        """A name, said back."""
        return Receipt(what=name, count=len(name))

    @post("/doors", access=PUBLIC)
    async def knock(self, body: Order) -> Answer[None]:
        """Get a cookie."""
        return Answer(None, cookies=[Cookie("crumb", "x", path="/api/v1/doors", max_age=60, secure=True)])

    @get("/accidents/{kind}", access=PUBLIC)
    async def accident(self, kind: str) -> Receipt:
        """Something goes wrong."""
        if kind == "own-view":
            BadReceipt.model_validate({"count": SECRET_WORDS})
        if kind == "timeout":
            raise TimeoutError
        if kind == "cancelled":
            raise asyncio.CancelledError
        raise RuntimeError(f"cannot read '{SECRET_WORDS}' of anna@example.com at 203.0.113.9")

    @get("/streams", access=PUBLIC)
    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Begins to answer, and cannot go on."""
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half of it")
        raise RuntimeError("the disk is gone")


class Counter:
    """A throttle that lets through a given number of each policy, and remembers who asked."""

    def __init__(self) -> None:
        self.allowed: dict[str, int] = {}
        self.asked: list[tuple[str, ...]] = []

    async def hit(self, policy: str, *keys: str) -> None:
        self.asked.append((policy, *keys))
        self.allowed[policy] = self.allowed.get(policy, 1000) - 1
        if self.allowed[policy] < 0:
            raise RateLimited(retry_after_ms=2500, limit=20)


async def authenticate(token: str) -> Viewer:
    if token == "old":
        raise TokenExpired
    if token != "anna":
        raise Unauthorized
    return Viewer(ANNA, SESSION, datetime(2030, 1, 1, tzinfo=UTC))


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


class CornerShop:
    """The running shop. `ask` is a request as Anna; `raw` sends bytes and hands back what came until the end."""

    def __init__(self, port: int, shop: Shop, throttle: Counter, http: aiohttp.ClientSession) -> None:
        self.port, self.shop, self.throttle, self.http = port, shop, throttle, http

    async def ask(self, method: str, path: str, **how: Any) -> Reply:
        headers = {"Authorization": "Bearer anna", **how.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.http.request(method, url, headers=headers, allow_redirects=False, **how) as response:
            body = await response.read()
            json = await response.json(content_type=None) if body and response.content_type.endswith("json") else None
            return Reply(response.status, response.headers, body, json)

    async def raw(self, *data: bytes, until: bytes | None = None) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in data:
            writer.write(part)
            await asyncio.sleep(0.05 if part != data[-1] else 0)
        async with asyncio.timeout(5):
            received = await (reader.readuntil(until) if until else reader.read())
        writer.close()
        return received


@asynccontextmanager
async def running(tmp_path: Any, **changes: Any) -> AsyncIterator[CornerShop]:
    """Run the shop on a port of its own. `changes`: settings."""
    fields = {"data_dir": tmp_path, "allowed_origins": [ORIGIN], **changes}
    settings = Settings(_env_file=None, **fields)
    app, shop, throttle = web.Application(), Shop(), Counter()
    install(app, settings)
    mount(app, [shop, Street()], authenticate=authenticate, throttle=throttle, settings=settings, links=LINKS)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield CornerShop(listener.getsockname()[1], shop, throttle, http)
    await runner.cleanup()
