"""Files that come in: what a form may hold, what is refused and why, and that nothing stays of what is refused."""

import asyncio
import itertools
import json
import random
import re
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.controllers import bodies
from src.controllers.api import PUBLIC, post
from src.controllers.courtesy import COURTESY, Courtesy
from src.controllers.dispositions import Disposition, parsed, written
from src.controllers.forms import Form
from src.controllers.serving import mount
from src.controllers.uploads import array, fields, limits_of, single
from src.errors import ChattyError
from src.file_settings import FileSettings
from src.schemas.common import Request

from .corner_shop import Receipt, Reply
from .post_office import BOUNDARY, KIB, MAX_BYTES, PostOffice, WatchedStaging, body, headers, part, request

PARCELS = "/api/v1/parcels"
PORTRAIT = "/api/v1/portrait"
BOOKS = "/api/v1/books"


async def hand_in(office: PostOffice, data: bytes, path: str = PARCELS, **how: Any) -> Reply:
    method = "PUT" if path == PORTRAIT else "POST"
    reply = await office.ask(method, path, data=data, headers={**headers(), **how.pop("headers", {})}, **how)
    assert reply.status < 500 or reply.status == 507, reply
    assert office.staging.left() == [], "a part stayed"
    return reply


def refusal(reply: Reply) -> tuple[int, str, str, str]:
    (error,) = reply.json["errors"]
    return reply.status, reply.json["code"], error["field"], error["code"]


class TestDeclaring:
    def test_a_form_without_an_upload_is_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="upload="):

            @post("/x", access=PUBLIC)
            async def nothing(self, form: Form) -> Receipt:
                """X."""
                raise AssertionError

    def test_an_upload_that_nobody_reads_is_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="upload="):

            @post("/x", access=PUBLIC, upload=single("x"))
            async def nothing(self) -> Receipt:
                """X."""
                raise AssertionError

    def test_a_form_and_json_together_are_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="JSON or a form"):

            @post("/x", access=PUBLIC, upload=single("x"))
            async def both(self, form: Form, body: Request) -> Receipt:
                """X."""
                raise AssertionError

    def test_fields_are_named_once_and_take_something(self) -> None:
        for faulty in (lambda: single("x") | array("x", 2), lambda: array("x", 0), fields):
            with pytest.raises(ValueError, match="named once"):
                faulty()

    def test_a_limit_may_be_a_setting_and_is_found_at_start(self) -> None:
        upload = single("cover", limit="image_max_bytes") | array("pages", 8, limit=500)
        limits = limits_of(upload, FileSettings(image_max_mib=1))
        assert limits.sizes == {"cover": 1024 * 1024, "pages": 500}
        with pytest.raises(TypeError, match="no number of bytes"):
            limits_of(single("cover", limit="banned_types"), FileSettings())

    def test_a_service_without_a_staging_area_takes_no_files(self, office: PostOffice) -> None:
        with pytest.raises(TypeError, match="nowhere to put"):
            mount(web.Application(), [office.counters], authenticate=None, throttle=None, settings=None, links=None)  # type: ignore[arg-type]


