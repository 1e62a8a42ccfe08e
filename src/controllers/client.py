"""Where a request comes from: the client's address behind trusted proxies, its User-Agent, its language."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

from ..viewer import ClientInfo

MAX_USER_AGENT = 300
Networks = Sequence[IPv4Network | IPv6Network]


def client_of(request: web.Request, trusted: Networks) -> ClientInfo:
    """Who is at the other end. `X-Forwarded-For` counts only as far as our own proxies (`trusted`) wrote it."""
    agent = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    return ClientInfo(
        address=client_address(request.remote or "", request.headers.getall("X-Forwarded-For", []), trusted),
        user_agent="".join(char for char in agent if char.isprintable()),
        language=preferred_language(request.headers.get("Accept-Language", "")),
    )


def client_address(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """The nearest address, seen from us, that is not one of our proxies: anything further left may be made up."""
    hops = [peer, *reversed([hop.strip() for header in forwarded for hop in header.split(",")])] if trusted else [peer]
    known = peer
    for hop in hops:
        address = _parsed(hop)
        if address is None:
            break
        known = str(address)
        if not any(address in network for network in trusted):
            break
    return known


def _parsed(hop: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(hop)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def preferred_language(accept: str) -> str:
    """`ko` or `en`, whichever an Accept-Language header names first; `ko` if neither."""
    for entry in accept[:200].split(","):
        language = entry.split(";")[0].strip().lower()[:2]
        if language in ("ko", "en"):
            return language
    return "ko"
