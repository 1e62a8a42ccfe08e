"""The pages that mailed links lead to: /verify-email, /reset-password and /unsubscribe, in Korean or English.

Opening one uses nothing up, since mail scanners open links; its button calls the API. The web app may take over all.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from .client import preferred_language
from .docs import PAGE_POLICY, STATIC

PAGES = ("verify-email", "reset-password", "unsubscribe")
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": PAGE_POLICY,
    "Cache-Control": "no-store",
    "Vary": "Accept-Language",
}


def mount_account_pages(app: web.Application) -> None:
    """Serve the pages; their style and script come from /static/account/."""
    for name in PAGES:
        app.router.add_get(f"/{name}", _page((STATIC / "account" / f"{name}.html").read_text(encoding="utf-8")))


def _page(html: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    in_language = {"ko": html.encode(), "en": html.replace('<html lang="ko">', '<html lang="en">', 1).encode()}

    async def answer(request: web.Request) -> web.StreamResponse:
        language = preferred_language(request.headers.get("Accept-Language", ""))
        return web.Response(body=in_language[language], headers=_HEADERS)

    return answer