class TestTaking:
    async def test_files_come_in_their_order_with_their_names_and_types(self, office: PostOffice) -> None:
        reply = await hand_in(
            office, body(part(name="a.txt"), part(name="사진.png", data=b"\x89PNG\r\n", kind="image/png"))
        )
        assert reply.status == 201
        assert reply.json["items"] == [
            {"field": "files.0", "name": "a.txt", "content_type": "text/plain", "size": 5},
            {"field": "files.1", "name": "사진.png", "content_type": "image/png", "size": 6},
        ]
        assert office.accepted == [("a.txt", b"hello"), ("사진.png", b"\x89PNG\r\n")]

    async def test_a_single_file_has_the_name_of_its_field(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part("profile")), PORTRAIT)
        assert [item["field"] for item in reply.json["items"]] == ["profile"]

    async def test_named_fields_may_come_in_any_order(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part("pages"), part("cover"), part("pages")), BOOKS)
        assert [item["field"] for item in reply.json["items"]] == ["pages.0", "cover", "pages.1"]

    async def test_as_aiohttp_sends_them(self, office: PostOffice) -> None:
        for quoting in (False, True):
            form = aiohttp.FormData(quote_fields=quoting)
            form.add_field("files", b"one", filename="하나 (1).txt", content_type="text/plain")
            form.add_field("files", b"two" * 5000, filename="two.txt")
            reply = await office.ask("POST", PARCELS, data=form)
            assert (reply.status, [item["size"] for item in reply.json["items"]]) == (201, [3, 15000])
            assert [item["name"] for item in reply.json["items"]] == ["하나 (1).txt", "two.txt"]

    async def test_content_that_looks_like_a_boundary_is_content(self, office: PostOffice) -> None:
        for data in (
            f"--{BOUNDARY}".encode(),
            f"\r\n--{BOUNDARY[:-1]}".encode(),
            f"\n--{BOUNDARY}--\n".encode(),
            b"\r\n" * 1000,
            b"--\r\n--",
            b"\r",
            bytes(range(256)) * 20,
        ):
            office.counters.contents.clear()
            assert (await hand_in(office, body(part(data=data)))).status == 201
            assert office.accepted == [("a.txt", data)]

    async def test_a_file_of_exactly_the_limit_is_taken(self, office: PostOffice) -> None:
        whole = [part(name=f"{number}", data=b"x" * MAX_BYTES) for number in range(3)]
        assert (await hand_in(office, body(*whole))).status == 201

    async def test_without_a_type_it_is_just_bytes(self, office: PostOffice) -> None:
        head = 'Content-Disposition: form-data; name="files"; filename="x"\r\n'
        reply = await hand_in(office, body((head, b"x")))
        assert reply.json["items"][0]["content_type"] == "application/octet-stream"

    async def test_a_chunked_body_is_as_good(self, office: PostOffice) -> None:
        async def slices() -> Any:
            data = body(part(data=b"x" * 1000))
            for at in range(0, len(data), 7):
                yield data[at : at + 7]

        reply = await office.ask("POST", PARCELS, data=slices(), headers=headers())
        assert (reply.status, reply.json["items"][0]["size"]) == (201, 1000)

    async def test_whoever_asks_first_is_told_to_go_on_when_the_body_is_wanted(self, office: PostOffice) -> None:
        data = body(part())
        head = request(PARCELS, len(data), more="Expect: 100-continue\r\n")
        received = await office.raw(head, data)
        assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")
        office.counters.closed = True
        received = await office.raw(head, until=b'"}')
        assert received.startswith(b"HTTP/1.1 403")
        assert b"100 Continue" not in received
        assert b" 417 " in await office.raw(request(PARCELS, 0, more="Expect: a miracle\r\n"))

    async def test_a_preamble_and_an_epilogue_are_passed_over(self, office: PostOffice) -> None:
        reply = await hand_in(office, b"This is a form.\r\n" + body(part()) + b"\r\nThat was a form.")
        assert (reply.status, office.accepted) == (201, [("a.txt", b"hello")])

    async def test_a_form_within_a_file_is_content(self, office: PostOffice) -> None:
        inner = body(part(name="inner.txt"), boundary="inner")
        reply = await hand_in(office, body(part(name="outer", data=inner, kind="multipart/mixed; boundary=inner")))
        assert (reply.status, office.accepted) == (201, [("outer", inner)])

    async def test_many_at_once_do_not_mix(self, office: PostOffice) -> None:
        async def one(number: int) -> None:
            reply = await office.ask(
                "POST", PARCELS, data=body(part(name=str(number), data=bytes([number]) * 30_000)), headers=headers()
            )
            assert reply.json["items"][0]["name"] == str(number)

        await asyncio.gather(*(one(number) for number in range(30)))
        assert sorted(office.accepted) == sorted((str(number), bytes([number]) * 30_000) for number in range(30))
        assert office.staging.left() == []


