"""Which addresses are anybody's: on the internet, and neither this machine's nor its network's (OWASP on SSRF)."""

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from threading import Thread
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

# Versions of Python differ in what they call global: said here once more (IANA's special-purpose registries).
_NOT_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocols, Oracle's metadata among them
        "192.88.99.0/24",  # 6to4
        "100.64.0.0/10",  # behind a carrier's NAT, Alibaba's metadata among them
        "168.63.129.16/32",  # Azure's metadata, although it looks like anybody's
        "2001::/23",  # protocols, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",
    )
)
# All that was ever given out. So no ::1, no IPv4 address in disguise (::ffff:0:0/96, NAT64 64:ff9b::/96), no fe80::.
_UNICAST: Final = IPv6Network("2000::/3")
LOOKUPS: Final = 64
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def is_public(address: str) -> bool:
    """Whether this IP address may be anybody's on the internet. False for what is none."""
    try:
        given = ip_address(address)
    except ValueError:
        return False
    return _may_be_anybodys(given) and not any(given in network for network in _NOT_PUBLIC)


def _may_be_anybodys(given: IPv4Address | IPv6Address) -> bool:
    if isinstance(given, IPv6Address) and given not in _UNICAST:
        return False
    return given.is_global and not given.is_multicast and not given.is_reserved


def is_name(host: str) -> bool:
    """Whether a host is a name, to be looked up: no IP address, however written (WHATWG URL §3.5 and inet_aton)."""
    last = host.rstrip(".").rpartition(".")[2]
    return bool(last) and ":" not in host and not _NUMBER.fullmatch(last)


class NotPublic(Exception):
    """A name leads to an address that is not anybody's."""


class _OwnThreads:
    """Lookups of names that strangers chose: what answers to them may keep silent, at most LOOKUPS at a time.

    The event loop's own lookups share few threads: the database's name would be looked up after all of these.
    """

    def __init__(self) -> None:
        self._running = 0

    async def getaddrinfo(self, host: str, port: int, **how: Any) -> Any:
        return await self._apart(lambda: socket.getaddrinfo(host, port, **how))

    async def getnameinfo(self, address: Any, flags: int = 0) -> Any:
        return await self._apart(lambda: socket.getnameinfo(address, flags))

    async def _apart(self, look_up: Callable[[], Any]) -> Any:
        if self._running >= LOOKUPS:
            raise OSError("too many names are being looked up")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            answer: Any = None
            try:
                answer = look_up()
            except Exception as error:
                answer = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._end, found, answer)

        self._running += 1
        Thread(target=run, name="lookup", daemon=True).start()
        return await found

    def _end(self, found: "asyncio.Future[Any]", answer: Any) -> None:
        self._running -= 1
        if found.done():  # nobody waits any more
            return
        if isinstance(answer, Exception):
            found.set_exception(answer)
        else:
            found.set_result(answer)


class PublicOnly(AbstractResolver):
    """Looks a name up, and raises NotPublic if one of its addresses is not anybody's. aiohttp connects to no others."""

    def __init__(self) -> None:
        # Of a loop it wants these two methods.
        self._resolver = aiohttp.ThreadedResolver(cast(asyncio.AbstractEventLoop, _OwnThreads()))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(each["host"]) for each in found):
            raise NotPublic(host)
        return found

    async def close(self) -> None:
        await self._resolver.close()
