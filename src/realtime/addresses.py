"""The address of a client, also behind proxies that we trust."""

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
FORWARDED_FOR = "X-Forwarded-For"


def client_address(request: web.BaseRequest, trusted_networks: Iterable[Network]) -> str:
    """The address of whoever sent `request`, in its shortest form; "unknown" for a peer without one (a local socket).

    `X-Forwarded-For` counts only where the peer itself is trusted, and is read from its right end, where trusted
    proxies write: the first address that is not a trusted proxy's is the client's. The client made up the rest.
    """
    networks = tuple(trusted_networks)
    address = _parsed(request.remote or "")
    if address is None:
        return UNKNOWN
    for hop in _hops(request.headers.getall(FORWARDED_FOR, ())):
        if not any(address in network for network in networks):
            _hint_at_a_proxy()
            break
        nearer = _parsed(hop)
        if nearer is None:
            break
        address = nearer
    return str(address)


@cache
def _hint_at_a_proxy() -> None:
    """Once: behind an undeclared proxy everybody shares one address, and its limits. Or somebody made the header up."""
    log.warning(
        "A request came with X-Forwarded-For from a peer that is not trusted. If that is your reverse proxy, name its "
        "network in CHATTY_TRUSTED_PROXIES: until then all who come through it count as one client."
    )


def _hops(headers: Sequence[str]) -> list[str]:
    return [hop.strip() for hop in ",".join(headers).split(",") if hop.strip()][::-1]


def _parsed(text: str) -> Address | None:
    """`text` as an address: bare, with a port, in brackets, with a zone; an IPv4 address in IPv6 clothes is IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
