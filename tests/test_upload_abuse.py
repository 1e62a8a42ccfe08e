"""What somebody sends who means harm (verification.md 4b.2), through the real door.

Each case says its status and its code, or how the file goes out again; and that nothing stays of what was refused, that
the service goes on answering, and that its log knows of no error.
"""

import asyncio
import contextlib
import errno
import gzip
import logging
import re
import unicodedata
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from src.controllers import bodies
from src.db.models import File
from src.errors import StorageFull
from src.file_settings import MIB
from src.storage.staging import Staging

from . import hostile_files
from .cast import PATIENCE, Answer, Attachment, Fetched, Person, Service, draft
from .conftest import StartService
from .controllers.post_office import BOUNDARY, body, headers, part
from .pictures import opened, picture
from .test_file_life import time_passes
from .test_files import LETTER, anna, boris, emptied, group_of, room, stored_objects

__all__ = ["anna", "boris", "room"]

pytestmark = pytest.mark.one_database

ANY = "application/octet-stream"
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(files={"max_mib": 2})


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[list[Any]]:
    """Whatever comes in, nothing of it is an error of ours."""
    with capture_logs() as said:
        yield said
    assert any(each["event"] == "request" for each in said), "nothing is heard of the log"
    loud = [each for each in said if each["log_level"] in ("error", "critical") or "exc_info" in each]
    loud += [each for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]
    assert not loud, loud
    assert all(each.get("status") in (None, 503, 507) or each["status"] < 500 for each in said)


class Door:
    """Where Anna hands in what she has. `count`: how many cases there were."""

    def __init__(self, service: Service, anna: Person, room: str) -> None:
        self.service, self.anna, self.path = service, anna, f"/rooms/{room}/files"
        self.count = 0

    async def form(self, *parts: Any, **how: Any) -> Answer:
        return await self.anna.raw("POST", self.path, data=body(*parts), headers=headers(), **how)

    async def left(self) -> tuple[int, list[str], int]:
        """Rows, objects, and how many parts wait."""
        async with self.service.parts.database.snapshot() as reads:
            rows = (await reads._connection.execute(select(func.count()).select_from(File))).scalar_one()
        waiting = len(list(self.service.parts.files.staging.directory.glob("*")))
        return int(rows), await stored_objects(self.service), waiting

    @contextlib.asynccontextmanager
    async def without_a_trace(self, about: str) -> AsyncIterator[None]:
        """Whatever happens within, nothing of it stays, and the service answers."""
        self.count += 1
        before = await self.left()
        yield
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while await self.left() != before:
                    await asyncio.sleep(0.02)
        assert await self.left() == before, about
        await self.answers(about)

    async def answers(self, about: str) -> None:
        async with self.service.http.get("/readyz") as ready:
            assert ready.status == 200, about

    async def refused(self, about: str, *parts: Any, status: int, code: str, error: str | None = None) -> None:
        async with self.without_a_trace(about):
            answer = await self.form(*parts)
        assert (answer.status, answer.json["code"]) == (status, code), f"{about}: {answer}"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if error:
            assert [each["code"] for each in answer.json["errors"]] == [error], f"{about}: {answer.json}"

    async def taken(self, about: str, file: Any) -> tuple[Any, Fetched]:
        """What was made of it, and how it goes out."""
        self.count += 1
        answer = await self.form(file)
        assert answer.status == 201, f"{about}: {answer.json}"
        (view,) = answer.json["items"]
        got = await self.anna.fetch(view["url"])
        assert (got.status, len(got.body)) == (200, view["size"]), about
        assert {name: got.headers.get(name) for name in SAFE} == SAFE, about
        assert "Set-Cookie" not in got.headers
        kind = "inline" if view["kind"] == "image" else "attachment"
        assert said_name(got, kind) == view["name"], f"{about}: {got.headers['Content-Disposition']}"
        await self.answers(about)
        return view, got


