"""What only the store in a bucket can get wrong: keys, signatures, a storage that does not answer."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import aiohttp
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from src.errors import StorageFull
from src.storage import s3
from src.storage.s3 import S3Store
from src.storage.storages import store_for
from src.storage.store import ObjectMissing
from src.storage_url import s3_address

from .. import s3 as moto
from .conftest import MakeFile, noise

KEY = "chat/documents/ab/abcdef0123456789abcdef0123456789"
DISPOSITION = "attachment; filename=\"a b+c~.txt\"; filename*=UTF-8''%ED%95%9C%EA%B8%80%20%281%29.txt"


@pytest.fixture
def url(s3_url: str) -> str:
    return moto.under(s3_url, "a/prefix")


@pytest.fixture
def store(url: str) -> S3Store:
    made = store_for(url)
    assert isinstance(made, S3Store)
    return made


@pytest.fixture
def silent() -> Iterator[str]:
    """The storage URL of an S3 that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"s3://k:s@files?endpoint=http://127.0.0.1:{listener.getsockname()[1]}"


class TestTheAddress:
    async def test_says_where_and_as_whom(self, store, url: str, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(b"x"))
        found = moto.client(url).get_object(Bucket="files", Key=f"a/prefix/{KEY}")
        assert found["Body"].read() == b"x"
        assert store.path(KEY) is None

    async def test_signs_with_its_own_keys_whatever_the_environment_has(self, store, monkeypatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
        link = await store.link(KEY, 60, content_type="text/plain", disposition="inline")
        assert "another" not in link
        assert is_signed_by_botocore(link, moto.KEY_ID, moto.SECRET)

    async def test_without_keys_takes_those_of_the_environment(self, url: str, monkeypatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-here")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "also")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "a/token+")
        store = store_for(url.replace(f"{moto.ENCODED}@", ""))
        link = await store.link(KEY, 60, content_type="text/plain", disposition="inline")
        assert is_signed_by_botocore(link, "from-here", "also", "a/token+")

    async def test_can_name_a_virtual_host(self) -> None:
        store = store_for("s3://k:s@files?endpoint=https://files.example.com&virtual_hosted_style_request=true")
        link = await store.link(KEY, 60, content_type="text/plain", disposition="inline")
        assert link.startswith(f"https://files.example.com/{KEY}?")

    async def test_is_amazons_without_an_endpoint(self) -> None:
        link = await store_for("s3://k:s@files/a?region=ap-northeast-2").link(
            KEY, 60, content_type="text/plain", disposition="inline"
        )
        assert link.startswith(f"https://s3.ap-northeast-2.amazonaws.com/files/a/{KEY}?")

    async def test_is_not_http_unless_it_says_so(self) -> None:
        assert store_for("s3://k:s@files?endpoint=https://127.0.0.1:1")._asking.client_options["allow_http"] == "false"


class TestALink:
    async def test_is_answered_with_its_headers(self, store, make_file: MakeFile) -> None:
        await store.put(KEY, make_file(b"content"))
        link = await store.link(KEY, 60, content_type="text/plain; charset=utf-8", disposition=DISPOSITION)
        async with aiohttp.ClientSession() as http, http.get(link) as answer:
            assert answer.status == 200
            assert await answer.read() == b"content"
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["Content-Disposition"] == DISPOSITION

    async def test_is_signed_as_others_sign(self, store) -> None:
        link = await store.link(KEY, 60, content_type="text/plain; charset=utf-8", disposition=DISPOSITION)
        assert is_signed_by_botocore(link, moto.KEY_ID, moto.SECRET)
        assert not is_signed_by_botocore(link.replace("attachment", "inline"), moto.KEY_ID, moto.SECRET)

    @pytest.mark.parametrize(("asked", "given"), [(5, "5"), (60, "60"), (86_400, "60")])
    async def test_lives_for_a_minute_at_most(self, store, asked: int, given: str) -> None:
        link = await store.link(KEY, asked, content_type="text/plain", disposition="inline")
        assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [given]

    @pytest.mark.parametrize("known", [("", ""), ("another", "secret")])
    async def test_is_not_made_with_credentials_that_are_not_ours(self, url: str, monkeypatch, known) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-here")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "also")
        store = store_for(url.replace(f"{moto.ENCODED}@", ""))
        store._secrets = s3.Secrets(*known)
        assert await store.link(KEY, 60, content_type="text/plain", disposition="inline") is None


class TestAFailure:
    async def test_of_a_bucket_that_is_not_there_is_no_missing_object(self, s3_url, make_file: MakeFile) -> None:
        store = store_for(s3_url.replace("@files?", "@elsewhere?"))
        for failing in (
            store.put(KEY, make_file(b"x")),
            anext(store.read(KEY)),
            anext(store.list()),
            store.delete([KEY]),
        ):
            with pytest.raises(OSError) as failure:
                await failing
            assert failure.value.__cause__ is not None

    async def test_of_the_network_is_one_of_the_storage(self, make_file: MakeFile) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        store = store_for(f"s3://k:hunter2@files?endpoint=http://127.0.0.1:{port}")
        for failing in (store.put(KEY, make_file(b"x")), store.size(KEY), anext(store.read(KEY)), anext(store.list())):
            with pytest.raises(OSError) as failure:
                await failing
            assert "hunter2" not in f"{failure.value} {failure.value.__cause__}"

    async def test_to_find_what_is_to_be_deleted_is_none(self) -> None:
        """Google's store says 404 of what is not there; Amazon's does not."""
        store = answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        keys = [KEY, KEY.replace("a", "b")]
        with store as url:
            await store_for(f"{url}&disable_bulk_delete=true").delete(keys)
        assert {f"DELETE /files/{key}" for key in keys} <= store.asked

    async def test_for_want_of_room_is_said(self, make_file: MakeFile) -> None:
        full = b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with answering(full) as url, pytest.raises(StorageFull):
            await store_for(url).put(KEY, make_file(b"x"))

    @pytest.mark.slow
    async def test_to_answer_takes_no_minutes(self, silent: str, make_file: MakeFile) -> None:
        store = store_for(silent)
        began = time.monotonic()
        failures = await asyncio.gather(
            store.put(KEY, make_file(noise(12_000_000))),
            store.size(KEY),
            anext(store.read(KEY)),
            anext(store.list()),
            store.delete([KEY]),
            return_exceptions=True,
        )
        assert all(isinstance(failure, OSError) for failure in failures)
        assert time.monotonic() - began < 55

    async def test_in_the_middle_is_one_of_the_storage(self, monkeypatch) -> None:
        head = b'HTTP/1.1 200 OK\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nETag: "a"\r\n'
        with answering(head + b"Content-Length: 1000\r\nConnection: close\r\n\r\nshort") as url, pytest.raises(OSError):
            await asyncio.wait_for(_all(store_for(url)), 30)

    async def test_leaves_no_object(self, store, make_file: MakeFile) -> None:
        putting = asyncio.create_task(store.put(KEY.replace("a", "b"), make_file(noise(30_000_000))))
        await asyncio.sleep(0.05)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        with pytest.raises(ObjectMissing):
            await store.size(KEY.replace("a", "b"))


async def test_whoever_reads_slowly_is_waited_for(url: str, make_file: MakeFile) -> None:
    address = s3_address(url)
    store = S3Store(s3._bucket(address, 1), s3._bucket(address, 20), s3.Secrets.of(address))
    await store.put(KEY, make_file(noise(12_000_000)))
    pieces = []
    async for piece in store.read(KEY):
        pieces.append(piece)
        if len(pieces) in (1, 20):
            await asyncio.sleep(1.5)
    assert b"".join(pieces) == noise(12_000_000)


async def test_settings_of_an_object_are_not_shown(store: S3Store) -> None:
    assert moto.SECRET not in repr(store) + repr(vars(store))


async def _all(store: S3Store) -> bytes:
    return b"".join([piece async for piece in store.read(KEY)])


class answering:  # noqa: N801 - it is used like a function
    """The storage URL of an S3 that gives one answer to everything."""

    def __init__(self, answer: bytes) -> None:
        self.asked: set[str] = set()
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"s3://k:s@files?endpoint=http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # Each by itself: a client may open one more than it uses.
            threading.Thread(target=self._answer_to, args=(connection,), daemon=True).start()

    def _answer_to(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.asked.add(connection.recv(65536).partition(b" HTTP/")[0].decode())
            connection.sendall(self._answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def is_signed_by_botocore(link: str, key_id: str, secret: str, token: str | None = None) -> bool:
    """Whether botocore, at the time that the link names, gives the same address the same signature."""
    parts = urlsplit(link)
    query = dict(parse_qsl(parts.query))
    given = query.pop("X-Amz-Signature")
    ours = {name: value for name, value in query.items() if not name.startswith("X-Amz-")}
    _, _, region, service, _ = query["X-Amz-Credential"].split("/")
    auth = botocore.auth.S3SigV4QueryAuth(
        botocore.credentials.Credentials(key_id, secret, token), service, region, expires=int(query["X-Amz-Expires"])
    )
    plain = parts._replace(query=urlencode(ours, quote_via=quote)).geturl()
    request = botocore.awsrequest.AWSRequest("GET", plain)
    at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: at)
        auth.add_auth(request)
    theirs = dict(parse_qsl(urlsplit(request.url).query))
    return theirs.pop("X-Amz-Signature") == given and theirs == query
