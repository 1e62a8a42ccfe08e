"""Bytes of the storage as an answer: whole or a range of them, to be saved or shown, and never run."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import cast

import structlog
from aiohttp import web

from ..errors import Gone, Unavailable
from ..storage.download import Download
from ..storage.store import ObjectMissing, Store
from .dispositions import written
from .media_types import UNKNOWN, harmless
from .ranges import wanted

STALL_SECONDS = 60
# As GitHub serves raw files: what is shown can load nothing, run nothing, and is of no origin.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'; base-uri 'none'"
# An <img> of another site may show it: the address is the key.
_FOR_ALL_SITES = {"Cross-Origin-Resource-Policy": "cross-origin"}
_CACHE = {"private": "private, no-cache", "immutable": "public, max-age=31536000, immutable"}

log = structlog.get_logger("chatty.downloads")


async def answer(
    request: web.Request, store: Store, download: Download, *, redirect: int | None = None
) -> web.StreamResponse:
    """Answer a GET or HEAD with an object, to somebody who may have it (RFC 9110 §13, §14).

    `redirect`: send browsers to the storage itself, where it has addresses, by one that is good for so many seconds.
    Raises Gone where the object is missing, and Unavailable where the storage fails.
    """
    headers = _headers(download)
    if any(known.value in (download.etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    if request.method == "HEAD":
        return await _head(store, download, headers)
    if redirect and (link := await _link(store, download, redirect)):
        return web.Response(status=302, headers={"Location": link, **_FOR_ALL_SITES})  # not to be stored
    return await _stream(request, store, download, headers)


def _headers(download: Download) -> dict[str, str]:
    return {
        "Content-Type": harmless(download.content_type),
        "Content-Disposition": _disposition(download),
        "Content-Security-Policy": POLICY,
        **_FOR_ALL_SITES,
        "Cache-Control": _CACHE[download.cache],
        "ETag": f'"{download.etag}"',
        "Accept-Ranges": "bytes",
    }


def _disposition(download: Download) -> str:
    return written(download.name, inline=download.inline and harmless(download.content_type) != UNKNOWN)


async def _head(store: Store, download: Download, headers: dict[str, str]) -> web.StreamResponse:
    with _storage():
        size = await store.size(download.key)
    return web.Response(headers={**headers, "Content-Length": str(size)})


async def _link(store: Store, download: Download, seconds: int) -> str | None:
    with _storage():
        return await store.link(
            download.key,
            seconds,
            content_type=harmless(download.content_type),
            disposition=_disposition(download),
        )


async def _stream(
    request: web.Request, store: Store, download: Download, headers: dict[str, str]
) -> web.StreamResponse:
    await _refuse_cut(store, download)
    part = wanted(request.headers, download.size, download.etag)
    if part is not None and not part:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{download.size}"})
    response = web.StreamResponse(headers=headers)
    span = range(download.size) if part is None else part
    if part is not None:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{download.size}"
    response.content_length = len(span)
    reading = cast(AsyncGenerator[bytes, None], store.read(download.key, span.start, span.stop))
    async with aclosing(reading) as pieces:
        with _storage():
            first = await anext(pieces, b"")
        with suppress(ConnectionError):  # the client has gone
            await _send(request, response, first, pieces)
    return response


async def _refuse_cut(store: Store, download: Download) -> None:
    """Raise Gone for a file on our disk that is not as long as it was; of S3 it is not asked each time."""
    with _storage():
        if store.path(download.key) and await store.size(download.key) != download.size:
            raise Gone


async def _send(request: web.Request, response: web.StreamResponse, first: bytes, rest: AsyncIterator[bytes]) -> None:
    """Raises OSError when there is less than was announced, and TimeoutError when the client takes nothing."""
    await response.prepare(request)
    owed = response.content_length or 0
    piece = first
    while piece:
        async with asyncio.timeout(STALL_SECONDS):
            await response.write(piece)
        owed -= len(piece)
        piece = await anext(rest, b"")
    if owed:
        raise OSError("an object is not as long as it was")
    await response.write_eof()


@contextmanager
def _storage() -> Iterator[None]:
    """What a failure of the storage means to whoever asks."""
    try:
        yield
    except ObjectMissing:
        raise Gone from None
    except OSError as error:
        log.error("the storage fails", exc_info=error)
        raise Unavailable from error
