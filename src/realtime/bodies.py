"""The body of a long-polling POST, read whole before anyone looks at it."""

import asyncio

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from ..errors import ChattyError, Malformed, TooLarge


async def read_body(request: web.Request, max_bytes: int, seconds: float) -> bytes:
    """The body of `request`, in however many pieces it arrives. Raises TooLarge, or Malformed where it never ends."""
    if (request.content_length or 0) > max_bytes:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while piece := await request.content.readany():
                body += piece
                if len(body) > max_bytes:
                    raise TooLarge
    except ChattyError:
        raise
    except (TimeoutError, ClientPayloadError, HttpProcessingError, ConnectionError, ValueError) as error:
        raise Malformed from error
    return bytes(body)
