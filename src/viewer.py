"""Who is asking, and from where. Made at an edge, handed down; nothing below asks a second time."""

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person. `expires_at` is the end of the access token that proved it."""

    user_id: UUID
    session_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Where a request comes from: the client's address behind trusted proxies, and its User-Agent ("" if none)."""

    address: str
    user_agent: str
    language: str = "ko"

    @property
    def network(self) -> str:
        """What to count the address under."""
        return network_of(self.address)


def network_of(address: str) -> str:
    """`address` itself, or its /64 network, since that is what one IPv6 subscriber gets."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
