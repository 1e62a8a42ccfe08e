"""Fetching a person's picture from an address that somebody else has named, without being led astray (OWASP on SSRF).

Asked is only https on its usual port, under a name all of whose addresses are anybody's on the internet; they are
looked up once, and exactly they are connected to. What the operator has set up is asked wherever it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from ..origins import origin_of
from ..public_addresses import NotPublic, PublicOnly, is_name
from .failures import Refused, Unanswered
from .outbound import CONNECT_SECONDS

SECONDS: float = 10
"""For all of it."""
REDIRECTS: Final = 2

_PIECE: Final = 64 * 1024
_LATER: Final = frozenset([408, 425, 429])
_HEADERS: Final = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "Chatty"}

Write = Callable[[bytes], Awaitable[None]]


async def fetch(address: str, origins: Collection[str], most: int, write: Write) -> None:
    """Write the at most `most` bytes at `address`, piece by piece. `origins`: what may be asked wherever it is.

    Raises Refused for what will not mend, Unanswered for what may, and what `write` raises.
    """
    try:
        async with asyncio.timeout(SECONDS):
            await _follow(address, origins, most, write)
    except TimeoutError:
        raise Unanswered("timeout") from None


async def _follow(address: str, origins: Collection[str], most: int, write: Write) -> None:
    """Wherever we are sent on to is looked at as if it were the first address."""
    for _ in range(1 + REDIRECTS):
        address, is_ours = _checked(address, origins)
        location = await _ask(address, aiohttp.ThreadedResolver() if is_ours else PublicOnly(), most, write)
        if location is None:
            return
        address = _joined(address, location)
    raise Refused("too_many_redirects")


def _checked(address: str, origins: Collection[str]) -> tuple[str, bool]:
    """The address to ask, and whether the operator has set it up. Raises Refused."""
    try:
        if origin_of(address) in origins:
            return address, True
        secure = _secure(address)
        origin, host = origin_of(secure), urlsplit(secure).hostname or ""
    except ValueError:
        raise Refused("no_address") from None
    if origin != f"https://{host}:443" or not is_name(host):
        raise Refused("address_not_allowed")
    return secure, False


def _secure(address: str) -> str:
    """Kakao names its pictures with http:// and has them under https:// too."""
    parts = urlsplit(address)
    if parts.scheme != "http" or parts.port not in (None, 80):
        return address
    return parts._replace(scheme="https", netloc=parts.hostname or "").geturl()


def _joined(address: str, location: str) -> str:
    try:
        return urljoin(address, location)
    except ValueError:
        raise Refused("no_address") from None


async def _ask(address: str, resolver: AbstractResolver, most: int, write: Write) -> str | None:
    """One request: where it sends us on to, or None once all is written."""
    # One connection, that nobody else has used, and a resolver of its own: nothing is remembered from before.
    connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, force_close=True, limit=1)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
        headers=_HEADERS,
    )
    async with session:
        try:
            async with session.get(address, allow_redirects=False) as response:
                if location := _sent_on(response):
                    return location
                await _read(response, most, write)
        except NotPublic:
            raise Refused("address_not_allowed") from None
        except (aiohttp.ClientError, ValueError):
            raise Unanswered("unreachable") from None
    return None


def _sent_on(response: aiohttp.ClientResponse) -> str | None:
    """Where to, if anywhere. Raises Refused and Unanswered for whatever is neither that nor a body."""
    if response.status in (301, 302, 303, 307, 308):
        if location := response.headers.get("Location"):
            return location
        raise Refused("redirect_to_nowhere")
    if response.status >= 500 or response.status in _LATER:
        raise Unanswered("server_error")
    if response.status != 200:
        raise Refused("no_picture")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Refused("compressed")  # we asked for it as it is
    return None


async def _read(response: aiohttp.ClientResponse, most: int, write: Write) -> None:
    left = most
    if (response.content_length or 0) > most:
        raise Refused("too_big")
    async for piece in response.content.iter_chunked(_PIECE):
        left -= len(piece)
        if left < 0:
            raise Refused("too_big")
        await write(piece)
