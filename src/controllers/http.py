"""Around every request: its id, one line of log, failures as problem documents, and the headers that browsers obey.

One middleware and one signal, because each costs every request. Responses of Socket.IO pass through here too; its CORS
is engine.io's own affair.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog
import uuid_utils
from aiohttp import web
from structlog.contextvars import bind_contextvars

from ..config import Settings
from ..errors import ChattyError, Forbidden, MethodNotAllowed, Unexpected, UnsupportedType
from .edge import explain, headers_of, problem
from .serving import ALWAYS, VIEWER

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = web.RequestKey("request_id", str)
STARTED = web.RequestKey("response_started", bool)
SOCKETS = "/socket.io/"
NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOTHING: Mapping[str, str] = {}
_QUIET = ("/socket.io/", "/healthz", "/readyz")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Server": "chatty",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, X-Request-ID, If-None-Match, If-Range, Range, "
        "Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Defer-Length, Upload-Concat"
    ),
    "Access-Control-Max-Age": "600",
}
_EXPOSED = (
    "X-Request-ID, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
    "ETag, Content-Disposition, Content-Range, Content-Length, Accept-Ranges, Location, "
    "Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Length, Upload-Offset, Upload-Metadata, "
    "Upload-Defer-Length, Upload-Expires, Chatty-File-Id"
)

log = structlog.get_logger("chatty.http")


def install(app: web.Application, settings: Settings) -> None:
    """Put the edge around everything that `app` serves."""
    app.middlewares.append(_edge(settings))
    app.on_response_prepare.append(_header_writer(settings))


def request_id(request: web.Request) -> str:
    """The id of a request: the client's own if it is well-formed, else one made here. The same at every call."""
    known = request.get(REQUEST_ID)
    if known is None:
        given = request.headers.get("X-Request-ID", "")
        request[REQUEST_ID] = known = given if _ID.fullmatch(given) else str(uuid_utils.uuid7())
    return known


def problem_response(request: web.Request, error: ChattyError, extra: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as `application/problem+json`."""
    headers = {"Content-Type": "application/problem+json", **headers_of(error), **(extra or {})}
    return web.Response(status=error.status, body=orjson.dumps(problem(error, request_id(request))), headers=headers)


def _edge(settings: Settings) -> Any:
    @web.middleware
    async def edge(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        bind_contextvars(request_id=request_id(request))
        try:
            if _is_preflight(request):
                response: web.StreamResponse = _preflight(request, settings)
            else:
                _refuse_dangerous(request, settings)
                response = await handler(request)
        except web.HTTPException as answer:
            if answer.status >= 400:
                response = _refused(request, answer)
            else:
                _log_access(request, answer.status, started)
                raise
        except Exception as error:
            response = _refused(request, error)
        _log_access(request, response.status, started)
        return response

    return edge


def _refuse_dangerous(request: web.Request, settings: Settings) -> None:
    """Refuse what no handler should see: bodies to inflate, and a cookie used from somebody else's page."""
    headers = request.headers
    if "Content-Encoding" in headers:
        raise UnsupportedType("Send the body without a Content-Encoding.")
    if request.method not in _SAFE and "Cookie" in headers and not _same_people(request, settings):
        raise Forbidden("A page of another origin may not use this person's cookie.")


def _same_people(request: web.Request, settings: Settings) -> bool:
    origin = request.headers.get("Origin")
    return origin is None or origin in settings.origins or origin.partition("://")[2] == request.host


def _refused(request: web.Request, error: Exception) -> web.Response:
    explained = explain(error)
    if isinstance(explained, Unexpected) and not _has_hung_up(request, error):
        log.error("request failed", route=_route(request), exc_info=error)
    if STARTED in request and request.transport:
        # The status has gone out: only a cut connection still says that what follows is not the answer.
        request.transport.abort()
    allow = getattr(error, "headers", {}).get("Allow") if isinstance(explained, MethodNotAllowed) else None
    return problem_response(request, explained, {"Allow": allow} if allow else None)


def _has_hung_up(request: web.Request, error: Exception) -> bool:
    """Did the client go in the middle of its answer? That is no failure of ours."""
    gone = request.transport is None or request.transport.is_closing()
    return gone and isinstance(error, ConnectionError)


def _is_preflight(request: web.Request) -> bool:
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return False
    return not request.path.startswith(SOCKETS)


def _preflight(request: web.Request, settings: Settings) -> web.Response:
    """The answer to a CORS preflight (Fetch §3.2.2); without the origin's name to a stranger's, which tells it no."""
    return web.Response(status=204, headers=_PREFLIGHT if request.headers.get("Origin") in settings.origins else None)


def _header_writer(settings: Settings) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    fixed = dict(_HEADERS)
    if settings.secure_cookies:
        fixed["Strict-Transport-Security"] = "max-age=31536000"

    async def write(request: web.Request, response: web.StreamResponse) -> None:
        request[STARTED] = True
        headers = response.headers
        headers.update(fixed)
        headers["X-Request-ID"] = request_id(request)
        headers.update(request.get(ALWAYS, _NOTHING))
        headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
        headers.setdefault("Cross-Origin-Resource-Policy", "same-site")
        if not request.path.startswith(SOCKETS):
            headers.setdefault("Cache-Control", "no-store")
            _write_cors(request, response, settings)

    return write


def _write_cors(request: web.Request, response: web.StreamResponse, settings: Settings) -> None:
    response.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin in settings.origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _log_access(request: web.Request, status: int, started: float) -> None:
    """One line. Never the path itself, the query or the address: they hold names, searches and tokens."""
    route = _route(request)
    say = log.debug if route.startswith(_QUIET) else log.info
    viewer = request.get(VIEWER)
    say(
        "request",
        method=request.method,
        route=route,
        status=status,
        ms=round((time.perf_counter() - started) * 1000, 1),
        user_id=str(viewer.user_id) if viewer else None,
    )


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "(none)"
