"""The contract, shown to people: /docs (REST), /docs/events (Socket.IO), /docs/errors; and the raw documents.

Everything is made once at start and served from here: no CDN, no inline script, no foreign origin.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from .api import PREFIX
from .edge import known_errors
from .pages import errors_page, events_page, rest_page

Json = dict[str, Any]
STATIC: Final = Path(__file__).parent.parent / "static"
SWAGGER_UI: Final = STATIC / "vendor" / "swagger-ui" / "swagger-ui-bundle.js"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes; it needs neither eval nor any other origin.
SWAGGER_POLICY: Final = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def mount_docs(app: web.Application, openapi: Json, asyncapi: Json) -> None:
    """Serve both documents and the pages that show them. `/` leads there until the web app takes it."""
    has_viewer = SWAGGER_UI.exists()
    pages = {
        "/docs": _page(rest_page(openapi, has_viewer), SWAGGER_POLICY if has_viewer else PAGE_POLICY),
        "/docs/events": _page(events_page(asyncapi), PAGE_POLICY),
        "/docs/errors": _page(errors_page(known_errors()), PAGE_POLICY),
        f"{PREFIX}/openapi.json": _document(openapi),
        f"{PREFIX}/asyncapi.json": _document(asyncapi),
        "/docs/": _redirect("/docs"),
        "/": _redirect("/docs"),
    }
    for path, handler in pages.items():
        app.router.add_get(path, handler)
    app.router.add_static("/static", STATIC)


def _page(html: str, policy: str) -> Handler:
    return _fixed(html.encode(), "text/html; charset=utf-8", {"Content-Security-Policy": policy})


def _document(document: Json) -> Handler:
    return _fixed(orjson.dumps(document), "application/json", {})


def _fixed(body: bytes, content_type: str, headers: dict[str, str]) -> Handler:
    every = {"Content-Type": content_type, "Cache-Control": "no-cache", **headers}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers=every)

    return answer


def _redirect(target: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(target)

    return answer
