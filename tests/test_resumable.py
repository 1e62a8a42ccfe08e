"""Uploads that survive a broken connection (tus 1.0): the protocol, who may, and what is left by whom."""

import asyncio
import base64
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import aiohttp
import pytest
from sqlalchemy import select, update

from src.clock import now
from src.db.models import File, OutboxItem, Upload, UploadPart
from src.errors import Unavailable
from src.services import cuts, resumable
from src.services.file_check import SETTLED
from src.services.housekeeping import Housekeeping
from src.services.keeping import Keeping

from .accounts import alter
from .cast import PATIENCE, Attachment, Cast, Person, Service, draft
from .conftest import Node, StartService
from .pictures import opened, picture
from .resumable import BYTES, Tus, metadata, path_of
from .s3 import moto_s3, under
from .test_command import Operator
from .test_file_life import backdate, cast_of, count, operator
from .test_files import anna, boris, emptied, group_of, mallory, room, stored_objects

__all__ = ["anna", "boris", "cast_of", "mallory", "operator", "room"]

KIB = 1024
PART = 64 * KIB
MIB = 1024 * KIB


@pytest.fixture(autouse=True)
def small_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where we are the client, a part is soon full."""
    if request.cls is not TestTheStockClient:
        monkeypatch.setattr(cuts, "PART_BYTES", PART)


@pytest.fixture
def tus(anna: Person, room: str) -> Tus:
    return Tus(anna, room)


async def parts_of(service: Service) -> list[tuple[int, int]]:
    """Where each part begins, and how long it is."""
    async with service.parts.database.snapshot() as reads:
        rows = await reads._connection.execute(
            select(UploadPart.start, UploadPart.size, UploadPart.key).order_by(UploadPart.start)
        )
        return [(row.start, row.size) for row in rows.all()]


async def nothing_waits(service: Service) -> None:
    """Wait until no part of anybody's is in the staging area."""
    async with asyncio.timeout(PATIENCE):
        while list(service.parts.files.staging.directory.glob("*")):
            await asyncio.sleep(0.02)


async def only_files(service: Service, number: int = 1) -> None:
    """Wait until so many objects are stored, and no parts."""
    async with asyncio.timeout(PATIENCE):
        while len(await stored_objects(service)) != number:
            await asyncio.sleep(0.02)
    assert not any(key.startswith("chat/parts") for key in await stored_objects(service))


async def expire(service: Service) -> None:
    await alter(service, update(Upload).values(expires_at=now()))


def code(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def fields(answer: Any) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in answer.json["errors"]]