def said_name(got: Fetched, kind: str) -> str:
    """The name in a Content-Disposition that is exactly as it may be."""
    form = rf"{kind}; filename=\"([ !#-$&-\[\]-~]*)\"(?:; filename\*=UTF-8''([!#$&+.^_`|~0-9A-Za-z%-]+))?"
    found = re.fullmatch(form, got.headers["Content-Disposition"])
    assert found, got.headers["Content-Disposition"]
    return unquote(found[2]) if found[2] else found[1]


@pytest.fixture
def door(service: Service, anna: Person, room: str) -> Door:
    return Door(service, anna, room)


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "....//....//x": "x",
    "/etc/shadow": "shadow",
    "C:\\Windows\\win.ini": "win.ini",
    "\\\\server\\share\\a.txt": "a.txt",
    "%2e%2e%2fetc%2fpasswd": "%2e%2e%2fetc%2fpasswd",
    "..%c0%af..%c0%afpasswd": "%c0%af..%c0%afpasswd",
    "a" * 296 + ".txt": "a" * 196 + ".txt",
    "가" * 100 + ".txt": "가" * 65 + ".txt",
    "a." + "b" * 298: ("a." + "b" * 198),
    "CON": "_CON",
    "con.txt": "_con.txt",
    "NUL.tar.gz": "_NUL.tar.gz",
    "LPT9": "_LPT9",
    "photo\u202egpj.exe": "photogpj.exe",
    "a\u2066b\u2069.txt": "ab.txt",
    ".htaccess": "htaccess",
    "...": "file",
    ".": "file",
    "..": "file",
    "dir/": "file",
    " ": "file",
    "": "file",
    "name.txt. . .": "name.txt",
    "a%22b.txt": "a_b.txt",
    "a%0D%0ASet-Cookie: x=y": "aSet-Cookie_ x=y",
    "a\tb\x7f\x1b[31m.txt": "ab[31m.txt",
    "a<b>|c?d*e:f.txt": "a_b__c_d_e_f.txt",
    "a.txt::$DATA": "a.txt__$DATA",
    "line\u2028break.txt": "linebreak.txt",
    unicodedata.normalize("NFD", "휴가.txt"): "휴가.txt",
    "👩‍👩‍👧.txt": "👩‍👩‍👧.txt",
    "javascript:alert(1)": "javascript_alert(1)",
    "'; DROP TABLE files;--.txt": "'; DROP TABLE files;--.txt",
    "{{7*7}}${7*7}.txt": "{{7_7}}${7_7}.txt",
    "`id`;$(id)&.txt": "`id`;$(id)&.txt",
    "\udcff\udcfe.txt": "\ufffd\ufffd.txt",
    "__proto__": "__proto__",
}


class TestNames:
    async def test_are_made_fit_to_be_saved_under(self, door: Door) -> None:
        for given, kept in NAMES.items():
            view, got = await door.taken(repr(given), part(name=given, kind=ANY))
            assert (view["name"], got.body) == (kept, b"hello"), repr(given)
            assert len(kept.encode()) <= 200

    async def test_in_their_other_spelling_too(self, door: Door) -> None:
        for spelt, kept in {
            "filename*=UTF-8''..%2F..%2Fetc%2Fpasswd": "passwd",
            "filename=\"a.txt\"; filename*=UTF-8''..%5Cb.exe": "b.exe",
            "filename*=UTF-8''%E2%80%AEgpj.exe; filename=a.txt": "gpj.exe",
            "filename*=UTF-8''a%00b.txt": "ab.txt",
            "filename*=UTF-8''%ff%fe.txt": "\ufffd\ufffd.txt",
            "filename*=UTF-7''+AC4ALg-; filename=a.txt": "a.txt",
            "filename=../../a.txt": "a.txt",
        }.items():
            view, _ = await door.taken(spelt, (f'Content-Disposition: form-data; name="files"; {spelt}\r\n', b"x"))
            assert view["name"] == kept, spelt

    async def test_that_are_no_names_are_refused(self, door: Door) -> None:
        form = 'Content-Disposition: form-data; name="files"; filename="a.txt"'
        for about, head in {
            "NUL": form.replace("a.txt", "a\0.txt"),
            "filename twice": f'{form}; filename="b.txt"',
            "filename* twice": f"{form}; filename*=UTF-8''b; filename*=UTF-8''c",
            "name twice": f'{form}; name="other"',
            "header twice": f"{form}\r\n{form}",
            "no form-data": form.replace("form-data", "attachment"),
            "none at all": "X-Header: x",
            "base64": f"{form}\r\nContent-Transfer-Encoding: base64",
            "too long": form.replace("a.txt", "a" * 5000),
            "a header of no name": f"{form}\r\n: x",
        }.items():
            await door.refused(about, part(), (f"{head}\r\n", b"x"), status=400, code="malformed")

    async def test_of_fields_that_there_are_not_are_refused(self, door: Door) -> None:
        text = ('Content-Disposition: form-data; name="files"\r\n', b"../../etc/passwd")
        for about, parts, error in (
            ("another field", [part("file")], "unexpected_field"),
            ("a text beside the file", [part(), text], "unexpected_field"),
            ("a field like a path", [part("files/../x")], "unexpected_field"),
            ("a field like an index", [part("files[0]")], "unexpected_field"),
            ("eleven files", [part()] * 11, "too_many_files"),
            ("an empty file", [part(), part(data=b"")], "empty_file"),
            ("no file", [], "missing"),
            ("a field left empty", [part(name="", data=b"")], "missing"),
        ):
            await door.refused(about, *parts, status=422, code="invalid", error=error)


