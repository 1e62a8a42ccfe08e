"""Files on S3, through the door: fetched from it by addresses of a minute, and what happens while it is away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp
import pytest
from sqlalchemy import func, select, update
from yarl import URL

from src.db.models import File, OutboxItem
from src.services.removals import REMOVE_OBJECTS

from .accounts import alter
from .cast import PATIENCE, Attachment, Fetched, Person, Service, draft
from .conftest import StartService
from .pictures import opened
from .s3 import Moto
from .test_command import Operator
from .test_file_life import time_passes
from .test_files import LETTER, PHOTO, anna, boris, emptied, room, stored_objects

__all__ = ["anna", "boris", "room"]

pytestmark = pytest.mark.one_database

KOREAN = Attachment("휴가 계획.txt", bytes(range(256)) * 40, "text/plain")


@pytest.fixture
def moto() -> Iterator[Moto]:
    """An S3 of this test's own, to be stopped."""
    made = Moto(f"files-{uuid4().hex}")
    yield made
    made.stop()


async def fetched(url: str, method: str = "GET", **headers: str) -> Fetched:
    """What somebody gets who has only an address of the storage, and no account here."""
    async with aiohttp.ClientSession() as http, http.request(method, URL(url, encoded=True), headers=headers) as answer:
        return Fetched(answer.status, answer.headers, await answer.read())


