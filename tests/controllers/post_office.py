"""The corner shop's neighbour, for the tests of files: what is handed in is kept in a dict, and handed out again."""

import socket
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from src.config import Settings
from src.controllers.api import PUBLIC, get, post, put
from src.controllers.downloads import answer
from src.controllers.forms import Form
from src.controllers.http import install
from src.controllers.serving import mount
from src.controllers.uploads import array, fields, single
from src.errors import Forbidden, StorageFull
from src.schemas.common import View
from src.storage.download import Download
from src.storage.received import Receive, Received
from src.storage.staging import Part as StagedPart
from src.storage.staging import Staging
from src.storage.store import ObjectMissing, Stored
from src.viewer import Viewer

from .corner_shop import LINKS, ORIGIN, CornerShop, Counter, Shop, authenticate

KIB = 1024
MAX_BYTES = 64 * KIB
PIECE = 16 * KIB


class Parcel(View):
    field: str
    name: str
    content_type: str
    size: int


class Parcels(View):
    items: list[Parcel]


def no_programs(name: str, content_type: str) -> str | None:
    return "Programs are not taken." if name.endswith(".exe") or content_type == "application/x-msdownload" else None


class Counters:
    """Where things are handed in. `contents` is all that was ever accepted."""

    tag = "counters"

    def __init__(self) -> None:
        self.contents: list[tuple[str, bytes]] = []
        self.closed = False

    @post("/parcels", status=201, upload=array("files", 3, accept=no_programs))
    async def hand_in(self, viewer: Viewer, form: Form) -> Parcels:
        """Hand in up to three parcels."""
        return await self._take(form.receive)

    @put("/portrait", upload=single("profile", limit=16 * KIB))
    async def portrait(self, viewer: Viewer, form: Form) -> Parcels:
        """Hand in a portrait."""
        return await self._take(form.receive)

    @post("/books", status=201, upload=fields(cover=1, pages=2))
    async def book(self, viewer: Viewer, form: Form) -> Parcels:
        """Hand in a book."""
        return await self._take(form.receive)

    async def _take(self, receive: Receive) -> Parcels:
        if self.closed:
            raise Forbidden
        async with receive() as received:
            self.contents += [(one.name, one.path.read_bytes()) for one in received]
            return Parcels(items=[_parcel(one) for one in received])


def _parcel(one: Received) -> Parcel:
    assert one.path.stat().st_size == one.size
    return Parcel(field=one.field, name=one.name, content_type=one.content_type, size=one.size)


class Hatch:
    """Where things are handed out."""

    tag = "hatch"

    def __init__(self) -> None:
        self.store = DictStore()
        self.things: dict[str, Download] = {}
        self.redirect: int | None = None

    def put(self, data: bytes, **words: Any) -> str:
        """Put something there; its path."""
        plain = Download("key", len(data), "image/webp", "사진.webp", True, uuid4().hex, "private")
        name = uuid4().hex
        self.things[name] = replace(plain, **{"key": name, **words})
        self.store.objects[name] = data
        return f"/api/v1/things/{name}"

    @get("/things/{name}", access=PUBLIC, media="image/*")
    async def thing(self, request: web.Request, name: str) -> web.StreamResponse:
        """Get a thing."""
        return await answer(request, self.store, self.things[name], redirect=self.redirect)


class DictStore:
    """A store in memory. `read_from`: where each reading began. `open`: readings that have not ended."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.trouble: Exception | None = None
        self.spans: list[tuple[int, int | None]] = []
        self.open = 0
        self.address: str | None = None

    async def put(self, key: str, source: Path) -> None:
        raise NotImplementedError

    async def size(self, key: str) -> int:
        return len(self._object(key))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            data = self._object(key)[start:end]
            self.spans.append((start, end))
            for at in range(0, len(data), PIECE):
                yield data[at : at + PIECE]
        finally:
            self.open -= 1

    def _object(self, key: str) -> bytes:
        if self.trouble:
            raise self.trouble
        if key not in self.objects:
            raise ObjectMissing
        return self.objects[key]

    async def delete(self, keys: Collection[str]) -> None:
        raise NotImplementedError

    def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        raise NotImplementedError

    def path(self, key: str) -> Path | None:
        return None

    async def link(self, key: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        if self.trouble:
            raise self.trouble
        return self.address and f"{self.address}/{key}?{seconds}&{content_type}&{disposition}"

    async def close(self) -> None: ...


class WatchedStaging(Staging):
    """Where parcels wait. `begun`: how many parts there ever were. `room`: of the disk. `asked`: for how much of it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, reserve_bytes=0)
        self.begun, self.room = 0, float("inf")
        self.asked: list[int] = []

    def part(self) -> AbstractAsyncContextManager[StagedPart]:
        self.begun += 1
        return super().part()

    def refuse_if_full(self, coming: int) -> None:
        self.asked.append(coming)
        if coming > self.room:
            raise StorageFull
        super().refuse_if_full(coming)

    def left(self) -> list[Path]:
        """What waits now."""
        return sorted(self.directory.glob("*"))


class PostOffice(CornerShop):
    """The running post office; see CornerShop for how it is asked."""

    counters: Counters
    hatch: Hatch
    staging: WatchedStaging

    @property
    def accepted(self) -> list[tuple[str, bytes]]:
        return self.counters.contents


BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
Part = tuple[str, bytes]


def part(field: str = "files", name: str = "a.txt", data: bytes = b"hello", kind: str = "text/plain") -> Part:
    """A file in a form, as browsers send it."""
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}\r\n'
    return head, data


def body(*parts: Part, boundary: str = BOUNDARY) -> bytes:
    """A form of these parts, each of them its header lines and its content."""
    whole = b"".join(
        f"--{boundary}\r\n{head}\r\n".encode("utf-8", "surrogateescape") + data + b"\r\n" for head, data in parts
    )
    return whole + f"--{boundary}--\r\n".encode()


def headers(boundary: str = BOUNDARY) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def request(path: str, length: int | None, *, method: str = "POST", more: str = "") -> bytes:
    """The head of a request with a form, closing the connection afterwards; `length` None is chunked."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n{framing}\r\n{more}\r\n"
    ).encode()


@asynccontextmanager
async def running(tmp_path: Path, **changes: Any) -> AsyncIterator[PostOffice]:
    """Run the post office on a port of its own, as `serve.py` would. `changes`: settings."""
    settings = Settings(
        _env_file=None,
        **{"data_dir": tmp_path, "allowed_origins": [ORIGIN], "files": {"max_mib": MAX_BYTES / KIB / KIB}, **changes},
    )
    app, throttle = web.Application(), Counter()
    counters, hatch, staging = Counters(), Hatch(), WatchedStaging(tmp_path / "incoming")
    install(app, settings)
    mount(
        app,
        [counters, hatch],
        authenticate=authenticate,
        throttle=throttle,
        settings=settings,
        staging=staging,
        links=LINKS,
    )
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, lingering_time=2, shutdown_timeout=1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        office = PostOffice(listener.getsockname()[1], Shop(), throttle, http)
        office.counters, office.hatch, office.staging = counters, hatch, staging
        yield office
    await runner.cleanup()