class TestWhatCouldRun:
    async def test_goes_out_as_bytes_to_be_saved(self, door: Door) -> None:
        for name, (kind, data) in hostile_files.ACTIVE.items():
            view, got = await door.taken(name, part(name=name, data=data, kind=kind))
            assert (view["kind"], got.body, got.headers["Content-Type"]) == ("document", data, ANY), name

    async def test_also_where_it_says_that_it_is_a_picture(self, door: Door) -> None:
        cases = {**hostile_files.ACTIVE, "letter.pdf": ("application/pdf", hostile_files.PDF)}
        for name, (_, data) in cases.items():
            view, got = await door.taken(name, part(name="cat.png", data=data, kind="image/png"))
            assert (view["kind"], view["thumbnail_url"]) == ("document", None), name
            assert (got.body, got.headers["Content-Type"]) == (data, "application/octet-stream"), name
            assert got.headers["Content-Disposition"] == 'attachment; filename="cat.png"'

    async def test_a_pdf_is_to_be_saved(self, door: Door) -> None:
        _, got = await door.taken("PDF", part(name="a.pdf", data=hostile_files.PDF, kind="application/pdf"))
        assert (got.body, got.headers["Content-Type"]) == (hostile_files.PDF, "application/pdf")
        assert got.headers["Content-Disposition"] == 'attachment; filename="a.pdf"'

    async def test_a_type_that_is_none_is_not_repeated(self, door: Door) -> None:
        for kind in ("text/html\x01", "a", "a/b/c", "text/ html", "*/*", 'text/plain;x=""<script>', "x" * 3000 + "/y"):
            _, got = await door.taken(kind[:50], part(name="x", kind=kind))
            assert got.headers["Content-Type"] in (ANY, "text/plain"), kind

    async def test_pictures_that_are_not_shown_are_not_read(self, door: Door) -> None:
        for name, data in hostile_files.UNSHOWN.items():
            view, got = await door.taken(name, part(name=name, data=data, kind="image/png"))
            assert (view["kind"], got.body) == ("document", data), name

    async def test_archives_are_kept_and_never_opened(self, door: Door) -> None:
        for name, data in hostile_files.archives():
            view, got = await door.taken(name, part(name=name, data=data, kind="application/zip"))
            assert (view["kind"], got.body) == ("document", data), name
        assert len(hostile_files.overlapping_zip()) < 42 * 1024


