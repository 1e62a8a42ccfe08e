"""The way out: one POST to an address that somebody else has named, without being led astray (OWASP on SSRF)."""

import re
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from ..clock import now
from ..origins import origin_of
from ..public_addresses import NotPublic, PublicOnly
from .failures import Gone, PushFailed, Refused, TryLater

SECONDS: float = 10
"""For all of it: a connection to be free, its being made, the answer."""
MAX_RETRY_AFTER: Final = 3600

_CONNECT_SECONDS: Final = 5
_MAX_CONNECTIONS: Final = 100
_MAX_TO_ONE: Final = 20  # who keeps silent must leave some for the others
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "Chatty"}
_GONE: Final = frozenset([HTTPStatus.NOT_FOUND, HTTPStatus.GONE])
_LATER: Final = frozenset([HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS])
_SECONDS: Final = re.compile(r"[0-9]+")


class Accepted:
    """What pywebpush sees of an answer: that it was a good one."""

    status: Final = int(HTTPStatus.CREATED)

    async def text(self) -> str:
        return ""


class Door:
    """Given to pywebpush for its aiohttp session, of which it asks `post` alone: a session's own follows redirections.

    `allowed_origins` are asked wherever they are; of other names only what leads to the internet.
    """

    def __init__(self, allowed_origins: Collection[str]) -> None:
        self._allowed = frozenset(allowed_origins)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._closed = False

    async def post(self, endpoint: str, *, data: bytes, headers: Mapping[str, str], timeout: object = None) -> Accepted:
        """Post to an endpoint that was checked. `timeout` is pywebpush's, and not heeded. Raises PushFailed."""
        session = self._session_for(endpoint)
        try:
            # The address as it was given: some push services sign theirs.
            address = URL(endpoint, encoded=True)
            async with session.post(address, data=data, headers=headers, allow_redirects=False) as response:
                # Nobody reads the body. If it has not come with the head, the connection is closed and not kept.
                failure = _failure(response.status, response.headers.get("Retry-After"))
        except NotPublic:
            raise Refused("address_not_allowed") from None
        except TimeoutError:
            raise TryLater("timeout") from None
        except aiohttp.ClientConnectorError:
            raise TryLater("unreachable") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise TryLater("unanswered") from None
        if failure:
            raise failure
        return Accepted()

    async def close(self) -> None:
        """End what is under way; nothing is posted any more."""
        self._closed = True
        for session in self._sessions.values():
            await session.close()

    def _session_for(self, endpoint: str) -> aiohttp.ClientSession:
        """Made at its first use inside the event loop. What is allowed anywhere shares no connection with the rest."""
        if self._closed:
            raise TryLater("closed")
        is_allowed = origin_of(endpoint) in self._allowed
        if is_allowed not in self._sessions:
            self._sessions[is_allowed] = _session(aiohttp.ThreadedResolver() if is_allowed else PublicOnly())
        return self._sessions[is_allowed]


def _session(resolver: AbstractResolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # A name is looked up whenever a connection is made, and what was found is what is connected to.
        connector=aiohttp.TCPConnector(
            resolver=resolver, use_dns_cache=False, limit=_MAX_CONNECTIONS, limit_per_host=_MAX_TO_ONE
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=_CONNECT_SECONDS),
        auto_decompress=False,
        headers=_HEADERS,
    )


def _failure(status: int, retry_after: str | None) -> PushFailed | None:
    """What a push service's answer (RFC 8030 §5) means."""
    reason = f"status_{status}"
    if 200 <= status < 300:
        return None
    if status in _GONE:
        return Gone(reason)
    if status in _LATER or status >= 500:
        return TryLater(reason, _seconds(retry_after))
    return Refused(reason, status)


def _seconds(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After means (RFC 9110 §10.2.3), an hour at most; None if it means nothing."""
    if retry_after is None:
        return None
    if _SECONDS.fullmatch(retry_after):
        return min(float(retry_after), MAX_RETRY_AFTER)
    try:
        seconds = (parsedate_to_datetime(retry_after) - now()).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0), MAX_RETRY_AFTER)