class TestRefusing:
    async def test_a_file_that_is_too_large_is_named(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part(), part(data=b"x" * (MAX_BYTES + 1))))
        assert refusal(reply) == (413, "too_large", "files.1", "file_too_large")
        assert office.accepted == []

    async def test_each_field_has_its_own_limit(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part("profile", data=b"x" * (16 * KIB + 1))), PORTRAIT)
        assert refusal(reply) == (413, "too_large", "profile", "file_too_large")

    async def test_a_body_that_cannot_fit_is_refused_before_it_comes(self, office: PostOffice) -> None:
        received = await office.raw(request(PORTRAIT, 10**9, method="PUT"), until=b'"}')
        assert received.startswith(b"HTTP/1.1 413")
        assert b'"field":"profile","code":"file_too_large"' in received
        received = await office.raw(request(BOOKS, 10**9), until=b'"}')
        assert b'"field":"","code":"file_too_large"' in received
        assert office.staging.begun == 0

    async def test_a_chunked_body_without_an_end_is_refused_in_time(self, office: PostOffice) -> None:
        async def forever(data: bytes) -> Any:
            yield data
            while True:
                yield b"x" * 10_000

        file = body(part(data=b""))[: -len(BOUNDARY) - 8]
        for start, field in ((file, [("files.0", "file_too_large")]), (b"a preamble ", [])):
            reply = await office.ask("POST", PARCELS, data=forever(start), headers=headers())
            assert reply.status == 413
            assert [(error["field"], error["code"]) for error in reply.json.get("errors", [])] == field
        assert office.staging.left() == []

    async def test_one_too_many_is_refused_and_so_are_the_others(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(*[part()] * 4))
        assert refusal(reply) == (422, "invalid", "files", "too_many_files")
        reply = await hand_in(office, body(part("cover"), part("cover")), BOOKS)
        assert refusal(reply) == (422, "invalid", "cover", "too_many_files")
        reply = await hand_in(office, body(*[part(name="", data=b"")] * 4))
        assert refusal(reply) == (422, "invalid", "files", "too_many_files")
        assert office.accepted == []

    async def test_a_field_that_is_not_declared_is_refused(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part(), part("more")))
        assert refusal(reply) == (422, "invalid", "more", "unexpected_field")
        reply = await hand_in(office, body(part("x" * 5000)))
        assert reply.status in (400, 422)
        reply = await hand_in(office, body(part("x" * 2000)))
        assert len(reply.json["errors"][0]["field"]) == 100

    async def test_a_text_is_no_file(self, office: PostOffice) -> None:
        for field in ("files", "comment", "_charset_"):
            reply = await hand_in(office, body((f'Content-Disposition: form-data; name="{field}"\r\n', b"text")))
            assert refusal(reply) == (422, "invalid", field, "unexpected_field")

    async def test_an_empty_file_is_refused(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part(), part(data=b"")))
        assert refusal(reply) == (422, "invalid", "files.1", "empty_file")
        assert office.accepted == []

    async def test_no_file_at_all_is_missing(self, office: PostOffice) -> None:
        for nothing in (body(), body(part(name="", data=b"", kind="application/octet-stream"))):
            assert refusal(await hand_in(office, nothing)) == (422, "invalid", "files", "missing")
        reply = await hand_in(office, body(), BOOKS)
        assert [error["field"] for error in reply.json["errors"]] == ["cover", "pages"]

    async def test_a_field_left_empty_beside_one_that_is_not_is_passed_over(self, office: PostOffice) -> None:
        reply = await hand_in(office, body(part(name="", data=b""), part()))
        assert [item["field"] for item in reply.json["items"]] == ["files.1"]

    @pytest.mark.parametrize(("name", "kind"), [("a.exe", "image/png"), ("a.png", "application/x-msdownload")])
    async def test_what_a_route_does_not_accept_is_refused_before_it_is_kept(
        self, office: PostOffice, name: str, kind: str
    ) -> None:
        reply = await hand_in(office, body(part(name=name, kind=kind)))
        assert refusal(reply) == (415, "unsupported_type", "files.0", "banned_type")
        assert reply.json["errors"][0]["message"] == "Programs are not taken."
        assert office.staging.begun == 0

    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "application/json",
            "multipart/mixed; boundary=x",
            "multipart/form-datax; boundary=x",
            "application/x-www-form-urlencoded",
            "text/plain",
            "nonsense",
            "\xff",
        ],
    )
    async def test_another_content_type_is_refused(self, office: PostOffice, content_type: str | None) -> None:
        skip = {} if content_type else {"skip_auto_headers": ["Content-Type"]}
        given_type = {"Content-Type": content_type} if content_type else {}
        reply = await office.ask("POST", PARCELS, data=body(part()), headers=given_type, **skip)
        assert (reply.status, reply.json["code"]) == (415, "unsupported_type")

    async def test_a_full_disk_is_said_before_anything_is_read(self, office: PostOffice) -> None:
        office.staging.room = 10
        data = body(part())
        reply = await hand_in(office, data)
        assert (reply.status, reply.json["code"], office.staging.begun) == (507, "storage_full", 0)
        assert office.staging.asked == [len(data)]