@pytest.mark.slow
class TestPictures:
    async def test_are_nothing_else_besides(self, door: Door) -> None:
        for about, data in hostile_files.polyglots():
            assert b"hostile" in data or b"PK\3\4" in data or b"zip" in about.encode(), about
            view, got = await door.taken(about, part(name="cat.png", data=data, kind="image/png"))
            thumbnail = (await door.anna.fetch(view["thumbnail_url"])).body
            for sent in (got.body, thumbnail):
                assert opened(sent).size == (120, 80), about
                assert not re.search(b"hostile|script|PK\3\4|PK\5\6", sent), about
                assert "icc_profile" not in opened(sent).info, about

    async def test_do_not_say_where_they_were_taken(self, door: Door) -> None:
        for about, data in hostile_files.photographs():
            assert b"hostile-camera" in data and opened(data).getexif(), about
            view, got = await door.taken(about, part(name="cat.jpg", data=data, kind="image/jpeg"))
            for sent in (got.body, (await door.anna.fetch(view["thumbnail_url"])).body):
                picture_out = opened(sent)
                assert not dict(picture_out.getexif()) and "exif" not in picture_out.info, about
                assert b"hostile" not in sent and hostile_files.PLACE.encode() not in sent, about

    async def test_that_lie_about_themselves_are_what_they_are(self, door: Door) -> None:
        for about, (name, kind, data, kept, found) in hostile_files.LIES.items():
            view, got = await door.taken(about, part(name=name, data=data, kind=kind))
            assert (view["kind"], view["name"], view["content_type"]) == ("image", kept, found), about
            assert got.headers["Content-Type"] == found, about

    async def test_that_are_too_large_are_not_decoded(self, door: Door) -> None:
        for about, data in hostile_files.too_large():
            assert len(data) < 2 * MIB, about
            await door.refused(
                about, part(), part(name="a.png", data=data), status=413, code="too_large", error="too_many_pixels"
            )

    async def test_that_cannot_be_read_are_refused(self, door: Door) -> None:
        for about, data in hostile_files.unreadable():
            await door.refused(
                about, part(name="a.png", data=data), status=422, code="unreadable_image", error="unreadable_image"
            )

    async def test_that_swell_are_read_without_or_not_at_all(self, door: Door) -> None:
        for about, data in hostile_files.swollen():
            door.count += 1
            answer = await door.form(part(name="a.png", data=data))
            assert (answer.status, (answer.json or {}).get("code")) in (
                (201, None), (413, "too_large"), (422, "unreadable_image"),
            ), f"{about}: {answer}"  # fmt: skip
            await door.answers(about)
            for view in answer.json.get("items", ()):
                assert len((await door.anna.fetch(view["url"])).body) < 10_000, about


