"""What becomes of uploads in pieces: broken off, continued by two at once, given up, forgotten, refused by a limit."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from src.db.models import File, OutboxItem, Upload, UploadPart
from src.services import cuts
from src.services.housekeeping import Housekeeping
from src.services.notices import DIGEST, PUSH

from .cast import PATIENCE, Attachment, Cast, Person, Service
from .conftest import StartService
from .pictures import picture
from .resumable import (
    BYTES,
    PART,
    Tus,
    code,
    expire,
    fields,
    nothing_waits,
    only_files,
    only_objects,
    parts_of,
)
from .s3 import moto_s3, under
from .test_file_life import backdate, cast_of, count
from .test_files import anna, boris, emptied, group_of, room, stored_objects
from .test_resumable import small_parts, tus

__all__ = ["anna", "boris", "cast_of", "room", "small_parts", "tus"]


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

    async def test_is_told_to_begin_once_and_only_if_it_may(self, service: Service, tus: Tus) -> None:
        """By whoever waits for a word before sending (RFC 9110 §10.1.1), however many parts follow."""
        path, data = await tus.begin(3 * PART), os.urandom(3 * PART)
        head = f"PATCH /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tus._person.token}\r\n"
        head += f"Tus-Resumable: 1.0.0\r\nContent-Type: {BYTES}\r\nExpect: 100-continue\r\nConnection: close\r\n"
        told = []
        for offset in (5, 0):
            reader, writer = await asyncio.open_connection("127.0.0.1", service.settings.port)
            writer.write(f"{head}Upload-Offset: {offset}\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            first = await asyncio.wait_for(reader.readline(), PATIENCE)
            if b"100" in first:
                writer.write(data)
            told.append(first + await asyncio.wait_for(reader.read(), PATIENCE))
            writer.close()
        assert (told[0].split()[1], b"100 Continue" in told[0]) == (b"409", False)
        assert (told[1].count(b"100 Continue"), b"HTTP/1.1 204" in told[1]) == (1, True)
        assert (await tus.state(path))["file"]["size"] == len(data)

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
        assert await waiting(service) == 0


class TestAtOnce:
    async def test_two_that_continue_make_one_part(self, service: Service, tus: Tus) -> None:
        path = await tus.begin(100)
        answers = await asyncio.gather(*(tus.append(path, 0, b"x" * 40) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [204, 409, 409, 409, 409]
        assert await parts_of(service) == [(0, 40)]
        await only_objects(service, 1)

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

    async def test_who_comes_second_waits_and_sees_what_the_first_has_done(
        self, service: Service, anna: Person, tus: Tus
    ) -> None:
        path = await tus.begin(100)
        upload_id = UUID(path.rpartition("/")[2])
        async with service.parts.database.transaction() as tx:
            await tx.uploads.locked(UUID(anna.id), upload_id)
            second = asyncio.create_task(tus.append(path, 0, b"x" * 10))
            await asyncio.sleep(0.5)
            assert not second.done()
            await tx.uploads.forget(upload_id)
        assert code(await second) == (404, "not_found")
        await emptied(service)

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
        await Housekeeping(service.parts.database, timedelta(days=90)).sweep()
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
    one, other = [await start_service(public_url="http://chatty.example.com") for _ in range(2)]
    cast = Cast(one)
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    room = await cast.direct_room(anna, boris)
    path = await Tus(anna, room).begin(10)
    await Tus(anna, room).append(path, 0, b"Dear")
    elsewhere = Person(Cast(other), {"access_token": anna.token, "refresh_token": "", "user": anna.user})
    there = Tus(elsewhere, room)
    answers = await asyncio.gather(*(each.append(path, 4, b" Boris") for each in (there, Tus(anna, room))))
    assert sorted(answer.status for answer in answers) == [204, 409]
    file = (await there.state(path))["file"]
    assert (await anna.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).body == b"Dear Boris"
    assert await count(one, File) == 1


async def waiting(service: Service) -> int:
    """How much work waits in the outbox but telling people something."""
    async with service.parts.database.snapshot() as reads:
        rows = select(func.count()).select_from(OutboxItem).where(OutboxItem.kind.not_in((PUSH, DIGEST)))
        return int(await reads._connection.scalar(rows) or 0)
