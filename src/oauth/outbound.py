"""Asking others over HTTP, within bounds of time, size and place (RFC 9700 §4.11, OWASP on SSRF)."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import aiohttp

from ..origins import origin_of
from .answers import json_object
from .failures import Unanswered

SECONDS: float = 10
CONNECT_SECONDS: float = 5
MAX_BYTES: Final = 256 * 1024
_MAX_CONNECTIONS: Final = 50
_MAX_TO_ONE: Final = 20  # who keeps silent must leave some for the others
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Chatty"}


class Answer(NamedTuple):
    """A status below 500, neither a redirection nor 429, and its body as it came."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The object in the body. Raises Unanswered if there is none."""
        return json_object(self.body)


class Outbound:
    """An HTTP client without cookies, redirections or memory, made at its first use inside the event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ask(
        self,
        address: str,
        origins: Collection[str],
        *,
        form: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET `address`, or POST it `form` (urlencoded).

        Raises Unanswered if the address is not at one of `origins`, if nothing comes in time, if it is too big, is a
        redirection, or says that the other side cannot answer now.
        """
        _refuse_elsewhere(address, origins)
        try:
            return await self._answer(address, form, headers or {})
        except TimeoutError:
            raise Unanswered("timeout") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise Unanswered("unreachable") from None

    async def close(self) -> None:
        """End what is under way; no further request is made."""
        self._closed = True
        if self._session:
            await self._session.close()

    async def _answer(self, address: str, form: str | None, headers: Mapping[str, str]) -> Answer:
        kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        async with self._opened().request(
            "GET" if form is None else "POST", address, data=form, headers={**kind, **headers}, allow_redirects=False
        ) as response:
            if 300 <= response.status < 400:
                raise Unanswered("redirect")
            if response.status >= 500 or response.status == 429:
                raise Unanswered("server_error")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise Unanswered("compressed")  # we asked for it as it is
            return Answer(response.status, await _bounded(response))

    def _opened(self) -> aiohttp.ClientSession:
        if self._closed:
            raise Unanswered("closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A connection that was kept may be half dead, and a code can be sent only once.
                connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, limit_per_host=_MAX_TO_ONE, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS),
                auto_decompress=False,
                headers=_HEADERS,
            )
        return self._session


def _refuse_elsewhere(address: str, origins: Collection[str]) -> None:
    try:
        known = origin_of(address) in origins
    except ValueError:
        known = False
    if not known:
        raise Unanswered("address_not_allowed")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(MAX_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise Unanswered("too_big")
    return bytes(body)