class TestDamage:
    """Bytes that are no form: 400, and nothing else."""

    async def damaged(self, office: PostOffice, data: bytes, content_type: str | None = None) -> None:
        given_type = {"Content-Type": content_type} if content_type else {}
        reply = await hand_in(office, data, headers=given_type)
        assert (reply.status, reply.json["code"]) == (400, "malformed"), reply
        assert office.accepted == []

    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            'multipart/form-data; boundary=""',
            'multipart/form-data; boundary="\xff"',
            "multipart/form-data; boundary=a b",
            "multipart/form-data; boundary=another",
        ],
    )
    async def test_a_boundary_that_is_none(self, office: PostOffice, content_type: str) -> None:
        await self.damaged(office, body(part()), content_type)

    @pytest.mark.parametrize("boundary", ["x" * 71, "ends in a blank ", "a*b", "a@b"])
    async def test_a_boundary_that_no_form_may_have(self, office: PostOffice, boundary: str) -> None:
        whole = body(part(), boundary=boundary)
        await self.damaged(office, whole, f'multipart/form-data; boundary="{boundary}"')

    async def test_a_boundary_may_have_seventy_characters(self, office: PostOffice) -> None:
        longest = "x" * 69 + "'"
        reply = await office.ask(
            "POST",
            PARCELS,
            data=body(part(), boundary=longest),
            headers={"Content-Type": f'multipart/form-data; charset=utf-8; boundary="{longest}"'},
        )
        assert reply.status == 201

    async def test_a_body_that_ends_anywhere_too_early(self, office: PostOffice) -> None:
        whole = body(part(), part(name="b.txt"))
        for length in range(0, len(whole) - 2, 3):
            await self.damaged(office, whole[:length])

    @pytest.mark.parametrize(
        "head",
        [
            "",
            "Content-Type: text/plain\r\n",
            "garbage\r\n",
            ": nothing\r\n",
            "Content-Disposition\r\n",
            "Content-Disposition:\r\n",
            'Content-Disposition: attachment; name="files"; filename="x"\r\n',
            'Content-Disposition: form-data; filename="x"\r\n',
            'Content-Disposition: form-data; name="files"; name="more"; filename="x"\r\n',
            'Content-Disposition: form-data; name="files"; filename="x\r\n',
            'Content-Disposition: form-data; name="files" filename="x"\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\nContent-Type: text/plain\r\n',
            'Content-Disposition: form-data; name="files"; filename="x\0y"\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\r\n' * 2,
            'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Length: 3\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Length: \u0663\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Length: ' + "9" * 4090 + "\r\n",
            'Content-Disposition: form-data; name="files"; filename="x"\r\nContent-Transfer-Encoding: base64\r\n',
            'Content-Disposition: form-data; name="files"; filename="x"\r\nX-Long: ' + "x" * 5000 + "\r\n",
            'Content-Disposition: form-data; name="files"; filename="x"\r\n'
            + "".join(f"X-{number}: x\r\n" for number in range(20)),
            "\x00\xff: \xff\r\n",
            " folded\r\n",
        ],
    )
    async def test_headers_of_a_part(self, office: PostOffice, head: str) -> None:
        await self.damaged(office, body((head, b"hello")))

    async def test_headers_without_an_end(self, office: PostOffice) -> None:
        await self.damaged(office, f"--{BOUNDARY}\r\n".encode() + b"X: " + b"x" * 100_000)
        await self.damaged(office, f"--{BOUNDARY}\r\n".encode() + b"X-Y: z\r\n" * 10_000)

    async def test_no_body_at_all(self, office: PostOffice) -> None:
        await self.damaged(office, b"")

    async def test_lines_that_end_in_one_character(self, office: PostOffice) -> None:
        await self.damaged(office, body(part()).replace(b"\r\n", b"\n"))

    async def test_plain_encodings_are_as_it_is(self, office: PostOffice) -> None:
        head, data = part()
        reply = await hand_in(office, body((head + "Content-Transfer-Encoding: binary\r\n", data)))
        assert reply.status == 201