class TestTheProtocol:
    async def test_says_what_it_speaks_to_anybody(self, cast: Cast, room: str) -> None:
        answer = await cast.anonymous.raw("OPTIONS", f"/rooms/{room}/uploads")
        assert answer.status == 204
        assert answer.headers["Tus-Resumable"] == answer.headers["Tus-Version"] == "1.0.0"
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation", "creation-with-upload", "expiration", "termination",
        }  # fmt: skip
        assert answer.headers["Tus-Max-Size"] == str(25 * MIB)

    async def test_begins_at_an_absolute_address_until_a_day_from_now(self, service: Service, tus: Tus) -> None:
        answer = await tus.create(10, upload_metadata=metadata(filename="letter.txt"))
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "0")
        assert answer.headers["Location"].startswith(f"{service.url}/api/v1/uploads/")
        ends = parsedate_to_datetime(answer.headers["Upload-Expires"]) - now()
        assert timedelta(hours=23.9) < ends < timedelta(hours=24.1)

    async def test_says_how_much_is_here(self, tus: Tus, room: str) -> None:
        path = await tus.begin(10)
        answer = await tus.append(path, 0, b"Dear")
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, "4")
        assert "Upload-Expires" in answer.headers and "Chatty-File-Id" not in answer.headers
        answer = await tus.head(path)
        assert (answer.status, answer.headers["Upload-Offset"], answer.headers["Upload-Length"]) == (200, "4", "10")
        assert answer.headers["Cache-Control"] == "no-store"
        state = await tus.state(path)
        assert (state["room_id"], state["offset"], state["size"], state["file"]) == (room, 4, 10, None)
        assert path.endswith(state["id"])

    async def test_ends_with_the_file(self, service: Service, anna: Person, boris: Person, room: str, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        answer = await tus.append(path, 4, b" Boris")
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, "10")
        file = (await tus.state(path))["file"]
        assert answer.headers["Chatty-File-Id"] == file["id"]
        assert (file["name"], file["content_type"], file["size"]) == ("letter.txt", "text/plain", 10)
        head = await tus.head(path)
        assert (head.headers["Upload-Offset"], head.headers["Chatty-File-Id"]) == ("10", file["id"])
        assert (await anna.fetch(file["url"])).body == b"Dear Boris"
        await anna.post(f"/rooms/{room}/messages", draft(file_ids=[file["id"]]), expect=201)
        (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        assert (await boris.fetch(seen["url"])).body == b"Dear Boris"
        await only_files(service)
        assert (await service.parts.files.check.check()).sound
        await nothing_waits(service)

    async def test_takes_the_first_bytes_or_all_with_the_beginning(self, anna: Person, tus: Tus) -> None:
        answer = await tus.create(10, b"Dear")
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "4")
        assert (await tus.append(path_of(answer), 4, b" Boris")).status == 204
        answer = await tus.create(4, b"Dear")
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "4")
        file = (await tus.state(path_of(answer)))["file"]
        assert (answer.headers["Chatty-File-Id"], file["name"]) == (file["id"], "file")

    async def test_makes_parts_of_what_is_long(self, service: Service, anna: Person, tus: Tus) -> None:
        data = os.urandom(3 * PART + 10)
        path = await tus.begin(len(data), "noise.bin", "")
        assert (await tus.append(path, 0, data[: 2 * PART + 5])).status == 204
        assert await parts_of(service) == [(0, PART), (PART, PART), (2 * PART, 5)]
        assert (await service.parts.files.check.check()).sound
        assert (await tus.append(path, 2 * PART + 5, data[2 * PART + 5 :])).status == 204
        assert await parts_of(service) == []
        assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == data
        await only_files(service)

    @pytest.mark.parametrize("size", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1])
    async def test_is_the_same_around_the_ends_of_parts(self, anna: Person, tus: Tus, size: int) -> None:
        data = os.urandom(size)
        file = await tus.upload(data)
        assert (await anna.fetch(file["url"])).body == data

    async def test_takes_a_body_without_a_length(self, anna: Person, tus: Tus) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"x" * 10_000

        path = await tus.begin(100_000)
        assert (await tus.append(path, 0, chunks())).headers["Upload-Offset"] == "100000"
        assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == b"x" * 100_000

    async def test_takes_nothing_for_nothing(self, tus: Tus) -> None:
        path = await tus.begin(10)
        assert (await tus.append(path, 0, b"")).headers["Upload-Offset"] == "0"
        await tus.append(path, 0, b"0123456789")
        assert (await tus.append(path, 10, b"")).headers["Upload-Offset"] == "10"

    async def test_writes_pictures_anew_with_a_thumbnail(self, anna: Person, tus: Tus) -> None:
        data = picture("JPEG", (1200, 800))
        path = await tus.begin(len(data), "photo.jpg", "image/jpeg")
        await tus.append(path, 0, data[:1000])
        await tus.append(path, 1000, data[1000:])
        file = (await tus.state(path))["file"]
        assert (file["kind"], file["width"], file["height"]) == ("image", 1200, 800)
        assert opened((await anna.fetch(file["thumbnail_url"])).body).format == "WEBP"

    async def test_keeps_a_korean_name(self, tus: Tus) -> None:
        assert (await tus.upload(b"x", "휴가 계획.hwp"))["name"] == "휴가 계획.hwp"

    async def test_is_listed_for_browsers_of_other_origins(self, start_service: StartService) -> None:
        service = await start_service(allowed_origins=["http://app.example.com"])
        async with service.http.get(
            f"/api/v1/uploads/{uuid4()}", headers={"Origin": "http://app.example.com"}
        ) as answer:
            exposed = answer.headers["Access-Control-Expose-Headers"]
        for name in ("Location", "Upload-Offset", "Upload-Length", "Upload-Expires", "Tus-Resumable", "Chatty-File-Id"):
            assert name in exposed