class TestSizes:
    async def test_beyond_the_limit_are_refused(self, door: Door) -> None:
        large = part(data=b"x" * (2 * MIB + 1))
        await door.refused("one byte more", part(), large, status=413, code="too_large", error="file_too_large")
        await door.refused("a large body", *[large] * 11, status=413, code="too_large", error="file_too_large")

        async def chunks() -> AsyncIterator[bytes]:
            data = body(large)
            for at in range(0, len(data), 64 * 1024):
                yield data[at : at + 64 * 1024]

        async with door.without_a_trace("chunked"):
            answer = await door.anna.raw("POST", door.path, data=chunks(), headers=headers())
        assert (answer.status, answer.json["errors"][0]["code"]) == (413, "file_too_large")

    async def test_of_exactly_the_limit_are_taken(self, door: Door) -> None:
        view, _ = await door.taken("2 MiB", part(data=b"x" * 2 * MIB))
        assert view["size"] == 2 * MIB

    async def test_that_lie_are_found_out(self, door: Door) -> None:
        whole = body(part(data=b"x" * 1000))
        for about, head, sent, status in (
            ("shorter", f"Content-Length: {len(whole) - 500}", whole, b"400"),
            ("longer, and gone", f"Content-Length: {len(whole) + 5000}", whole[:-30], None),
            ("minus one", "Content-Length: -1", whole, b"400"),
            ("a number of letters", "Content-Length: 0x10", whole, b"400"),
            ("two lengths", f"Content-Length: {len(whole)}\r\nContent-Length: 5", whole, b"400"),
            ("a length and chunks", f"Content-Length: {len(whole)}\r\nTransfer-Encoding: chunked", whole, b"400"),
            ("chunks of no size", "Transfer-Encoding: chunked", b"zz\r\n" + whole, b"400"),
            ("an endless chunk", "Transfer-Encoding: chunked", b"FFFFFFFFFFFFFFFFF\r\nx", b"400"),
            ("chunks that end early", "Transfer-Encoding: chunked", b"64\r\n" + whole[:100] + b"\r\n0\r\n\r\n", b"400"),
            ("gzip", f"Content-Encoding: gzip\r\nContent-Length: {len(whole)}", whole, b"415"),
            ("a billion", "Content-Length: 1000000000", whole[:100], b"413"),
        ):
            async with door.without_a_trace(about):
                answer = await raw(door, head, sent, hang_up=status is None)
            assert status is None or re.match(b"HTTP/1.[01] " + status, answer), f"{about}: {answer[:300]!r}"

    async def test_that_are_packed_are_not_unpacked(self, door: Door) -> None:
        packed = gzip.compress(body(part(data=bytes(MIB))))
        for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip", "x"):
            async with door.without_a_trace(encoding):
                answer = await door.anna.raw(
                    "POST", door.path, data=packed, headers={**headers(), "Content-Encoding": encoding}
                )
            assert (answer.status, answer.json["code"]) == (415, "unsupported_type"), encoding

    async def test_of_other_bodies_are_refused(self, door: Door) -> None:
        for about, kind, status, code in (
            ("JSON", "application/json", 415, "unsupported_type"),
            ("nothing", "", 415, "unsupported_type"),
            ("mixed", f"multipart/mixed; boundary={BOUNDARY}", 415, "unsupported_type"),
            ("no boundary", "multipart/form-data", 400, "malformed"),
            ("an empty boundary", 'multipart/form-data; boundary=""', 400, "malformed"),
            ("a long boundary", f"multipart/form-data; boundary={'b' * 71}", 400, "malformed"),
            ("another boundary", "multipart/form-data; boundary=other", 400, "malformed"),
        ):
            async with door.without_a_trace(about):
                answer = await door.anna.raw("POST", door.path, data=body(part()), headers={"Content-Type": kind})
            assert (answer.status, answer.json["code"]) == (status, code), f"{about}: {answer}"


async def raw(door: Door, head: str, sent: bytes, *, hang_up: bool = False, pause: float = 0) -> bytes:
    """Send an upload as bytes; what is answered. `pause`: between one byte and the next."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.service.settings.port)
    request = f"POST /api/v1{door.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {door.anna.token}\r\n"
    request += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nConnection: close\r\n{head}\r\n\r\n"
    try:
        writer.write(request.encode())
        if pause:
            return await drop_by_drop(reader, writer, sent, pause)
        writer.write(sent)
        if hang_up:
            await asyncio.sleep(0.1)
            return b""
        async with asyncio.timeout(2 * PATIENCE):
            return await everything(reader)
    finally:
        writer.close()


async def everything(reader: asyncio.StreamReader) -> bytes:
    """What is answered until the connection ends, however it does: a service may lose patience with who goes on."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(4096):
            received += piece
    return received


async def drop_by_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes, pause: float) -> bytes:
    answer = asyncio.ensure_future(everything(reader))
    for byte in sent:
        writer.write(bytes([byte]))
        await asyncio.wait([answer], timeout=pause)
        if answer.done():
            break
    return await answer


class TestTime:
    @pytest.fixture(autouse=True)
    def impatience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.5)

    async def test_that_is_wasted_ends(self, door: Door) -> None:
        whole = body(part(data=b"x" * 1000))
        for about, sent, pause in (
            ("a byte now and then", whole, 0.05),
            ("half, and silence", whole[:500], 0),
            ("nothing", b"", 0),
        ):
            async with door.without_a_trace(about):
                answer = await raw(door, f"Content-Length: {len(whole)}", sent, pause=pause)
            assert answer.startswith(b"HTTP/1.1 408"), f"{about}: {answer!r}"
            assert b'"too_slow"' in answer


