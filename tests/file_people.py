"""Three people in one room, several devices each, who upload, send and delete until they are told to stop."""

import asyncio
import contextlib
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import aiohttp

from .file_truth import Known, Truth
from .pictures import opened, picture

DEVICES = 8
BROKEN = (aiohttp.ClientError, OSError, asyncio.IncompleteReadError)
PICTURES = [
    picture("JPEG", (900, 600)), picture("PNG", (400, 300)), picture("WEBP", (640, 480)), picture("GIF", (120, 90)),
]  # fmt: skip


class Crew:
    """Who works on the service at `url`. What they were told goes into `truth`, what they did into `counts`."""

    def __init__(self, url: str, truth: Truth, counts: Counter[str], seed: int) -> None:
        self.truth = truth
        self._counts = counts
        self._dice = random.Random(seed)
        connector = aiohttp.TCPConnector(force_close=True)  # connections do not survive kills
        self._http = aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(60))
        self._people: list[dict[str, Any]] = []
        self._room = ""
        self._messages_of: dict[str, dict[str, Any]] = {}

    async def close(self) -> None:
        await self._http.close()

    async def gather_people(self) -> None:
        for name in ("anna", "boris", "clara"):
            body = {"email": f"{name}@example.com", "password": "a cold morning", "nickname": name, "session": "token"}
            _, session = await self._call("POST", "/auth/register", {}, body)
            self._people.append(session)
        anna, *others = self._people
        for other in others:
            await self._call("POST", "/friends/requests", anna, {"user_id": other["user"]["id"]})
            await self._call("POST", f"/friends/requests/{anna['user']['id']}/accept", other)
        ids = [other["user"]["id"] for other in others]
        _, room = await self._call("POST", "/rooms", anna, {"kind": "group", "name": "us", "member_ids": ids})
        self._room = room["id"]

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """They work while the context lasts, and finish what they have begun: to whatever end the service is killed."""
        stop = asyncio.Event()
        devices = [asyncio.create_task(self._device(self._people[n % 3], stop)) for n in range(DEVICES)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*devices)

    async def _device(self, person: dict[str, Any], stop: asyncio.Event) -> None:
        deeds = [self._upload] * 2 + [self._send] * 3 + [self._delete] * 2
        while not stop.is_set():
            try:
                await self._dice.choice(deeds)(person)
            except BROKEN:
                self._counts["cut"] += 1
                return

    async def _upload(self, person: dict[str, Any]) -> list[Known]:
        """Upload some documents and pictures; answers what was answered."""
        contents = [self._content() for _ in range(self._dice.randint(1, 4))]
        form = aiohttp.FormData(quote_fields=False)
        for name, data in contents:
            form.add_field("files", data, filename=name, content_type="application/octet-stream")
        self._counts["uploads"] += 1
        status, answer = await self._call("POST", f"/rooms/{self._room}/files", person, data=form)
        assert status == 201, answer
        known = []
        for view, (_, data) in zip(answer["items"], contents, strict=True):
            known.append(self.truth.told(view, data if view["kind"] == "document" else None))
            self._messages_of[view["id"]] = person
        self._counts["files_acknowledged"] += len(known)
        return known

    async def _send(self, person: dict[str, Any]) -> None:
        files = await self._upload(person)
        body = {"client_id": str(uuid4()), "file_ids": [each.id for each in files]}
        status, answer = await self._call("POST", f"/rooms/{self._room}/messages", person, body)
        assert status == 201, answer
        for each in files:
            each.message_id = answer["message"]["id"]
        self._counts["messages_acknowledged"] += 1

    async def _delete(self, person: dict[str, Any]) -> None:
        mine = [one for one in self.truth.deletable if self._sender_of(one) is person]
        if not mine:
            await self._send(person)
            return
        message_id = self._dice.choice(mine)
        self.truth.deleting(message_id, None)
        status, answer = await self._call("DELETE", f"/messages/{message_id}", person)
        assert status == 200, answer
        self.truth.deleting(message_id, True)
        self._counts["deletions_acknowledged"] += 1

    def _sender_of(self, message_id: str) -> dict[str, Any]:
        return next(self._messages_of[each.id] for each in self.truth.files.values() if each.message_id == message_id)

    def _content(self) -> tuple[str, bytes]:
        if self._dice.random() < 0.35:
            return "picture.jpg", self._dice.choice(PICTURES)
        size = int(10 ** self._dice.uniform(0, 6.5))
        return "document.bin", b"document" + self._dice.randbytes(size)

    async def inspect(self) -> int:
        """Look at every file that anybody was told of; how many. Raises AssertionError."""
        files = list(self.truth.files.values())
        gate = asyncio.Semaphore(8)

        async def look(each: Known) -> None:
            async with gate:
                await self._inspect(each)

        await asyncio.gather(*map(look, files))
        return len(files)

    async def _inspect(self, each: Known) -> None:
        """As its uploader and, where it was sent, as another member."""
        owner = self._messages_of[each.id]
        reader = next(person for person in self._people if person is not owner) if each.message_id else owner
        status, data = await self._bytes(f"/files/{each.id}", reader)
        if each.gone or (each.gone is None and status == 404):
            assert status == 404, f"{each} was deleted, and answers {status}"
            del self.truth.files[each.id]
            return
        each.gone = False  # whoever asked for it to be deleted was not heard
        assert (status, len(data)) == (200, each.size), f"{each} was acknowledged, and answers {status}, {len(data)} B"
        digest = hashlib.sha256(data).hexdigest()
        assert digest == (each.digest or digest), f"{each} has other bytes"
        if each.digest is None:
            assert opened(data).width == each.width, each
        each.digest = digest
        if each.width:
            status, small = await self._bytes(f"/files/{each.id}/thumbnail", reader)
            assert status == 200 and opened(small).format == "WEBP", each

    async def _bytes(self, path: str, person: dict[str, Any]) -> tuple[int, bytes]:
        async with self._http.get(f"/api/v1{path}", headers=_token(person)) as answer:
            return answer.status, await answer.read()

    async def _call(
        self, method: str, path: str, person: dict[str, Any], json: Any = None, data: Any = None
    ) -> tuple[int, Any]:
        request = self._http.request(method, f"/api/v1{path}", json=json, data=data, headers=_token(person))
        async with request as answer:
            return answer.status, None if answer.status == 204 else await answer.json()


def _token(person: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {person['access_token']}"} if person else {}