class TestRefusing:
    @pytest.mark.parametrize("version", ["", "0.2.2", "1.0", "2.0.0", "1.0.0, 1.0.0"])
    async def test_other_versions_before_all_else(self, service: Service, tus: Tus, version: str) -> None:
        path = await tus.begin(10)
        other = {"Tus-Resumable": version}
        for method, where in (("POST", f"/rooms/{uuid4()}/uploads"), ("PATCH", path), ("DELETE", path)):
            answer = await tus.raw(method, where, other)
            assert code(answer) == (412, "precondition_failed")
            assert answer.headers["Tus-Version"] == "1.0.0"
        assert (await tus.raw("HEAD", path, other)).status == 412
        assert (await tus.raw("GET", path, other)).status == (412 if version else 200)
        assert await count(service, Upload) == 1

    @pytest.mark.parametrize("length", ["", "-1", "+5", "1.5", "ten", "0x10", "१०", "9" * 16, "9" * 400])
    async def test_a_length_that_is_none(self, tus: Tus, length: str) -> None:
        answer = await tus.create(length)
        assert code(answer) == (422, "invalid")
        assert fields(answer)[0][0] == "Upload-Length"

    async def test_nothing_at_all_and_more_than_may_be(self, service: Service, tus: Tus) -> None:
        answer = await tus.create(0)
        assert (code(answer), fields(answer)) == ((422, "invalid"), [("file", "empty_file")])
        answer = await tus.create(25 * MIB + 1)
        assert (code(answer), fields(answer)) == ((413, "too_large"), [("file", "file_too_large")])
        assert (await tus.create(25 * MIB)).status == 201
        assert await count(service, Upload) == 1

    async def test_extensions_that_are_not_spoken(self, service: Service, tus: Tus) -> None:
        assert code(await tus.create("", upload_defer_length="1")) == (422, "invalid")
        assert code(await tus.create(10, upload_concat="partial")) == (422, "invalid")
        assert await count(service, Upload) == 0

    @pytest.mark.parametrize(
        "words",
        [
            "filename !!!",
            "filename bGV0dGVy=",
            "filename bGV0dGVyLnR4dA",
            "filename ////",
            "filename bGV0\tdGVy",
            f"filename {base64.b64encode(b'a' + bytes(1) + b'b').decode()}",
            f"filename {base64.b64encode(b'a' + bytes([10]) + b'b').decode()}",
            "filename YQ==,filename Yg==",
            "YQ==,,",
            ",",
            "이름 YQ==",
            f"filename {'YWFh' * 1100}",
        ],
    )
    async def test_metadata_that_is_none(self, service: Service, tus: Tus, words: str) -> None:
        answer = await tus.create(10, upload_metadata=words)
        assert code(answer) == (422, "invalid")
        assert fields(answer)[0][0] == "Upload-Metadata"
        assert await count(service, Upload) == 0

    async def test_headers_that_are_larger_than_any(self, tus: Tus) -> None:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1", "Upload-Metadata": "x" * 20_000}
        answer = await tus._person.raw("POST", f"/rooms/{tus._room}/uploads", headers=headers)
        assert answer.status == 400

    @pytest.mark.parametrize(
        ("words", "name"),
        [
            ("", "file"),
            ("filename", "file"),
            ("is_confidential,filename YS50eHQ=", "a.txt"),
            ("filename YS50eHQ=, filetype dGV4dC9wbGFpbg==", "a.txt"),
            (metadata(filename="../../etc/passwd"), "passwd"),
            (metadata(filename="x" * 300 + ".txt"), "x" * 196 + ".txt"),
            (metadata(filename="a.txt", filetype="x" * 500), "a.txt"),
        ],
    )
    async def test_not_metadata_that_is_odd(self, tus: Tus, words: str, name: str) -> None:
        answer = await tus.create(1, upload_metadata=words)
        await tus.append(path_of(answer), 0, b"x")
        assert (await tus.state(path_of(answer)))["file"]["name"] == name

    @pytest.mark.parametrize("offset", ["", "-1", "x", "9" * 400])
    async def test_an_offset_that_is_none(self, tus: Tus, offset: str) -> None:
        path = await tus.begin(10)
        answer = await tus.append(path, offset, b"x")
        assert (code(answer), fields(answer)[0][0]) == ((422, "invalid"), "Upload-Offset")

    async def test_another_offset_than_the_next(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        for offset in (0, 3, 5, 10, 10**14):
            assert code(await tus.append(path, offset, b" Boris")) == (409, "conflict"), offset
        assert await tus.offset(path) == 4
        await tus.append(path, 4, b" Boris")
        assert code(await tus.append(path, 4, b" Boris")) == (409, "conflict")
        assert await count(service, File) == 1

    @pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", "multipart/form-data", "x"])
    async def test_another_type(self, tus: Tus, kind: str) -> None:
        path = await tus.begin(10)
        assert code(await tus.append(path, 0, b"Dear", content_type=kind)) == (415, "unsupported_type")
        assert code(await tus.create(10, b"Dear", content_type=kind)) == (415, "unsupported_type")
        assert await tus.offset(path) == 0

    async def test_more_than_was_announced_without_storing_it(self, service: Service, tus: Tus) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"0123456789"
            await asyncio.sleep(0.05)
            yield b"!"

        path = await tus.begin(10)
        for body in (b"0123456789!", chunks()):
            assert code(await tus.append(path, 0, body)) == (413, "too_large")
        assert await tus.offset(path) == 0
        await tus.append(path, 0, b"0123456789")
        assert code(await tus.append(path, 10, b"!")) == (413, "too_large")
        assert await count(service, File) == 1
        assert code(await tus.create(4, b"Dear Boris")) == (413, "too_large")
        assert await count(service, Upload) == 1  # whose address nobody was told is not kept
        await only_files(service)

    async def test_too_many_parts(self, monkeypatch: pytest.MonkeyPatch, tus: Tus) -> None:
        monkeypatch.setattr(resumable, "MOST_PARTS", 3)
        path = await tus.begin(10)
        for offset in range(3):
            await tus.append(path, offset, b"x")
        assert code(await tus.append(path, 3, b"x")) == (413, "too_large")

    async def test_an_image_that_nobody_can_read_with_all_that_came(self, service: Service, tus: Tus) -> None:
        broken = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
        path = await tus.begin(len(broken), "cat.png", "image/png")
        await tus.append(path, 0, broken[:50])
        answer = await tus.append(path, 50, broken[50:])
        assert (code(answer), fields(answer)[0][0]) == ((422, "unreadable_image"), "file")
        assert (await tus.head(path)).status == 404
        assert (await count(service, Upload), await count(service, File)) == (0, 0)
        await emptied(service)
        assert code(await tus.create(len(broken), broken)) == (422, "unreadable_image")
        assert await count(service, Upload) == 0

    async def test_not_what_the_storage_does_not_take_for_now(
        self, service: Service, monkeypatch: pytest.MonkeyPatch, tus: Tus
    ) -> None:
        async def fail(*_: Any) -> None:
            raise Unavailable

        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        with monkeypatch.context() as trouble:
            trouble.setattr(Keeping, "_put", fail)
            assert code(await tus.append(path, 4, b" Boris")) == (503, "unavailable")
            assert code(await tus.append(path, 4, b" B")) == (503, "unavailable")
        assert await tus.offset(path) == 4
        assert (await tus.append(path, 4, b" Boris")).status == 204

    async def test_a_part_that_the_storage_has_lost(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"De")
        await tus.append(path, 2, b"ar")
        await service.parts.files.store.delete(await stored_objects(service))
        assert code(await tus.append(path, 4, b" Boris")) == (410, "gone")
        assert (await tus.head(path)).status == 404


class TestWhoMay:
    async def test_nobody_but_who_began_it(self, tus: Tus, boris: Person, mallory: Person, room: str) -> None:
        path = await tus.begin(10)
        for person in (boris, mallory):
            other = Tus(person, room)
            assert code(await other.append(path, 0, b"0123456789")) == (404, "not_found")
            assert (await other.head(path)).status == 404
            assert (await person.raw("GET", path)).status == 404
            assert code(await other.terminate(path)) == (404, "not_found")
        assert await tus.offset(path) == 0

    async def test_nobody_into_a_room_of_others(self, mallory: Person, room: str) -> None:
        assert code(await Tus(mallory, room).create(10)) == (404, "not_found")

    async def test_nobody_without_a_token(self, cast: Cast, tus: Tus, room: str) -> None:
        path = await tus.begin(10)
        nobody = Tus(cast.anonymous, room)
        for answer in (await nobody.create(10), await nobody.append(path, 0, b"x"), await nobody.terminate(path)):
            assert code(answer) == (401, "unauthorized")

    async def test_no_former_member(self, anna: Person, boris: Person) -> None:
        group = await group_of(anna, boris)
        tus = Tus(boris, group)
        path = await tus.begin(10)
        done = await tus.begin(4)
        await tus.append(done, 0, b"Dear")
        await anna.delete(f"/rooms/{group}/members/{boris.id}")
        for each in (path, done):
            assert (await tus.head(each)).status == 404
            assert code(await tus.append(each, 0, b"0123456789")) == (404, "not_found")
            assert code(await tus.terminate(each)) == (404, "not_found")

    async def test_nobody_who_is_removed_while_sending(self, service: Service, anna: Person, boris: Person) -> None:
        group = await group_of(anna, boris)
        tus = Tus(boris, group)
        path = await tus.begin(2 * PART)
        writer = await tus.hold(path, 0, b"x" * 10, 2 * PART)
        async with asyncio.timeout(PATIENCE):
            while not list(service.parts.files.staging.directory.glob("*")):
                await asyncio.sleep(0.02)
        await anna.delete(f"/rooms/{group}/members/{boris.id}")
        writer.write(b"x" * (2 * PART - 10))
        await nothing_waits(service)
        assert (await count(service, UploadPart), await count(service, File)) == (0, 0)
        await emptied(service)
        writer.close()

    async def test_nobody_across_a_block(self, anna: Person, boris: Person, tus: Tus) -> None:
        path = await tus.begin(10)
        await boris.put(f"/blocks/{anna.id}")
        assert code(await tus.create(10)) == (403, "blocked")
        assert code(await tus.append(path, 0, b"0123456789")) == (403, "blocked")
        assert await tus.offset(path) == 0
        await boris.delete(f"/blocks/{anna.id}")
        assert (await tus.append(path, 0, b"0123456789")).status == 204


class TestBreakingOff:
    async def test_keeps_what_came_and_goes_on(self, service: Service, anna: Person, tus: Tus) -> None:
        data = os.urandom(2 * PART + 500)
        path = await tus.begin(len(data))
        kept = await tus.cut(path, 0, data[: PART + 100], len(data))
        assert PART <= kept <= PART + 100
        assert await parts_of(service) == [(0, PART), (PART, kept - PART)][: 1 if kept == PART else 2]
        more = await tus.cut(path, kept, data[kept : kept + 50], len(data) - kept)
        assert kept < more <= kept + 50
        assert (await tus.append(path, more, data[more:])).status == 204
        assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == data
        await only_files(service)
        await nothing_waits(service)

    async def test_after_the_last_byte_is_no_harm(self, tus: Tus, service: Service) -> None:
        path = await tus.begin(10)
        _, writer = await asyncio.open_connection("127.0.0.1", service.settings.port)
        head = f"PATCH /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus._person.token}\r\n"
        head += f"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: {BYTES}\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n".encode())
        await asyncio.sleep(0.1)
        writer.close()
        async with asyncio.timeout(PATIENCE):
            while await tus.offset(path) != 10:
                await asyncio.sleep(0.02)
        assert (await tus.state(path))["file"]["size"] == 10

    async def test_with_the_beginning_loses_no_bytes_either(self, service: Service, anna: Person, room: str) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", service.settings.port)
        head = f"POST /api/v1/rooms/{room}/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {anna.token}\r\n"
        head += f"Tus-Resumable: 1.0.0\r\nUpload-Length: 100\r\nContent-Type: {BYTES}\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"x" * 50)
        await asyncio.sleep(0.1)
        writer.close()
        async with asyncio.timeout(PATIENCE):
            while await parts_of(service) != [(0, 50)]:
                await asyncio.sleep(0.02)

    async def test_by_a_cancellation_leaves_nothing_that_is_nobodys(
        self, service: Service, anna: Person, tus: Tus
    ) -> None:
        reached, pieces = asyncio.Event(), [b"x" * (PART + 10)]

        async def forever(most: int) -> AsyncIterator[bytes]:
            while pieces:
                yield pieces.pop()
            reached.set()
            await asyncio.sleep(60)

        path = await tus.begin(3 * PART)
        upload_id, user_id = (await tus.state(path))["id"], anna.id
        body = cuts.Body(None, forever)  # type: ignore[arg-type]
        task = asyncio.create_task(
            service.parts.files.resumable.append(UUID(user_id), UUID(upload_id), 0, body),
        )
        await asyncio.wait_for(reached.wait(), PATIENCE)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await nothing_waits(service)
        assert await tus.offset(path) == PART
        assert (await service.parts.files.check.check()).sound
        assert await count(service, OutboxItem) == 0