class TestMany:
    async def test_at_once_good_and_bad_do_not_mix(self, door: Door) -> None:
        forms = [
            door.form(part(name=str(number), data=bytes([number]) * 100_000))
            if number % 3
            else door.form(part(data=b"x" * 3 * MIB) if number % 2 else part(name="a.png", data=b"GIF89a" + bytes(20)))
            for number in range(30)
        ]
        answers = await asyncio.gather(*forms)
        assert {answer.status for answer in answers[::3]} == {413, 422}
        for number, answer in enumerate(answers):
            if number % 3:
                (view,) = answer.json["items"]
                assert view["name"] == str(number)
                assert (await door.anna.fetch(view["url"])).body == bytes([number]) * 100_000
        rows, objects, waiting = await door.left()
        assert (rows, len(objects), waiting) == (20, 20, 0)


class TestAFullDisk:
    async def test_in_the_middle_of_a_file_refuses_it(self, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []

        def nearly_full(self: Staging, coming: int) -> None:
            asked.append(coming)
            if len(asked) > 1:
                raise StorageFull

        monkeypatch.setattr(Staging, "refuse_if_full", nearly_full)
        await door.refused("the reserve", part(data=b"x" * 2 * MIB), status=507, code="storage_full")

    @pytest.mark.parametrize("kind", ["document", "image"])
    async def test_that_the_system_reports_refuses_all(
        self, door: Door, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        store = type(door.service.parts.files.store)
        put, done = store.put, []

        async def full(self: Any, key: str, source: Any) -> None:
            if done:
                raise StorageFull from OSError(errno.ENOSPC, "No space left on device")
            done.append(key)
            await put(self, key, source)

        monkeypatch.setattr(store, "put", full)
        files = [part(data=b"x"), part(data=b"y")] if kind == "document" else [part(data=picture("PNG"))]
        answer = await door.form(*files)
        assert (answer.status, answer.json["code"]) == (507, "storage_full")
        assert (await door.left())[0::2] == (0, 0)
        await time_passes(door.service)
        await emptied(door.service)


class TestIds:
    async def test_of_others_open_and_send_nothing(
        self, door: Door, anna: Person, boris: Person, room: str, service: Service
    ) -> None:
        (theirs,) = await boris.upload(room, LETTER)
        (elsewhere,) = await anna.upload(await group_of(anna, boris), LETTER)
        gone = await anna.send(room, LETTER)
        await anna.delete(f"/messages/{gone['id']}")
        for about, file_id in {
            "another's": theirs["id"], "of another room": elsewhere["id"], "deleted": gone["files"][0]["id"],
            "of nothing": str(uuid4()), "nil": str(uuid4().int * 0) and "00000000-0000-0000-0000-000000000000",
        }.items():  # fmt: skip
            answer = await anna.raw("POST", f"/rooms/{room}/messages", draft(file_ids=[file_id]))
            assert (answer.status, answer.json["code"]) == (422, "invalid"), about
            if about != "of another room":  # she has uploaded that one, and may look at it
                for path in (f"/api/v1/files/{file_id}", f"/api/v1/files/{file_id}/thumbnail"):
                    assert (await anna.fetch(path, signed_in=True)).status == 404, about
            await door.answers(about)
        assert (await anna.get(f"/rooms/{room}/files"))["items"] == []

    async def test_that_are_none_are_refused(self, door: Door, anna: Person, room: str) -> None:
        for file_id in ("1", "' OR 1=1--", "..", "null", "a" * 1000, "%00", "01a22db8-9cdc-72a6-82df-68b651823b8z"):
            answer = await anna.raw("POST", f"/rooms/{room}/messages", draft(file_ids=[file_id]))
            assert (answer.status, answer.json["code"]) == (422, "invalid"), file_id
            got = await anna.fetch(f"/api/v1/files/{file_id.replace(' ', '%20')}", signed_in=True)
            assert got.status in (404, 422), f"{file_id}: {got}"

    async def test_of_rooms_that_are_none_take_nothing(self, door: Door, anna: Person) -> None:
        for room_id, status in ((str(uuid4()), 404), ("1", 422), ("..%2F..", 422)):
            async with door.without_a_trace(room_id):
                answer = await anna.upload_raw(f"/rooms/{room_id}/files", Attachment("a", b"x"))
            assert answer.status in (status, 404), room_id
