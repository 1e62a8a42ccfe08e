"""Uploads that survive a broken connection (tus 1.0): the protocol, and who may."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import uuid4

import pytest

from src.clock import now
from src.db.models import File, Upload, UploadPart
from src.errors import Unavailable
from src.services import cuts, resumable
from src.services.keeping import Keeping

from .cast import PATIENCE, Cast, Person, Service, draft
from .conftest import StartService
from .pictures import opened, picture
from .resumable import (
    MIB,
    PART,
    Tus,
    code,
    fields,
    metadata,
    nothing_waits,
    only_files,
    parts_of,
    path_of,
)
from .test_file_life import count
from .test_files import anna, boris, emptied, group_of, mallory, room, stored_objects

__all__ = ["anna", "boris", "mallory", "room"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is soon full."""
    monkeypatch.setattr(cuts, "PART_BYTES", PART)


@pytest.fixture
def tus(anna: Person, room: str) -> Tus:
    return Tus(anna, room)


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

    async def test_more_than_was_announced_before_it_comes(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(10)
        reader, writer = await tus.connect(path, 0, b"", 11)
        assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 413")
        writer.write(b"x" * 11)
        await asyncio.wait_for(reader.readuntil(b'"}'), PATIENCE)
        writer.close()

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
        for body in (b"Dear", b"0123456789"):
            assert code(await tus.append(path, 0, body)) == (403, "blocked")
        assert await tus.offset(path) == 0
        await boris.delete(f"/blocks/{anna.id}")
        assert (await tus.append(path, 0, b"0123456789")).status == 204