class TestAtOnce:
    async def test_two_that_continue_make_one_part(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(100)
        answers = await asyncio.gather(*(tus.append(path, 0, b"x" * 40) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [204, 409, 409, 409, 409]
        assert await parts_of(service) == [(0, 40)]
        await only_parts(service, 1)

    async def test_two_that_finish_make_one_file(self, service: Service, anna: Person, tus: Tus) -> None:
        path = await tus.begin(100)
        await tus.append(path, 0, b"x" * 40)
        answers = await asyncio.gather(*(tus.append(path, 40, b"x" * 60) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [204, 409, 409, 409, 409]
        assert (await count(service, File), await count(service, UploadPart)) == (1, 0)
        assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == b"x" * 100
        await only_files(service)

    async def test_one_that_is_stuck_does_not_hold_up_the_next(self, service: Service, anna: Person, tus: Tus) -> None:
        path = await tus.begin(100)
        stuck = await tus.hold(path, 0, b"x" * 10, 100)
        assert (await tus.append(path, 0, b"y" * 100)).status == 204
        stuck.close()
        await nothing_waits(service)
        assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == b"y" * 100
        await only_files(service)

    async def test_giving_up_and_continuing_leave_nothing(self, service: Service, tus: Tus) -> None:
        for _ in range(5):
            path = await tus.begin(100)
            await tus.append(path, 0, b"x" * 10)
            continued, _ = await asyncio.gather(tus.append(path, 10, b"x" * 20), tus.terminate(path))
            assert continued.status in (204, 404)
        assert (await count(service, Upload), await count(service, UploadPart)) == (0, 0)
        await emptied(service)

    async def test_sweeping_and_finishing_are_one_or_the_other(self, service: Service, tus: Tus) -> None:
        for _ in range(5):
            path = await tus.begin(100)
            await tus.append(path, 0, b"x" * 10)
            writer = await tus.hold(path, 10, b"x" * 10, 90)
            await asyncio.sleep(0.05)
            await expire(service)
            writer.write(b"x" * 80)
            await service.parts.files.sweeps.sweep()
            writer.close()
        await nothing_waits(service)
        files = await count(service, File)
        assert await count(service, UploadPart) == 0
        if files:
            await only_files(service, files)
        else:
            await emptied(service)


async def only_parts(service: Service, number: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(await stored_objects(service)) != number:
            await asyncio.sleep(0.02)


class TestEnding:
    async def test_by_giving_up_removes_all_at_once(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        answer = await tus.terminate(path)
        assert answer.status == 204
        assert (await tus.head(path)).status == 404
        assert code(await tus.terminate(path)) == (404, "not_found")
        assert await count(service, UploadPart) == 0
        await emptied(service)

    async def test_by_giving_up_what_is_finished_leaves_the_file(self, anna: Person, tus: Tus) -> None:
        path = await tus.begin(4)
        await tus.append(path, 0, b"Dear")
        file = (await tus.state(path))["file"]
        assert (await tus.terminate(path)).status == 204
        assert (await tus.head(path)).status == 404
        assert (await anna.fetch(file["url"])).body == b"Dear"

    async def test_by_time_with_all_that_came(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        await service.parts.files.sweeps.sweep()
        assert await tus.offset(path) == 4
        await expire(service)
        assert (await tus.head(path)).status == 410
        assert code(await tus.append(path, 4, b" Boris")) == (410, "gone")
        await service.parts.files.sweeps.sweep()
        assert (await tus.head(path)).status == 404
        assert (await count(service, Upload), await count(service, UploadPart)) == (0, 0)
        await emptied(service)

    async def test_by_time_leaves_the_file_of_what_is_finished(self, service: Service, anna: Person, tus: Tus) -> None:
        file = await tus.upload(b"Dear")
        await expire(service)
        await service.parts.files.sweeps.sweep()
        assert await count(service, Upload) == 0
        assert (await anna.fetch(file["url"])).body == b"Dear"

    async def test_of_the_file_is_said(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(4)
        await tus.append(path, 0, b"Dear")
        await backdate(service, hours=25)
        await service.parts.files.sweeps.sweep()
        assert (await tus.head(path)).status == 410

    async def test_with_the_account(self, service: Service, anna: Person, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"Dear")
        await tus.upload(b"Dear")
        await anna.delete("/users/me", {"password": anna.password})
        assert (await count(service, Upload), await count(service, UploadPart)) == (0, 0)
        await emptied(service)

    async def test_with_the_room(self, service: Service, anna: Person, boris: Person) -> None:
        group = await group_of(anna, boris)
        for person in (anna, boris):
            tus = Tus(person, group)
            await tus.append(await tus.begin(10), 0, b"Dear")
            await tus.upload(b"Dear")
            await tus.begin(10)
        for person in (anna, boris):
            await person.post(f"/rooms/{group}/leave")
        await Housekeeping(service.parts.database).sweep()
        assert (await count(service, Upload), await count(service, UploadPart)) == (0, 0)
        service.parts.outbox.wake()
        await emptied(service)

    async def test_where_a_part_is_missing_is_what_a_check_repairs(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        await tus.append(path, 0, b"De")
        await tus.append(path, 2, b"ar")
        (gone, _) = await stored_objects(service)
        await service.parts.files.store.delete([gone])
        findings = await service.parts.files.check.check()
        assert findings.missing == [gone]
        await service.parts.files.check.repair(findings)
        assert (await service.parts.files.check.check()).missing == []
        assert (await tus.head(path)).status == 404
        service.parts.outbox.wake()
        await emptied(service)
        assert timedelta(0) < SETTLED


class TestQuotas:
    @pytest.fixture
    async def service(self, start_service: StartService) -> Service:
        return await start_service(files={"quota_mib": 0.01, "max_mib": 0.008, "image_max_mib": 0.001})

    async def test_count_what_is_announced(self, anna: Person, tus: Tus, room: str) -> None:
        path = await tus.begin(8000)
        assert code(await tus.create(8000)) == (413, "quota_exceeded")
        answer = await anna.upload_raw(f"/rooms/{room}/files", Attachment("large.bin", b"x" * 8000))
        assert code(answer) == (413, "quota_exceeded")
        assert (await tus.append(path, 0, b"x" * 8000)).status == 204
        assert code(await tus.create(8000)) == (413, "quota_exceeded")
        await tus.create(2000)

    async def test_are_free_again_when_it_is_given_up(self, tus: Tus) -> None:
        await tus.terminate(await tus.begin(8000))
        await tus.begin(8000)

    async def test_hold_for_two_at_once(self, service: Service, tus: Tus) -> None:
        answers = await asyncio.gather(*(tus.create(8000) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 413, 413, 413]

    async def test_of_images_hold_at_the_end(self, service: Service, tus: Tus) -> None:
        data = picture("PNG", (300, 300))
        data += b"\0" * (2000 - len(data))
        path = await tus.begin(len(data), "cat.png", "image/png")
        answer = await tus.append(path, 0, data)
        assert (code(answer), fields(answer)) == ((413, "too_large"), [("file", "file_too_large")])
        assert await count(service, Upload) == 0


@pytest.mark.one_database
class TestLimits:
    async def test_a_full_disk_is_said_before_anything_is_taken(
        self, start_service: StartService, cast_of: Any
    ) -> None:
        service = await start_service(files={"reserve_mib": 2.0**40})
        tus = Tus(*await cast_of(service))
        path = await tus.begin(10)
        assert code(await tus.append(path, 0, b"0123456789")) == (507, "storage_full")

    async def test_what_the_operator_bans_is_refused_at_the_end(
        self, start_service: StartService, cast_of: Any
    ) -> None:
        service = await start_service(files={"banned_types": "exe"})
        tus = Tus(*await cast_of(service))
        path = await tus.begin(4, "setup.exe")
        await tus.append(path, 0, b"MZ")
        answer = await tus.append(path, 2, b"xx")
        assert (code(answer), fields(answer)) == ((415, "unsupported_type"), [("file", "banned_type")])
        assert (await tus.head(path)).status == 404
        await emptied(service)

    async def test_a_fourth_at_once_is_told_to_wait(self, start_service: StartService, cast_of: Any) -> None:
        service = await start_service(rate_limits="on")
        tus = Tus(*await cast_of(service))
        path = await tus.begin(1000)
        writers = [await tus.hold(path, 0, b"x", 1000) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            while len(list(service.parts.files.staging.directory.glob("*"))) < 3:
                await asyncio.sleep(0.02)
        answer = await tus.append(path, 0, b"x")
        assert code(answer) == (429, "rate_limited")
        for writer in writers:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while (await tus.append(path, 1, b"x")).status != 204:
                await asyncio.sleep(0.02)

    async def test_it_is_the_same_on_s3(self, start_service: StartService, cast_of: Any) -> None:
        with moto_s3() as url:
            service = await start_service(storage_url=under(url))
            anna, room = await cast_of(service)
            tus, data = Tus(anna, room), os.urandom(2 * PART + 10)
            path = await tus.begin(len(data))
            kept = await tus.cut(path, 0, data[: PART + 7], len(data))
            assert PART <= kept <= PART + 7
            assert (await tus.append(path, kept, data[kept:])).status == 204
            assert (await anna.fetch((await tus.state(path))["file"]["url"])).body == data
            await only_files(service)


async def test_several_nodes_continue_each_others(start_service: StartService, database: str) -> None:
    if database == "sqlite":
        pytest.skip("one process alone serves a SQLite file")
    one, other = await start_service(), await start_service()
    cast = Cast(one)
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    room = await cast.direct_room(anna, boris)
    path = await Tus(anna, room).begin(10)
    await Tus(anna, room).append(path, 0, b"Dear")
    elsewhere = Person(Cast(other), {"access_token": anna.token, "refresh_token": "", "user": anna.user})
    there = Tus(elsewhere, room)
    answers = await asyncio.gather(
        there.append(path, 4, b" Boris"), Tus(anna, room).append(path, 4, b" Boris"), return_exceptions=False
    )
    assert sorted(answer.status for answer in answers) == [204, 409]
    assert (await anna.fetch((await there.state(path))["file"]["url"], signed_in=True)).status == 200
    assert await count(one, File) == 1


@pytest.mark.one_database
class TestTheStockClient:
    async def test_goes_on_where_the_connection_was_cut(
        self, start_service: StartService, cast_of: Any, node: Node, tmp_path: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        service = await start_service(public_url=public_url)
        anna, room = await cast_of(service)
        path, data = tmp_path / "film.bin", os.urandom(6 * MIB + 123)
        path.write_bytes(data)
        (told,) = await node("tus.mjs", "cut", public_url, anna.token, str(path), room, service.url)
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
                while [each for each in (tmp_path / "uploads").rglob("*") if each.is_file() and seen["id"]][1:]:
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
