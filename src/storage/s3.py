"""Objects in a bucket of any store that speaks S3, through obstore."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from ..errors import StorageFull
from ..storage_url import S3Address
from .keys import checked, checked_prefix
from .presigned import Secrets, with_headers
from .store import ObjectMissing, Stored

if TYPE_CHECKING:  # they are only there for type checkers
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

PIECE: Final = 256 * 1024
LINK_SECONDS: Final = 60
ANSWER_SECONDS: Final = 25
"""How long a question may take in all; a transfer may take longer, but not stand still for longer."""

_PART: Final = 5 * 1024 * 1024  # the least that S3 takes as a part, and what one upload holds in memory twice
_PARTS_AT_ONCE: Final = 2
_SLOWEST_BYTES_PER_SECOND: Final = 128 * 1024
_RETRY: Final["RetryConfig"] = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_NO_ROOM: Final = ("StorageFull", "QuotaExceeded", "507 Insufficient Storage")


class S3Store:
    """A Store in a bucket. `asking` is for short questions and downloads, `writing` for uploads, which answer late."""

    def __init__(self, asking: Bucket, writing: Bucket, secrets: Secrets) -> None:
        self._asking = asking
        self._writing = writing
        self._secrets = secrets

    @classmethod
    def at(cls, address: S3Address) -> Self:
        """The store at an address of the settings. Raises OSError where obstore refuses it."""
        with _failures("open"):
            return cls(_bucket(address, 10), _bucket(address, 20), Secrets.of(address))

    async def put(self, key: str, source: Path) -> None:
        """See Store. Cancelled or failed, it may leave parts that only a lifecycle rule of the bucket removes."""
        checked(key)
        size = (await asyncio.to_thread(source.stat)).st_size
        with _failures("put"):
            async with asyncio.timeout(2 * ANSWER_SECONDS + size / _SLOWEST_BYTES_PER_SECOND):
                await obstore.put_async(self._writing, key, source, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)

    async def size(self, key: str) -> int:
        with _failures("size", missing=checked(key)):
            async with asyncio.timeout(ANSWER_SECONDS):
                return (await obstore.head_async(self._asking, key))["size"]

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        checked(key)
        if end is not None and end <= start:
            await self.size(key)
            return
        with _failures("read", missing=key):
            async for chunk in self._chunks(key, start, end):
                for at in range(0, len(chunk), PIECE):
                    yield chunk[at : at + PIECE]

    async def delete(self, keys: Collection[str]) -> None:
        if not (paths := [checked(key) for key in keys]):
            return
        with _failures("delete"):
            async with asyncio.timeout(ANSWER_SECONDS + len(paths) / 10):
                try:
                    await obstore.delete_async(self._asking, paths)
                except FileNotFoundError:  # what is gone is gone; but not every store says so of it (Google's does not)
                    await self._delete_each(paths)

    async def _delete_each(self, paths: Collection[str]) -> None:
        for path in paths:
            try:
                await obstore.delete_async(self._asking, path)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise

    async def list(self, prefix: str = "") -> AsyncIterator[Stored]:
        # obstore knows only whole directories.
        directory = checked_prefix(prefix).rpartition("/")[0]
        with _failures("list"):
            pages = aiter(obstore.list(self._asking, directory or None, chunk_size=500))
            while True:
                async with asyncio.timeout(ANSWER_SECONDS):
                    page = await anext(pages, None)
                if page is None:
                    return
                for found in page:
                    if found["path"].startswith(prefix):
                        yield Stored(found["path"], found["size"], found["last_modified"])

    def path(self, key: str) -> Path | None:
        return None

    async def link(self, key: str, seconds: int, *, content_type: str, disposition: str) -> str | None:
        """See Store; for a minute at most. None where the credentials are the machine's and not ours to sign with."""
        checked(key)
        expires = timedelta(seconds=min(seconds, LINK_SECONDS))
        with _failures("sign"):
            async with asyncio.timeout(ANSWER_SECONDS):
                signed = await obstore.sign_async(self._asking, "GET", key, expires)
        return with_headers(
            signed,
            {"response-content-type": content_type, "response-content-disposition": disposition},
            self._secrets,
        )

    async def close(self) -> None: ...

    async def _chunks(self, key: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        wanted: Any = {"offset": start} if end is None else (start, end)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                whole = start == 0 and end is None  # of an empty object there is no range
                found = await obstore.get_async(self._asking, key, options={} if whole else {"range": wanted})
        except BaseError as error:
            if "416 Range Not Satisfiable" in str(error):  # it begins behind the end, where a file has nothing either
                return
            raise
        async for chunk in found.stream(min_chunk_size=PIECE // 2):
            yield chunk


def _bucket(address: S3Address, patience: int) -> Bucket:
    """A client that waits `patience` seconds for a next byte: a limit on the whole would cut off slow readers."""
    client: ClientConfig = {
        "allow_http": address.options.get("endpoint", "").startswith("http://"),
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": timedelta(seconds=patience),
        "timeout": timedelta(hours=1),
    }
    credential: S3Credential = {
        "access_key_id": address.key_id,
        "secret_access_key": address.secret,
        "token": address.options.get("session_token"),
        "expires_at": None,
    }
    config: S3Config = {name: value for name, value in address.options.items() if name != "session_token"}  # type: ignore[assignment]
    return Bucket(
        address.bucket,
        prefix=address.prefix or None,
        config=config,
        client_options=client,
        retry_config=_RETRY,
        # Given as keys, they would be mixed with a session token of the environment.
        credential_provider=(lambda: credential) if address.key_id else None,
    )


@contextmanager
def _failures(verb: str, missing: str | None = None) -> Iterator[None]:
    """Raises what Store says in place of what obstore says; the words of S3 stay in the cause."""
    try:
        yield
    except FileNotFoundError as error:
        if missing is None or "NoSuchBucket" in str(error):
            raise OSError(f"S3 has no place to {verb} there.") from error
        raise ObjectMissing(missing) from error
    except (BaseError, ValueError) as error:
        if any(word in str(error) for word in _NO_ROOM):
            raise StorageFull from error
        raise OSError(f"S3 did not {verb}: {type(error).__name__}") from error
