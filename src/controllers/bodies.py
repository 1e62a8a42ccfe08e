"""A body that is too large to be held, read piece by piece from a client that may be slow, broken or gone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from aiohttp import ClientPayloadError, HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from ..errors import Malformed, TooLarge, TooSlow
from .courtesy import COURTESY

GRACE_SECONDS = 10.0
BYTES_PER_SECOND = 4 * 1024
SILENCE_SECONDS = 30.0

_CONTINUED = web.RequestKey("continued", bool)
_BROKEN = (HttpProcessingError, ClientPayloadError, web.RequestPayloadError, OSError)


async def await_reader(request: web.Request) -> None:
    """What to do about `Expect` where a body is read by `pieces`: nothing yet, since it may not be wanted."""
    if request.version >= HttpVersion11 and not _waits_for_us(request):
        raise web.HTTPExpectationFailed


def _waits_for_us(request: web.Request) -> bool:
    """Does the sender keep its body back until it hears a word (RFC 9110 §10.1.1)?"""
    return request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue"


async def pieces(request: web.Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, until its end; whoever takes the pieces slows the sender down by taking their time.

    Raises TooLarge after the piece with which there are more than `most` bytes, Malformed where the body breaks
    off, and TooSlow: at less than BYTES_PER_SECOND beyond the first GRACE_SECONDS, or with a silence. Only the
    time spent waiting counts. May be called again for what a former call, which was closed, has left.
    """
    if _waits_for_us(request) and _CONTINUED not in request:
        request[_CONTINUED] = True
        await _say_continue(request)
    clock = asyncio.get_running_loop().time
    received, waited = 0, 0.0
    while True:
        patience = GRACE_SECONDS + received / BYTES_PER_SECOND - waited
        began = clock()
        piece = await _next_piece(request, min(patience, SILENCE_SECONDS))
        waited += clock() - began
        if not piece:
            return
        received += len(piece)
        await request.app[COURTESY].turn()
        yield piece
        if received > most:
            raise TooLarge


async def _say_continue(request: web.Request) -> None:
    with suppress(ConnectionError):  # whoever reads will see that it has gone
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def _next_piece(request: web.Request, patience: float) -> bytes:
    try:
        async with asyncio.timeout(patience):
            return await request.content.readany()
    except TimeoutError:
        raise TooSlow from None
    except _BROKEN:  # or its sender has hung up
        raise Malformed("The request's body is broken.") from None
