"""Which addresses are anybody's: on the internet, and neither this machine's nor its network's (OWASP on SSRF)."""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

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


class PublicOnly(AbstractResolver):
    """Looks a name up, and raises NotPublic if one of its addresses is not anybody's. aiohttp connects to no others."""

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(each["host"]) for each in found):
            raise NotPublic(host)
        return found

    async def close(self) -> None:
        await self._resolver.close()
