"""Bytes that go out: whole, in ranges, not at all where they are known, and never as something that runs."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from src.controllers import downloads
from src.controllers.media_types import harmless
from src.controllers.ranges import wanted
from src.storage.disk import DiskStore

from .corner_shop import ORIGIN, Reply
from .post_office import KIB, PIECE, PostOffice

DATA = bytes(range(256)) * 256


async def fetch(office: PostOffice, path: str, method: str = "GET", **headers: str | None) -> Reply:
    names = {name: name.replace("_", "-") for name in headers}
    return await office.ask(method, path, headers={names[name]: value for name, value in headers.items()})


class TestWhole:
    async def test_it_is_what_was_kept(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA, etag="abc")
        reply = await fetch(office, path)
        assert (reply.status, reply.body) == (200, DATA)
        assert reply.headers["Content-Length"] == str(len(DATA))
        assert reply.headers["Content-Type"] == "image/webp"
        assert reply.headers["ETag"] == '"abc"'
        assert reply.headers["Accept-Ranges"] == "bytes"

    async def test_head_says_the_same_without_a_body(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        whole, head = await fetch(office, path), await fetch(office, path, "HEAD", Range="bytes=0-1")
        varying = ("X-Request-ID", "Date")
        assert {name: value for name, value in head.headers.items() if name not in varying} == {
            name: value for name, value in whole.headers.items() if name not in varying
        }
        assert (head.status, head.body) == (200, b"")

    async def test_what_is_missing_is_gone(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        office.hatch.store.objects.clear()
        for method in ("GET", "HEAD"):
            reply = await fetch(office, path, method)
            assert reply.status == 410
            assert reply.headers["Cache-Control"] == "no-store"
        assert (await fetch(office, path)).json["code"] == "gone"

    async def test_a_storage_that_fails_is_unavailable_and_tells_the_log(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        office.hatch.store.trouble = OSError("no route to host")
        with structlog.testing.capture_logs() as logs:
            for method in ("GET", "HEAD"):
                assert (await fetch(office, path, method)).status == 503
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["the storage fails"] * 2

    async def test_an_object_that_is_too_short_breaks_off(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA, size=len(DATA) + 1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetch(office, path)
        assert office.hatch.store.open == 0

    async def test_objects_on_a_disk(self, office: PostOffice, tmp_path: Path) -> None:
        (tmp_path / "part").write_bytes(DATA * 20)
        store = DiskStore(tmp_path / "objects")
        await store.put("chat/images/ab/cd.webp", tmp_path / "part")
        path = office.hatch.put(DATA * 20, key="chat/images/ab/cd.webp")
        office.hatch.store = store  # type: ignore[assignment]
        assert (await fetch(office, path)).body == DATA * 20
        reply = await fetch(office, path, Range="bytes=300000-900000")
        assert (reply.status, reply.body) == (206, (DATA * 20)[300000:900001])
        assert (await fetch(office, path, "HEAD")).headers["Content-Length"] == str(len(DATA) * 20)
        await store.delete(["chat/images/ab/cd.webp"])
        assert (await fetch(office, path)).status == (await fetch(office, path, "HEAD")).status == 410


class TestRanges:
    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=0-99", 0, 99),
            ("bytes=100-", 100, 65535),
            ("bytes=65535-", 65535, 65535),
            ("bytes=65000-999999", 65000, 65535),
            ("bytes=-1", 65535, 65535),
            ("bytes=-100", 65436, 65535),
            ("bytes=-999999", 0, 65535),
            ("bytes=-70000", 0, 65535),
            ("Bytes=0-", 0, 65535),
            ("bytes= 0-1 ", 0, 1),
        ],
    )
    async def test_a_range_is_answered_with_that_part(
        self, office: PostOffice, asked: str, first: int, last: int
    ) -> None:
        reply = await fetch(office, office.hatch.put(DATA), Range=asked)
        assert (reply.status, reply.body) == (206, DATA[first : last + 1])
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/65536"
        assert reply.headers["Content-Length"] == str(last + 1 - first)
        assert office.hatch.store.spans == [(first, last + 1)]

    @pytest.mark.parametrize("asked", ["bytes=65536-", "bytes=65536-70000", "bytes=999999999999999999-", "bytes=-0"])
    async def test_a_range_that_there_is_not_is_refused(self, office: PostOffice, asked: str) -> None:
        reply = await fetch(office, office.hatch.put(DATA), Range=asked)
        assert (reply.status, reply.body) == (416, b"")
        assert reply.headers["Content-Range"] == "bytes */65536"
        assert reply.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "asked",
        [
            "bytes=0-1,5-6",
            "bytes=5-1",
            "bytes=-",
            "bytes=a-b",
            "bytes=",
            "bytes",
            "",
            "lines=0-1",
            "bytes=0-1-2",
            "bytes=+1-2",
            "bytes=\u0661-\u0662",
            "bytes=" + "9" * 5000 + "-",
            "bytes=0x1-2",
        ],
    )
    async def test_what_is_no_single_range_stands_for_the_whole(self, office: PostOffice, asked: str) -> None:
        reply = await fetch(office, office.hatch.put(DATA), Range=asked)
        assert (reply.status, reply.body) == (200, DATA)
        assert "Content-Range" not in reply.headers

    async def test_a_range_of_another_version_is_answered_with_the_whole(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA, etag="new")
        for if_range, status in (
            ('"new"', 206),
            ('"old"', 200),
            ('W/"new"', 200),
            ("new", 200),
            ("Mon, 30 Nov 2026 17:51:11 GMT", 200),
        ):
            assert (await fetch(office, path, Range="bytes=0-1", If_Range=if_range)).status == status

    @given(st.text(max_size=30) | st.from_regex(r"bytes=\d*-\d*", fullmatch=True), st.integers(0, 50))
    def test_a_range_lies_within_the_object(self, asked: str, size: int) -> None:
        part = wanted({"Range": asked}, size, "x")
        assert part is None or not part or (part.step == 1 and 0 <= part.start < part.stop <= size)


class TestCaches:
    @pytest.mark.parametrize("known", ['"abc"', 'W/"abc"', '"x", "abc"', "*"])
    async def test_who_has_it_is_told_so(self, office: PostOffice, known: str) -> None:
        path = office.hatch.put(DATA, etag="abc")
        for method in ("GET", "HEAD"):
            reply = await fetch(office, path, method, If_None_Match=known, Range="bytes=0-1")
            assert (reply.status, reply.body) == (304, b"")
            assert (reply.headers["ETag"], reply.headers["Cache-Control"]) == ('"abc"', "private, no-cache")
        assert office.hatch.store.spans == []

    @pytest.mark.parametrize("known", ['"x"', "abc", "", '"', "\xff", '"x", "y"'])
    async def test_who_has_another_gets_it(self, office: PostOffice, known: str) -> None:
        path = office.hatch.put(DATA, etag="abc")
        assert (await fetch(office, path, If_None_Match=known)).status == 200

    async def test_what_never_changes_is_kept_for_ever(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA, cache="immutable")
        for reply in (await fetch(office, path), await fetch(office, path, Range="bytes=0-1")):
            assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"


class TestHeaders:
    async def test_it_is_shown_on_other_sites_and_can_do_nothing_there(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        for reply in (
            await fetch(office, path, Origin=ORIGIN),
            await fetch(office, path, "HEAD"),
            await fetch(office, path, Range="bytes=0-1"),
        ):
            assert reply.headers.getall("Cross-Origin-Resource-Policy") == ["cross-origin"]  # type: ignore[attr-defined]
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            policy = reply.headers["Content-Security-Policy"].split("; ")
            assert {"sandbox", "default-src 'none'", "frame-ancestors 'none'"} <= set(policy)
        assert (await fetch(office, "/api/v1/things")).headers["Cross-Origin-Resource-Policy"] == "same-site"

    async def test_a_listed_origin_may_read_what_tells_of_ranges(self, office: PostOffice) -> None:
        reply = await fetch(office, office.hatch.put(DATA), Origin=ORIGIN, Range="bytes=0-1")
        exposed = set(reply.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"Content-Range", "Content-Length", "Accept-Ranges", "ETag", "Content-Disposition"} <= exposed
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN

    @pytest.mark.parametrize(
        ("name", "inline", "header"),
        [
            ("a b.txt", False, 'attachment; filename="a b.txt"'),
            ("a.webp", True, 'inline; filename="a.webp"'),
            (
                "사진 1.png",
                False,
                "attachment; filename=\"__ 1.png\"; filename*=UTF-8''%EC%82%AC%EC%A7%84%201.png",
            ),
            ('a"b\\c.txt', False, "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
            (
                "a\r\nSet-Cookie: x=y",
                False,
                "attachment; filename=\"a__Set-Cookie: x=y\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x%3Dy",
            ),
            ("100%.txt", False, "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
            ("it's (1)*.txt", False, 'attachment; filename="it\'s (1)*.txt"'),
            ("\ud800.txt", False, "attachment; filename=\"_.txt\"; filename*=UTF-8''%3F.txt"),
            ("", False, "attachment"),
        ],
    )
    async def test_a_name_survives_and_says_nothing_else(
        self, office: PostOffice, name: str, inline: bool, header: str
    ) -> None:
        reply = await fetch(office, office.hatch.put(DATA, name=name, inline=inline))
        assert reply.headers["Content-Disposition"] == header
        assert "Set-Cookie" not in reply.headers

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            " text/html",
            "application/xhtml+xml",
            "image/svg+xml",
            "application/xml",
            "text/xml",
            "application/rss+xml",
            "text/javascript",
            "application/javascript",
            "application/x-javascript",
            "text/ecmascript",
            "text/jscript",
            "text/css",
            "application/wasm",
            "multipart/x-mixed-replace",
            "message/rfc822",
            "text/xsl",
            "application/x-shockwave-flash",
            "text/html,image/png",
            "image/png\r\nX: y",
            "image/ png",
            "nonsense",
            "*/*",
            "",
            "이미지/png",
        ],
    )
    async def test_what_runs_in_a_browser_is_just_bytes_to_be_saved(
        self, office: PostOffice, content_type: str
    ) -> None:
        reply = await fetch(office, office.hatch.put(DATA, content_type=content_type, inline=True))
        assert reply.headers["Content-Type"] == "application/octet-stream"
        assert reply.headers["Content-Disposition"].startswith("attachment;")

    @pytest.mark.parametrize(
        "content_type",
        [
            "image/webp",
            "application/pdf",
            "text/plain",
            "application/zip",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/x-hwp",
            "video/mp4",
        ],
    )
    def test_what_does_not_keeps_its_type(self, content_type: str) -> None:
        assert harmless(content_type) == content_type
        assert harmless(content_type.upper() + "; charset=x") == content_type

    @given(st.text(max_size=40))
    def test_no_type_breaks_a_header(self, content_type: str) -> None:
        assert harmless(content_type).isascii() and harmless(content_type).isprintable()


class TestSendingOn:
    async def test_a_storage_with_addresses_answers_itself(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA, name="x.pdf", content_type="text/html")
        office.hatch.redirect, office.hatch.store.address = 60, "https://s3.example.com/bucket"
        reply = await fetch(office, path)
        assert reply.status == 302
        key = path.rpartition("/")[2]
        assert reply.headers["Location"] == (
            f'https://s3.example.com/bucket/{key}?60&application/octet-stream&attachment; filename="x.pdf"'
        )
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "cross-origin", "browsers ask at each redirect"
        assert office.hatch.store.spans == []

    async def test_a_head_is_ours_since_the_address_is_for_a_get(self, office: PostOffice) -> None:
        office.hatch.redirect, office.hatch.store.address = 60, "https://s3.example.com/bucket"
        assert (await fetch(office, office.hatch.put(DATA), "HEAD")).status == 200

    async def test_a_storage_without_any_streams(self, office: PostOffice) -> None:
        office.hatch.redirect = 60
        assert (await fetch(office, office.hatch.put(DATA))).body == DATA

    async def test_a_storage_that_fails_at_it_is_unavailable(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        office.hatch.redirect, office.hatch.store.trouble = 60, OSError("no")
        assert (await fetch(office, path)).status == 503


class TestAbandoned:
    async def test_a_client_that_goes_leaves_nothing_running(self, office: PostOffice) -> None:
        path = office.hatch.put(bytes(64 * KIB * KIB))
        before = asyncio.all_tasks()
        with structlog.testing.capture_logs() as logs:
            for abort in (False, True):
                reader, writer = await asyncio.open_connection("127.0.0.1", office.port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await reader.readexactly(PIECE)
                assert office.hatch.store.open == 1
                writer.transport.abort() if abort else writer.close()
                await _until(lambda: office.hatch.store.open == 0)
        await _until(lambda: asyncio.all_tasks() <= before)
        assert [line for line in logs if line["log_level"] == "error"] == []
        assert [line["status"] for line in logs] == [200, 200]

    async def test_a_client_that_takes_nothing_is_given_up(
        self, office: PostOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(downloads, "STALL_SECONDS", 0.2)
        path = office.hatch.put(bytes(64 * KIB * KIB))
        _, writer = await asyncio.open_connection("127.0.0.1", office.port, limit=KIB)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await _until(lambda: office.hatch.store.open == 1)
        await _until(lambda: office.hatch.store.open == 0)
        writer.close()

    async def test_many_ranges_at_once_do_not_mix(self, office: PostOffice) -> None:
        path = office.hatch.put(DATA)
        starts = range(0, 60_000, 1_500)
        replies = await asyncio.gather(*(fetch(office, path, Range=f"bytes={at}-{at + 999}") for at in starts))
        assert [reply.body for reply in replies] == [DATA[at : at + 1000] for at in starts]


async def _until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)