class TestNames:
    @pytest.mark.parametrize(
        ("sent", "name"),
        [
            ('"사진 1.png"', "사진 1.png"),
            ('"\u1100\u1161.txt"', "\u1100\u1161.txt"),
            ('"a%22b%22.txt"', 'a"b".txt'),
            ('"a%0D%0Ab.txt"', "a\r\nb.txt"),
            ('"100%.txt"', "100%.txt"),
            ('"a%20b%ea.txt"', "a%20b%ea.txt"),
            (r'"C:\fakepath\a.txt"', r"C:\fakepath\a.txt"),
            (r'"a\"b\\c.txt"', r'a"b\c.txt'),
            ('"ends in\\"', "ends in\\"),
            ("\"a; filename*=UTF-8''evil; b.txt\"", "a; filename*=UTF-8''evil; b.txt"),
            ("plain.txt", "plain.txt"),
            ('"../../etc/passwd"', "../../etc/passwd"),
            ("\"x\"; filename*=UTF-8''%EC%82%AC%EC%A7%84.png", "사진.png"),
            ("\"x\"; filename*=utf-8'ko'a%20b.png", "a b.png"),
            ("\"x\"; filename*=ISO-8859-1''%E9t%E9.png", "été.png"),
            ("\"x\"; filename*=UTF-8''%FF.png", "\ufffd.png"),
            ("\"x\"; filename*=klingon''%FF.png", "x"),
            ('"x"; filename*=nonsense', "x"),
            ('"\udcff\udcfe.png"', "\ufffd\ufffd.png"),
        ],
    )
    async def test_a_name_arrives_as_it_was_meant(self, office: PostOffice, sent: str, name: str) -> None:
        head = f'Content-Disposition: form-data; name="files"; filename={sent}\r\n'
        reply = await hand_in(office, body((head, b"x")))
        assert reply.json["items"][0]["name"] == name

    async def test_a_name_in_its_extended_form_alone_makes_a_file(self, office: PostOffice) -> None:
        head = "Content-Disposition: form-data; name=files; filename*=UTF-8''a.txt\r\n"
        assert (await hand_in(office, body((head, b"x")))).json["items"][0]["name"] == "a.txt"

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
    def test_what_a_browser_escapes_is_read_back(self, name: str) -> None:
        if "%22" in name or "%0" in name or name.endswith("\\") or '\\"' in name:
            return  # which browsers do not escape
        escaped = name.replace('"', "%22")
        assert parsed(f'form-data; name="files"; filename="{escaped}"') == Disposition("files", name)

    @given(st.text(max_size=50))
    def test_what_is_written_is_a_header_that_says_the_name(self, name: str) -> None:
        header = written(name, inline=False)
        assert header.isascii() and header.isprintable()
        read = parsed(header.replace("attachment", "form-data; name=x"))
        assert read == Disposition("x", (name.encode("utf-8", "replace").decode() or None))

    @given(st.text(max_size=200))
    def test_no_header_is_an_accident(self, value: str) -> None:
        parsed("form-data;" + value)
        parsed(value)


