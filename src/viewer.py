"""Who is asking, and from where. Made at an edge, handed down; nothing below asks a second time."""

from dataclasses import dataclass
from datetime import datetime
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