class TestRedirects:
    @pytest.fixture
    async def service(self, start_service: StartService, s3_url: str) -> Service:
        from .s3 import under

        return await start_service(storage_url=under(s3_url), files={"downloads": "redirect"})

    async def sent_on(self, person: Person, url: str, **headers: str) -> str:
        answer = await person.fetch(url, **headers)
        assert (answer.status, answer.body) == (302, b"")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        return answer.headers["Location"]

    async def test_lead_to_the_bytes_with_their_name_and_type(self, anna: Person, boris: Person, room: str) -> None:
        await anna.send(room, KOREAN, PHOTO)
        document, image = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        got = await fetched(await self.sent_on(boris, document["url"]))
        assert (got.status, got.body) == (200, KOREAN.data)
        assert got.headers["Content-Type"] == "text/plain"
        disposition = got.headers["Content-Disposition"]
        assert disposition.startswith("attachment; ")
        assert "filename*=UTF-8''%ED%9C%B4%EA%B0%80%20%EA%B3%84%ED%9A%8D.txt" in disposition
        got = await fetched(await self.sent_on(boris, image["url"]))
        assert (got.headers["Content-Type"], opened(got.body).size) == ("image/jpeg", (1200, 800))
        assert got.headers["Content-Disposition"] == 'inline; filename="photo.jpg"'
        got = await fetched(await self.sent_on(boris, image["thumbnail_url"]))
        assert (got.headers["Content-Type"], opened(got.body).format) == ("image/webp", "WEBP")

    async def test_work_for_a_part_of_it(self, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, KOREAN))["files"]
        address = await self.sent_on(anna, file["url"], Range="bytes=100-299")
        got = await fetched(address, Range="bytes=100-299")
        assert (got.status, got.body) == (206, KOREAN.data[100:300])
        assert got.headers["Content-Range"] == f"bytes 100-299/{len(KOREAN.data)}"

    async def test_are_good_for_a_minute_at_most(self, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        said = parse_qs(urlsplit(await self.sent_on(anna, file["url"])).query)
        assert 0 < int(said["X-Amz-Expires"][0]) <= 60
        made = datetime.strptime(said["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - made) < timedelta(seconds=10)

    async def test_say_no_more_of_us_than_the_key(self, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        address = await self.sent_on(anna, file["url"])
        for secret in ("s3cr", anna.id, file["id"], "signature="):
            assert secret not in address.replace("X-Amz-Signature=", "")

    async def test_leave_what_needs_no_bytes_here(self, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        head = await anna.fetch(file["url"], method="HEAD")
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(LETTER.data)))
        known = await anna.fetch(file["url"], If_None_Match=head.headers["ETag"])
        assert known.status == 304

    async def test_run_nothing_that_calls_itself_a_page(self, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, Attachment("a.html", b"<script>alert(1)</script>", "text/html")))["files"]
        got = await fetched(await self.sent_on(anna, file["url"]))
        assert got.headers["Content-Type"] == "application/octet-stream"
        assert got.headers["Content-Disposition"].startswith("attachment")

    async def test_end_with_the_message(self, anna: Person, boris: Person, room: str, service: Service) -> None:
        message = await anna.send(room, LETTER)
        (file,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        address = await self.sent_on(boris, file["url"])
        await anna.delete(f"/messages/{message['id']}")
        assert (await boris.fetch(file["url"])).status == 404
        await emptied(service)
        assert (await fetched(address)).status in (403, 404)  # S3 says 403 to whom it does not list


class TestWhileItIsAway:
    @pytest.fixture
    async def service(self, start_service: StartService, moto: Moto) -> AsyncIterator[Service]:
        return await start_service(storage_url=moto.url)

    async def test_nothing_is_shown_as_stored(
        self, service: Service, moto: Moto, anna: Person, boris: Person, room: str
    ) -> None:
        moto.stop()
        for files in ([LETTER], [PHOTO], [LETTER, PHOTO]):
            answer = await anna.upload_raw(f"/rooms/{room}/files", *files)
            assert (answer.status, answer.json["code"]) == (503, "unavailable")
            assert answer.headers["Retry-After"]
        assert await rows(service, File) == 0
        assert list(service.parts.files.staging.directory.glob("*")) == []
        assert (await boris.get(f"/rooms/{room}/files"))["items"] == []
        moto.start()
        await time_passes(service)
        await emptied(service)

    async def test_of_several_files_none_is_kept_where_one_is_not_taken(
        self, service: Service, moto: Moto, anna: Person, room: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, taken = service.parts.files.store, []
        put = type(store).put

        async def put_and_fall(self: Any, key: str, source: Any) -> None:
            if len(taken) == 2:
                moto.stop()
            await put(self, key, source)
            taken.append(key)

        monkeypatch.setattr(type(store), "put", put_and_fall)
        answer = await anna.upload_raw(f"/rooms/{room}/files", *[LETTER] * 4)
        assert (answer.status, answer.json["code"], len(taken)) == (503, "unavailable", 2)
        moto.start()
        assert await stored_objects(service) == sorted(taken)
        await time_passes(service)
        await emptied(service)
        assert await rows(service, File) == 0
        async with asyncio.timeout(PATIENCE):  # the work is done, and then written down as done
            while await rows(service, OutboxItem, OutboxItem.kind == REMOVE_OBJECTS):
                await asyncio.sleep(0.02)

    async def test_people_go_on_talking(
        self, service: Service, moto: Moto, anna: Person, boris: Person, room: str
    ) -> None:
        (file,) = await anna.upload(room, LETTER)
        moto.stop()
        ear = await boris.connect()
        await ear.heard("ready")
        uploads = [asyncio.ensure_future(anna.upload_raw(f"/rooms/{room}/files", PHOTO)) for _ in range(3)]
        began = asyncio.get_running_loop().time()
        await anna.post(f"/rooms/{room}/messages", draft("are you there?"), expect=201)
        # What is stored already can be sent: it needs the database alone.
        await anna.post(f"/rooms/{room}/messages", {"client_id": str(uuid4()), "file_ids": [file["id"]]}, expect=201)
        assert [(await ear.heard("message_sent"))["kind"] for _ in range(2)] == ["text", "file"]
        assert asyncio.get_running_loop().time() - began < PATIENCE
        assert {answer.status for answer in await asyncio.gather(*uploads)} == {503}

    async def test_a_download_says_so_and_comes_back_with_it(self, moto: Moto, anna: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        moto.stop()
        answer = await anna.fetch(file["url"])
        assert (answer.status, b'"unavailable"' in answer.body) == (503, True)
        moto.start()
        assert (await anna.fetch(file["url"])).body == LETTER.data

    async def test_a_message_is_deleted_all_the_same_and_its_objects_go_when_it_is_back(
        self, service: Service, moto: Moto, anna: Person, boris: Person, room: str
    ) -> None:
        message = await anna.send(room, PHOTO, LETTER)
        kept = await anna.send(room, LETTER)
        moto.stop()
        assert (await anna.delete(f"/messages/{message['id']}"))["files"] == []
        for file in message["files"]:
            assert (await anna.fetch(file["url"])).status == 404
        await put_off(service)
        moto.start()
        assert len(await stored_objects(service)) == 4
        await time_passes(service)
        async with asyncio.timeout(PATIENCE):
            while len(await stored_objects(service)) > 1:
                await asyncio.sleep(0.02)
        assert (await boris.fetch(f"/api/v1/files/{kept['files'][0]['id']}", signed_in=True)).body == LETTER.data
        assert (await service.parts.files.check.check()).sound

    async def test_it_may_be_away_for_as_long_as_it_likes(
        self, service: Service, moto: Moto, anna: Person, room: str
    ) -> None:
        message = await anna.send(room, LETTER)
        moto.stop()
        await anna.delete(f"/messages/{message['id']}")
        await put_off(service)
        await alter(service, update(OutboxItem).values(attempts=100, last_error=None))
        await time_passes(service)
        await put_off(service)
        moto.start()
        await time_passes(service)
        await emptied(service)

    async def test_the_command_that_checks_says_it_in_a_sentence(self, tmp_path: Path, moto: Moto) -> None:
        operator = Operator(tmp_path)
        assert (await operator.run("migrate")).status == 0
        moto.stop()
        for command in (["check"], ["check", "--repair"]):
            ended = await operator.run("files", *command, STORAGE_URL=moto.url)
            assert ended.status == 2, ended
            assert "the storage" in ended.errors
            assert "Traceback" not in ended.errors


async def rows(service: Service, table: Any, *where: Any) -> int:
    async with service.parts.database.snapshot() as reads:
        found = select(func.count()).select_from(table).where(*where)
        return int((await reads._connection.execute(found)).scalar_one())


async def put_off(service: Service) -> None:
    """Wait until the outbox has tried to remove, and given it up for now. Raises TimeoutError."""
    failed = select(func.count()).select_from(OutboxItem).where(OutboxItem.last_error.is_not(None))
    async with asyncio.timeout(3 * PATIENCE):
        while True:
            async with service.parts.database.snapshot() as reads:
                if (await reads._connection.execute(failed)).scalar_one():
                    return
            await asyncio.sleep(0.05)
