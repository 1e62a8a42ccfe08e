"""Where a REST request comes from: the client's address behind trusted proxies, its User-Agent, its language."""

from aiohttp import web

from ..config import Settings
from ..realtime.addresses import client_address
from ..viewer import ClientInfo

MAX_USER_AGENT = 300


def client_of(request: web.Request, settings: Settings) -> ClientInfo:
    """Who is at the other end of `request`. Headers are cleaned: they go into tables and mails."""
    agent = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    return ClientInfo(
        address=client_address(request, settings.proxy_networks),
        user_agent="".join(char for char in agent if char.isprintable()),
        language=preferred_language(request.headers.get("Accept-Language", "")),
    )


def preferred_language(accept: str) -> str:
    """`ko` or `en`, whichever an Accept-Language header names first; `ko` if neither."""
    for entry in accept[:200].split(","):
        language = entry.split(";")[0].strip().lower()[:2]
        if language in ("ko", "en"):
            return language
    return "ko"