class TestConnections:
    async def test_a_body_that_nobody_wants_is_not_read(self, office: PostOffice) -> None:
        office.counters.closed = True
        reply = await hand_in(office, b"not even a form")
        assert (reply.status, office.staging.begun, office.staging.asked) == (403, 0, [])
        reply = await office.ask("POST", PARCELS, data=body(part()), headers={**headers(), "Authorization": None})
        assert reply.status == 401

    @pytest.mark.parametrize("mebibytes", [1, 8, 64])
    async def test_a_refused_client_gets_its_answer_and_no_reset(self, office: PostOffice, mebibytes: int) -> None:
        office.counters.closed = True
        size = mebibytes * KIB * KIB
        answered = await asyncio.to_thread(_send_all_then_read, office.port, request(PARCELS, size), b"x" * size)
        assert answered.startswith(b"HTTP/1.1 403")

    async def test_a_client_that_is_refused_in_the_middle_gets_its_answer(self, office: PostOffice) -> None:
        size = 8 * KIB * KIB
        data = body(part(data=b"x" * size))
        head = request(PARCELS, 190 * KIB).replace(b"Content-Length: 194560", b"Transfer-Encoding: chunked")
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)
        answered = await asyncio.to_thread(_send_all_then_read, office.port, head, chunked)
        assert answered.startswith(b"HTTP/1.1 413")
        assert office.staging.left() == []

    async def test_the_connection_serves_on_after_a_refusal(self, office: PostOffice) -> None:
        data = body(part(), part("more"), part(data=b"x" * 50_000))
        whole = request(PARCELS, len(data)).replace(b"Connection: close\r\n", b"") + data
        last = b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        received = await office.raw(whole + whole + last)
        statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
        assert statuses == [b"422", b"422", b"404"]

    async def test_a_client_that_vanishes_leaves_nothing(self, office: PostOffice) -> None:
        for abort in (False, True):
            _, writer = await asyncio.open_connection("127.0.0.1", office.port)
            writer.write(request(PARCELS, 60_000) + body(part(data=b"x" * 50_000))[:30_000])
            await _until(lambda: len(office.staging.left()) == 1)
            writer.transport.abort() if abort else writer.close()
            await _until(lambda: office.staging.left() == [])
        assert office.accepted == []

    async def test_a_slow_client_is_given_up(self, office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.2)
        head, data = request(PARCELS, 60_000), body(part(data=b"x" * 50_000))
        received = await office.raw(head, data[:1000], until=b'"}')
        assert received.startswith(b"HTTP/1.1 408")
        assert b"too_slow" in received
        assert office.staging.left() == []

    async def test_a_client_that_drips_is_given_up_too(
        self, office: PostOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.2)
        head, data = request(PARCELS, 60_000), body(part(data=b"x" * 50_000))
        reader, writer = await asyncio.open_connection("127.0.0.1", office.port)
        writer.write(head)
        for at in itertools.count():
            writer.write(data[at * 20 : at * 20 + 20])
            await asyncio.sleep(0.02)
            if office.staging.begun and not office.staging.left():
                break
            assert at < 100
        assert b"in time" in await reader.readuntil(b'"}')
        writer.close()

    async def test_a_client_that_stops_after_a_good_start_is_given_up(
        self, office: PostOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bodies, "SILENCE_SECONDS", 0.2)
        received = await office.raw(request(PARCELS, 60_000), body(part(data=b"x" * 50_000))[:40_000], until=b'"}')
        assert b"in time" in received

    async def test_chunks_that_break_are_given_up(self, office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
        """aiohttp does not say that a chunk is none: to us the body just stops."""
        monkeypatch.setattr(bodies, "GRACE_SECONDS", 0.2)
        data = body(part())
        head = request(PARCELS, None)
        after_good_ones = b"%x\r\n%s" % (len(data), data[:-20]), b"\r\nzz\r\n"
        found = [
            (await office.raw(head, *each, until=b'"}')).split()[1] for each in ((b"zz\r\n\r\n",), after_good_ones)
        ]
        assert found == [b"408", b"408"]
        assert office.staging.left() == []


def _send_all_then_read(port: int, head: bytes, data: bytes) -> bytes:
    """What the simplest of clients does: it looks at the answer when it has sent everything."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head)
        connection.sendall(data)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


async def _until(true: Any) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


CRUMBS = [b"\r", b"\n", b"--", BOUNDARY.encode()[:9], b"x"]
DAMAGE = [b"\r\n", b'"', b";", b"--" + BOUNDARY.encode(), b"*="]
contents = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", BOUNDARY.encode()[:9], b"x"]), min_size=1, max_size=40).map(
        b"".join
    ),
)
files = st.lists(st.tuples(st.sampled_from(["a.txt", "사진.png", ""]), contents), min_size=1, max_size=3)


class Driven:
    """A form that is read without a server: its body comes in the pieces that are given."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.headers = headers()
        self.body_exists, self.content_length, self.version = True, None, (1, 1)
        self.app = {COURTESY: Courtesy(lambda: False)}
        self.content = self

    async def readany(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def read(tmp_path: Path, pieces: list[bytes]) -> list[tuple[str, bytes]] | str:
    """What a form of these pieces holds, or why it is refused. Nothing else may happen."""
    staging = WatchedStaging(tmp_path)

    async def run() -> list[tuple[str, bytes]] | str:
        form = Form(Driven(pieces), limits_of(array("files", 3, limit=1000), FileSettings()), staging)  # type: ignore[arg-type]
        try:
            async with form.receive() as received:
                return [(one.name, one.path.read_bytes()) for one in received]
        except ChattyError as error:
            assert error.status < 500
            return error.code

    result = asyncio.run(run())
    assert staging.left() == []
    return result


class TestProperties:
    @given(files, st.data())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_any_split_of_a_form_gives_the_same_files(
        self, tmp_path: Path, sent: list[tuple[str, bytes]], data: st.DataObject
    ) -> None:
        whole = body(*(part(name=name, data=content) for name, content in sent))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
        pieces = [whole[start:end] for start, end in itertools.pairwise([0, *cuts, len(whole)])]
        assert read(tmp_path, pieces) == sent
        assert read(tmp_path, [bytes([byte]) for byte in whole]) == sent

    @given(files, st.data())
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
    def test_a_damaged_form_is_read_or_refused_and_nothing_stays(
        self, tmp_path: Path, sent: list[tuple[str, bytes]], data: st.DataObject
    ) -> None:
        whole = bytearray(body(*(part(name=name, data=content) for name, content in sent)))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(whole)))
            length = data.draw(st.integers(0, 12))
            whole[at : at + length] = data.draw(
                st.one_of(
                    st.binary(max_size=6), st.sampled_from([b"\r\n", b'"', b";", b"--" + BOUNDARY.encode(), b"*="])
                )
            )
        cut = data.draw(st.integers(0, len(whole)))
        read(tmp_path, [bytes(whole[:cut]), bytes(whole[cut:])])

    async def test_damage_over_the_wire_is_never_our_fault(self, office: PostOffice) -> None:
        chance = random.Random(5)
        for _ in range(200):
            whole = bytearray(body(part(), part(name="사진.png", data=b"\r\n--" * 20)))
            for _ in range(chance.randint(1, 5)):
                at = chance.randrange(len(whole))
                whole[at : at + chance.randint(0, 3)] = chance.choice([b"", b"\0", b"\xff", b"\r\n", b'"', b"--"])
            reply = await hand_in(office, bytes(whole))
            assert reply.status in (201, 400, 413, 415, 422), (reply, bytes(whole))
            assert reply.json == json.loads(reply.body)
