"""A tus client of the tests' own: every request as it is meant to be, or with whatever a test wants wrong in it."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update

from src.clock import now
from src.db.models import Upload, UploadPart

from .accounts import alter
from .cast import PATIENCE, Answer, Person, Service
from .test_files import stored_objects

KIB = 1024
MIB = 1024 * KIB
PART = 64 * KIB

SPOKEN = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


def metadata(**words: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in words.items())


class Tus:
    """Somebody who uploads in pieces into a room."""

    def __init__(self, person: Person, room: str) -> None:
        self._person = person
        self._room = room

    async def raw(self, method: str, path: str, headers: Mapping[str, str], data: Any = None) -> Answer:
        """A request with Tus-Resumable; headers without a value are left out."""
        given = {name: value for name, value in {**SPOKEN, **headers}.items() if value}
        answer = await self._person.raw(method, path, headers=given, data=data)
        assert answer.headers["Tus-Resumable"] == "1.0.0", answer
        return answer

    async def create(self, size: Any, data: Any = None, **headers: str) -> Answer:
        """`headers`: `upload_metadata=…`; underscores are hyphens."""
        said = {"Upload-Length": str(size), **named(headers)}
        if data is not None:
            said.setdefault("Content-Type", BYTES)
        return await self.raw("POST", f"/rooms/{self._room}/uploads", said, data)

    async def begin(self, size: int, name: str = "letter.txt", kind: str = "text/plain") -> str:
        """Begin an upload; its path."""
        answer = await self.create(size, upload_metadata=metadata(filename=name, filetype=kind))
        assert answer.status == 201, answer.json
        return path_of(answer)

    async def append(self, path: str, offset: Any, data: Any, **headers: str) -> Answer:
        said = {"Upload-Offset": str(offset), "Content-Type": BYTES, **named(headers)}
        return await self.raw("PATCH", path, said, data)

    async def head(self, path: str) -> Answer:
        return await self.raw("HEAD", path, {})

    async def offset(self, path: str) -> int:
        answer = await self.head(path)
        assert answer.status == 200, answer
        return int(answer.headers["Upload-Offset"])

    async def state(self, path: str) -> Any:
        return await self._person.get(path)

    async def terminate(self, path: str) -> Answer:
        return await self.raw("DELETE", path, {})

    async def upload(self, data: bytes, name: str = "letter.txt", kind: str = "text/plain") -> Any:
        """Upload in one piece; the file."""
        path = await self.begin(len(data), name, kind)
        answer = await self.append(path, 0, data)
        assert answer.status == 204, answer.json
        return (await self.state(path))["file"]

    async def cut(self, path: str, offset: int, data: bytes, announced: int) -> int:
        """Send less than is announced, and vanish; how much is here once the service has noticed.

        What it has not read when it notices, it has lost.
        """
        writer = await self.hold(path, offset, data, announced)
        await asyncio.sleep(0.3)
        writer.close()
        async with asyncio.timeout(PATIENCE):
            while self._person._cast.service.parts.files.turns._taken:
                await asyncio.sleep(0.02)
        return await self.offset(path)

    async def hold(self, path: str, offset: int, data: bytes, announced: int) -> asyncio.StreamWriter:
        """Send less than is announced, and stay."""
        return (await self.connect(path, offset, data, announced))[1]

    async def connect(
        self, path: str, offset: int, data: bytes, announced: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which a PATCH is under way."""
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(self._person._cast.service.url).port)
        head = (
            f"PATCH /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._person.token}\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\nContent-Type: {BYTES}\r\n"
            f"Content-Length: {announced}\r\n\r\n"
        )
        writer.write(head.encode() + data)
        await writer.drain()
        return reader, writer


def named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


def path_of(answer: Answer) -> str:
    """The path below the API that a creation answered."""
    return urlsplit(answer.headers["Location"]).path.removeprefix("/api/v1")


async def parts_of(service: Service) -> list[tuple[int, int]]:
    """Where each part begins, and how long it is."""
    async with service.parts.database.snapshot() as reads:
        rows = await reads._connection.execute(select(UploadPart.start, UploadPart.size).order_by(UploadPart.start))
        return [(row.start, row.size) for row in rows.all()]


async def nothing_waits(service: Service) -> None:
    """Wait until no part of anybody's is in the staging area."""
    async with asyncio.timeout(PATIENCE):
        while list(service.parts.files.staging.directory.glob("*")):
            await asyncio.sleep(0.02)


async def only_objects(service: Service, number: int) -> None:
    """Wait until so many objects are stored."""
    async with asyncio.timeout(PATIENCE):
        while len(await stored_objects(service)) != number:
            await asyncio.sleep(0.02)


async def only_files(service: Service, number: int = 1) -> None:
    """Wait until so many objects are stored; none of them may be a part."""
    await only_objects(service, number)
    assert not any(key.startswith("chat/parts") for key in await stored_objects(service))


async def expire(service: Service) -> None:
    await alter(service, update(Upload).values(expires_at=now()))


def code(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def fields(answer: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in answer.json["errors"]]
