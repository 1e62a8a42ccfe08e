"""How files begin and end: nothing stays that nobody needs, whoever dies when, and nothing goes that somebody does."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select, update

from src.clock import now
from src.db.models import File, MessageFile, OutboxItem
from src.db.repositories.files import Files
from src.errors import Unavailable
from src.services import file_check, keeping
from src.services.housekeeping import Housekeeping

from .accounts import alter
from .cast import PATIENCE, Attachment, Cast, Person, Service, draft
from .conftest import StartService
from .pictures import picture
from .test_command import Operator
from .test_files import LETTER, PHOTO, anna, boris, emptied, group_of, room, stored_objects

__all__ = ["anna", "boris", "room"]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


async def count(service: Service, table: Any) -> int:
    async with service.parts.database.snapshot() as reads:
        return int((await reads._connection.execute(select(func.count()).select_from(table))).scalar_one())


async def backdate(service: Service, **passed: float) -> None:
    """Let every file have been uploaded so much earlier."""
    await alter(service, update(File).values(created_at=now() - timedelta(**passed)))


@pytest.fixture
def looked_through(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """From when on each sweep has looked; None for from the beginning."""
    since: list[Any] = []
    forget = Files.forget_old_unsent

    async def noted(self: Files, after: Any, before: Any, limit: int) -> list[str]:
        since.append(after)
        return await forget(self, after, before, limit)

    monkeypatch.setattr(Files, "forget_old_unsent", noted)
    return since


@pytest.mark.one_database
async def test_a_message_without_files_leaves_nothing_to_be_removed(
    service: Service, anna: Person, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[bool] = []
    monkeypatch.setattr(service.parts.edits, "_wake", lambda: woken.append(True))
    for files, times in (((), 0), ((LETTER,), 1)):
        sent = (
            await anna.send(room, *files) if files else (await anna.post(f"/rooms/{room}/messages", draft()))["message"]
        )
        await anna.delete(f"/messages/{sent['id']}")
        assert len(woken) == times


@pytest.mark.both_storages
class TestWhatIsNotSent:
    async def test_goes_after_a_day_with_its_bytes(self, service: Service, anna: Person, room: str) -> None:
        await anna.upload(room, LETTER, PHOTO)
        await backdate(service, hours=23.9)
        await service.parts.files.sweeps.sweep()
        assert await count(service, File) == 2
        await backdate(service, hours=24.1)
        await service.parts.files.sweeps.sweep()
        assert await count(service, File) == 0
        await emptied(service)

    async def test_is_not_looked_for_among_all_that_were_ever_sent(
        self, service: Service, anna: Person, room: str, looked_through: list[Any]
    ) -> None:
        await anna.upload(room, LETTER)
        sweeps, first = service.parts.files.sweeps, len(looked_through)
        await sweeps.sweep()
        await backdate(service, hours=47)
        await sweeps.sweep()
        assert await count(service, File) == 0, "held by somebody who then did not send it"
        assert looked_through[first:] and None not in looked_through[first:]

    async def test_stays_if_it_was_sent(self, service: Service, anna: Person, room: str) -> None:
        message = await anna.send(room, LETTER)
        await backdate(service, days=30)
        await service.parts.files.sweeps.sweep()
        assert (await anna.fetch(message["files"][0]["url"])).status == 200

    async def test_is_sent_or_swept_and_never_both(self, service: Service, anna: Person, room: str) -> None:
        files = [file for _ in range(5) for file in await anna.upload(room, LETTER)]
        await backdate(service, hours=25)
        sends = [anna.raw("POST", f"/rooms/{room}/messages", draft(file_ids=[file["id"]])) for file in files]
        *answers, _ = await asyncio.gather(*sends, service.parts.files.sweeps.sweep())
        await asyncio.sleep(0.2)
        for file, answer in zip(files, answers, strict=True):
            fetched = await anna.fetch(f"/api/v1/files/{file['id']}", signed_in=True)
            assert (answer.status, fetched.status) in ((201, 200), (422, 404)), answer.json

    async def test_goes_with_its_uploaders_account(self, service: Service, anna: Person, room: str) -> None:
        await anna.upload(room, LETTER)
        await anna.delete("/users/me", {"password": anna.password})
        assert await count(service, File) == 0
        await emptied(service)


@pytest.mark.both_storages
class TestWhatWasSent:
    async def test_stays_when_its_sender_deletes_the_account(
        self, service: Service, anna: Person, boris: Person, room: str
    ) -> None:
        await anna.send(room, LETTER)
        await anna.delete("/users/me", {"password": anna.password})
        (line,) = (await boris.get(f"/rooms/{room}/messages"))["items"]
        assert line["sender"]["nickname"] is None
        assert (await boris.fetch(line["files"][0]["url"])).body == LETTER.data

    async def test_goes_with_a_group_that_everybody_has_left(
        self, service: Service, anna: Person, boris: Person
    ) -> None:
        group = await group_of(anna, boris)
        await anna.send(group, PHOTO)
        await boris.upload(group, LETTER)
        for person in (anna, boris):
            await person.post(f"/rooms/{group}/leave")
        await Housekeeping(service.parts.database, timedelta(days=90)).sweep()
        assert (await count(service, File), await count(service, MessageFile)) == (0, 0)
        service.parts.outbox.wake()
        await emptied(service)


class TestQuotas:
    @pytest.fixture
    async def service(self, start_service: StartService) -> Service:
        return await start_service(files={"quota_mib": 0.01, "max_mib": 0.008})

    async def test_hold_and_deleting_makes_room(self, service: Service, anna: Person, room: str) -> None:
        large = Attachment("large.bin", b"x" * 8000)
        message = await anna.send(room, large)
        answer = await anna.upload_raw(f"/rooms/{room}/files", large)
        assert (answer.status, answer.json["code"]) == (413, "quota_exceeded")
        await anna.delete(f"/messages/{message['id']}")
        assert (await anna.upload_raw(f"/rooms/{room}/files", large)).status == 201

    async def test_hold_for_two_at_once(self, service: Service, anna: Person, room: str) -> None:
        large = Attachment("large.bin", b"x" * 8000)
        answers = await asyncio.gather(*(anna.upload_raw(f"/rooms/{room}/files", large) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 413, 413, 413]
        async with asyncio.timeout(PATIENCE):
            while len(await stored_objects(service)) > 1:
                await asyncio.sleep(0.02)

    async def test_are_of_each_person(self, service: Service, anna: Person, boris: Person, room: str) -> None:
        for person in (anna, boris):
            await person.upload(room, Attachment("large.bin", b"x" * 8000))

    async def test_a_file_too_large_says_which(self, service: Service, anna: Person, room: str) -> None:
        answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER, Attachment("large.bin", b"x" * 9000))
        assert (answer.status, answer.json["code"]) == (413, "too_large")
        assert [(error["field"], error["code"]) for error in answer.json["errors"]] == [("files.1", "file_too_large")]


@pytest.mark.one_database
class TestLimits:
    async def test_a_full_disk_is_said_before_anything_is_taken(
        self, start_service: StartService, cast_of: Any
    ) -> None:
        service = await start_service(files={"reserve_mib": 2.0**40})
        anna, room = await cast_of(service)
        answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER)
        assert (answer.status, answer.json["code"]) == (507, "storage_full")
        assert (await count(service, File), await stored_objects(service)) == (0, [])

    async def test_what_the_operator_bans_is_refused_by_content_too(
        self, start_service: StartService, cast_of: Any
    ) -> None:
        service = await start_service(files={"banned_types": "exe, .sh"})
        anna, room = await cast_of(service)
        program = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + b"\0" * 200
        for file in (Attachment("setup.EXE", b"x"), Attachment("run.sh", b"x"), Attachment("cat.png", program)):
            answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER, file)
            assert (answer.status, answer.json["code"]) == (415, "unsupported_type"), file
            assert (answer.json["errors"][0]["field"], answer.json["errors"][0]["code"]) == ("files.1", "banned_type")

    async def test_a_fourth_upload_at_once_is_told_to_wait(self, start_service: StartService, cast_of: Any) -> None:
        service = await start_service(rate_limits="on")
        anna, room = await cast_of(service)
        body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + b"x" * 50_000
        head = f"POST /api/v1/rooms/{room}/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {anna.token}\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
        port = service.settings.port
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                stack.callback(writer.close)
                writer.write(head.encode() + body)
            async with asyncio.timeout(PATIENCE):
                while len(list(service.parts.files.staging.directory.glob("*"))) < 3:
                    await asyncio.sleep(0.02)
            answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER)
            assert (answer.status, answer.json["code"]) == (429, "rate_limited")
        async with asyncio.timeout(PATIENCE):  # whoever vanished has left nothing, and makes room
            while list(service.parts.files.staging.directory.glob("*")):
                await asyncio.sleep(0.02)
        await anna.upload(room, LETTER)


@pytest.fixture
async def cast_of() -> AsyncIterator[Any]:
    """`await cast_of(service)`: Anna, and a room of hers with Boris, in a service with settings of its own."""

    async def people(service: Service) -> tuple[Person, str]:
        cast = Cast(service)
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        return anna, await cast.direct_room(anna, boris)

    yield people


@pytest.mark.both_storages
class TestDyingInTheMiddle:
    async def test_what_is_stored_and_never_claimed_is_removed_by_the_outbox(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As whoever is killed between storing and COMMIT leaves it."""
        source = tmp_path / "source"
        source.write_bytes(b"x")
        monkeypatch.setattr(keeping.Keeping, "_take_back", _nothing)
        with contextlib.suppress(asyncio.CancelledError):
            async with service.parts.files.files._keeping.stored({"chat/documents/ab/abcd": source}):
                raise asyncio.CancelledError
        assert await stored_objects(service)
        await time_passes(service)
        await emptied(service)

    async def test_what_took_too_long_is_not_claimed_under_the_removers_hands(
        self, service: Service, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"x")
        with pytest.raises(Unavailable):
            async with service.parts.files.files._keeping.stored({"chat/documents/ab/abcd": source}) as kept:
                await alter(service, update(OutboxItem).values(attempts=1))
                async with service.parts.database.transaction() as tx:
                    await kept.claim(tx)

    async def test_what_a_slow_storage_takes_too_late_is_refused_before_the_remover_has_passed(
        self, service: Service, anna: Person, room: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put, store = type(service.parts.files.store).put, service.parts.files.store

        async def slowly(self: Any, key: str, source: Path) -> None:
            await put(self, key, source)
            await asyncio.sleep(0.3)

        monkeypatch.setattr(type(store), "put", slowly)
        monkeypatch.setattr(keeping, "TO_BE_STORED_WITHIN_SECONDS", 0.5)
        answer = await anna.upload_raw(f"/rooms/{room}/files", *[LETTER] * 4)
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        await time_passes(service)
        await emptied(service)

    async def test_what_the_storage_takes_after_it_has_failed_is_removed_too(
        self, service: Service, anna: Person, room: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """As an S3 does that answers late: the request is lost, and the object is there."""
        put, store, late = type(service.parts.files.store).put, service.parts.files.store, []

        async def fail(self: Any, key: str, source: Path) -> None:
            late.append(key)
            raise TimeoutError

        monkeypatch.setattr(type(store), "put", fail)
        assert (await anna.upload_raw(f"/rooms/{room}/files", LETTER)).status == 503
        await asyncio.sleep(0.2)
        source = tmp_path / "source"
        source.write_bytes(b"x")
        await put(store, *late, source)
        await time_passes(service)
        await emptied(service)

    @pytest.mark.slow
    @pytest.mark.one_database
    async def test_a_killed_service_leaves_no_half_file_behind_when_it_comes_back(
        self, operator: Operator, tmp_path: Path
    ) -> None:
        storage = tmp_path / "uploads"
        async with operator.serving("--migrate") as process:
            await _upload_half(operator, storage)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert list(storage.rglob("*.part"))
        async with operator.serving(), asyncio.timeout(PATIENCE):
            while list(storage.rglob("*.part")):
                await asyncio.sleep(0.05)


async def time_passes(service: Service) -> None:
    """Let what the outbox waits for be due."""
    await alter(service, update(OutboxItem).values(due_at=now()))
    service.parts.outbox.wake()


async def _nothing(*_: Any) -> None:
    return


async def _upload_half(operator: Operator, storage: Path) -> None:
    """Begin an upload, and return when some of it lies there."""
    async with aiohttp.ClientSession(operator.url) as http:
        body = {"email": "anna@example.com", "password": "a cold morning", "nickname": "Anna", "session": "token"}
        anna = await (await http.post("/api/v1/auth/register", json=body)).json()
        boris = await (await http.post("/api/v1/auth/register", json=body | {"email": "boris@example.com"})).json()
        mine = {"Authorization": f"Bearer {anna['access_token']}"}
        opened = await http.post("/api/v1/rooms", json={"kind": "direct", "user_id": boris["user"]["id"]}, headers=mine)
        room = (await opened.json())["id"]
    _, writer = await asyncio.open_connection("127.0.0.1", operator.port)
    head = f"POST /api/v1/rooms/{room}/files HTTP/1.1\r\nHost: x\r\nAuthorization: {mine['Authorization']}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 20000000\r\n\r\n"
    writer.write(head.encode() + b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n')
    writer.write(b"x" * 5_000_000)
    async with asyncio.timeout(PATIENCE):
        while not any(part.stat().st_size for part in storage.rglob("*.part")):
            await asyncio.sleep(0.05)


@pytest.mark.both_storages
class TestTheCheck:
    async def test_finds_nothing_where_all_is_well(self, service: Service, anna: Person, room: str) -> None:
        await anna.send(room, PHOTO, LETTER)
        await anna.upload(room, LETTER)
        findings = await service.parts.files.check.check()
        assert (findings.sound, findings.objects) == (True, 4)

    async def test_misses_nothing_that_is_just_being_removed(
        self, service: Service, anna: Person, room: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = await anna.send(room, PHOTO)
        keys = await stored_objects(service)
        async with service.parts.database.transaction() as tx:
            await tx.outbox.add("remove_objects", {"keys": keys}, now(), now() + timedelta(hours=1))
        await anna.delete(f"/messages/{message['id']}")
        await emptied(service)
        assert (await service.parts.files.check.check()).sound

    async def test_finds_and_removes_what_belongs_to_nothing(
        self, service: Service, anna: Person, room: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await anna.send(room, LETTER)
        source = tmp_path / "source"
        source.write_bytes(b"x")
        await service.parts.files.store.put("chat/documents/ab/abcd", source)
        assert (await service.parts.files.check.check()).sound  # it may be on its way
        monkeypatch.setattr(file_check, "SETTLED", timedelta(seconds=-2))  # an hour has passed; S3 counts seconds
        findings = await service.parts.files.check.check()
        assert findings.orphans == ["chat/documents/ab/abcd"]
        assert (await service.parts.files.check.repair(findings)).sound
        assert len(await stored_objects(service)) == 1

    async def test_finds_what_is_missing_or_cut_and_what_it_is_to_people(
        self, service: Service, anna: Person, room: str
    ) -> None:
        letter = (await anna.send(room, LETTER))["files"][0]
        photo = (await anna.send(room, PHOTO))["files"][0]
        (unsent,) = await anna.upload(room, LETTER)
        store, gone = service.parts.files.store, []
        async with service.parts.database.snapshot() as reads:
            rows = (await reads._connection.execute(select(File))).all()
        for row in rows:
            gone += [row.key] if row.kind == "document" else [row.thumbnail_key]
        await store.delete(gone)
        assert (await anna.fetch(letter["url"])).status == 410
        findings = await service.parts.files.check.check()
        assert findings.missing == sorted(gone)
        left = await service.parts.files.check.repair(findings)
        kept = [row.key for row in rows if str(row.id) == letter["id"]]
        assert left.missing == kept
        assert (await anna.fetch(photo["thumbnail_url"])).status == 404
        assert (await anna.fetch(photo["url"])).status == 200
        (line,) = [each for each in (await anna.get(f"/rooms/{room}/messages"))["items"] if each["kind"] == "image"]
        assert line["files"][0]["thumbnail_url"] is None
        assert (await anna.fetch(f"/api/v1/files/{unsent['id']}", signed_in=True)).status == 404

    @pytest.mark.one_database
    async def test_is_a_command(self, operator: Operator, tmp_path: Path) -> None:
        assert (await operator.run("migrate")).status == 0
        ended = await operator.run("files", "check")
        assert (ended.status, "agree" in ended.output) == (0, True), ended
        orphan = tmp_path / "uploads" / "chat" / "images" / "ab" / "abcd.png"
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(picture("PNG"))
        os.utime(orphan, (1, 1))
        ended = await operator.run("files", "check")
        assert (ended.status, "abcd.png" in ended.output) == (1, True), ended
        assert (await operator.run("files", "check", "--repair")).status == 0
        assert not orphan.exists()
