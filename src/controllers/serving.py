"""Routes, served: who is asking, may they ask so often, what do they say, then one call of a controller's method."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from ..config import Settings
from ..errors import Unexpected
from ..schemas.links import Reader
from ..viewer import Viewer
from .api import PREFIX, REGISTERED, SIGNED_IN, Answer, Cookie, Parameter, Route, routes_of
from .bodies import await_reader
from .client import client_of
from .courtesy import COURTESY, Courtesy
from .edge import invalid
from .forms import Form
from .links import Links
from .parsing import bearer_token, path_reader, query_reader, read_json, tolerant_query_reader
from .uploads import Staging, limits_of

VIEWER = web.RequestKey("viewer", Viewer)
ALWAYS: web.RequestKey[Mapping[str, str]] = web.RequestKey("always", Mapping)
"""Headers that whatever is answered carries, a refusal too."""
Authenticate = Callable[[str], Awaitable[Viewer]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FromRequest = Callable[[web.Request], Any]


class Throttle(Protocol):
    """What counts requests: raises RateLimited when `policy` is exhausted for one of `keys`."""

    async def hit(self, policy: str, *keys: str) -> None: ...


def mount(  # noqa: PLR0913 - what stands around every route, each given by name
    app: web.Application,
    controllers: Sequence[object],
    *,
    authenticate: Authenticate,
    throttle: Throttle,
    settings: Settings,
    links: Links,
    staging: Staging | None = None,
    busy: Callable[[], bool] = lambda: False,
) -> None:
    """Serve the routes of `controllers` under PREFIX.

    `authenticate` turns an access token into its Viewer, or raises Unauthorized or TokenExpired. `links` writes the
    addresses in what is answered. `staging` is where files wait; only routes with an upload need it. `busy` tells
    whether something is under way that goes before uploads. Raises TypeError for a route that cannot be served.
    """
    app[COURTESY] = Courtesy(busy)
    around = _Around(authenticate, throttle, settings, links, staging)
    handlers: dict[str, dict[str, Handler]] = defaultdict(dict)
    patient: set[tuple[str, str]] = set()
    for controller in controllers:
        for declared in routes_of(type(controller)):
            handle = _Endpoint(declared, controller, around).handle
            if declared.upload or (declared.wire and declared.wire.body):
                patient.add((PREFIX + declared.path, declared.method))
            handlers[PREFIX + declared.path][declared.method] = handle
            if declared.method == "GET" and declared.status != 302:  # what sends a browser on does something on the way
                handlers[PREFIX + declared.path]["HEAD"] = handle
    for path, methods in handlers.items():
        resource = app.router.add_resource(path)
        for method, handler in methods.items():
            resource.add_route(method, handler, expect_handler=await_reader if (path, method) in patient else None)
        # Else `PATCH /friends/requests` would be taken for `PATCH /friends/{user_id}`.
        resource.add_route("*", _other_methods_refused(set(methods)))


def _other_methods_refused(allowed: set[str]) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse


class _Around(NamedTuple):
    """What every endpoint needs of its surroundings."""

    authenticate: Authenticate
    throttle: Throttle
    settings: Settings
    links: Links
    staging: Staging | None


class _Endpoint:
    """One route, served. What can be known of it before a request comes is worked out here, once."""

    def __init__(self, route: Route, controller: object, around: _Around) -> None:
        self._method, self._answer = _method(controller, route), _answerer(route)
        self._readers = _readers(route, around)
        self._authenticate, self._throttle, self._settings = around.authenticate, around.throttle, around.settings
        self._links = around.links
        self._policies = policies_of(route)
        self._viewer = route.parameter_from("viewer")
        self._client = route.parameter_from("client")
        self._body = route.parameter_from("body")
        takes_query = route.any_query or route.parameter_from("query")
        self._refuse_query = None if takes_query else query_reader(None)
        self._always = route.wire.always if route.wire else None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self._always:
            request[ALWAYS] = self._always
        arguments = await self._who_is_asking(request)
        try:
            if self._refuse_query:
                self._refuse_query(request)
            for name, read in self._readers:
                arguments[name] = read(request)
            if self._body:
                arguments[self._body.name] = await read_json(request, self._body.type, self._body.optional)
        except ValidationError as error:
            raise invalid(error) from None
        try:
            return self._answer(await self._method(**arguments), self._reader(arguments))
        except ValidationError as error:  # of our own making: the caller's words have passed
            raise Unexpected from error

    def _reader(self, arguments: dict[str, Any]) -> Reader:
        return self._links.to(arguments[self._viewer.name].user_id if self._viewer else None)

    async def _who_is_asking(self, request: web.Request) -> dict[str, Any]:
        """The Viewer and the ClientInfo, as far as the method takes them; counted before anything else is looked at."""
        arguments: dict[str, Any] = {}
        counted = ""
        if self._viewer:
            arguments[self._viewer.name] = request[VIEWER] = viewer = await self._authenticate(bearer_token(request))
            counted = str(viewer.user_id)
        if self._client or (self._policies and not counted):
            client = client_of(request, self._settings)
            counted = counted or client.network
            if self._client:
                arguments[self._client.name] = client
        for policy in self._policies:
            await self._throttle.hit(policy, counted)
        return arguments


def policies_of(route: Route) -> list[str]:
    """What a request to `route` is counted under: its own policy, and for a person every request's."""
    return [*(["requests"] if route.access == SIGNED_IN else []), *([route.limit] if route.limit else [])]


def _method(controller: object, route: Route) -> Callable[..., Awaitable[Any]]:
    found: Callable[..., Awaitable[Any]] = getattr(controller, route.name)
    if not hasattr(found, REGISTERED):
        raise TypeError(f"{type(controller).__name__}.{route.name} hides a route")
    return found


def _readers(route: Route, around: _Around) -> list[tuple[str, FromRequest]]:
    return [(each.name, read) for each in route.parameters if (read := _reader(each, route, around))]


def _reader(parameter: Parameter, route: Route, around: _Around) -> FromRequest | None:
    if parameter.source == "path":
        return path_reader(parameter.name, parameter.type)
    if parameter.source == "query":
        return tolerant_query_reader(parameter.type) if route.any_query else query_reader(parameter.type)
    if parameter.source == "upload":
        return _form_maker(route, around)
    return (lambda request: request) if parameter.source == "request" else None


def _form_maker(route: Route, around: _Around) -> FromRequest:
    if route.upload is None or around.staging is None:
        raise TypeError(f"{route.path} takes files, and there is nowhere to put them")
    limits, staging = limits_of(route.upload, around.settings.files), around.staging
    return lambda request: Form(request, limits, staging)


def _answerer(route: Route) -> Callable[[Any, Reader], web.StreamResponse]:
    if route.answer is web.StreamResponse:
        return lambda result, reader: cast(web.StreamResponse, result)
    dump = None if route.answer is None else TypeAdapter[Any](route.answer).serializer.to_json

    def respond(result: Any, reader: Reader) -> web.StreamResponse:
        extra = result if isinstance(result, Answer) else None
        body = result.body if isinstance(result, Answer) else result
        status = (extra and extra.status) or route.status
        if dump is None or body is None:
            response = web.Response(status=status)
        else:
            response = web.Response(body=dump(body, context=reader), status=status, headers=_JSON)
        if extra:
            response.headers.update(extra.headers)
            for cookie in extra.cookies:
                set_cookie(response, cookie)
        return response

    return respond


_JSON = {"Content-Type": "application/json"}


def set_cookie(response: web.StreamResponse, cookie: Cookie) -> None:
    """Put `cookie` on a response that is not yet on its way."""
    response.set_cookie(
        cookie.name,
        cookie.value,
        path=cookie.path,
        max_age=cookie.max_age,
        secure=cookie.secure,
        httponly=True,
        samesite=cookie.same_site,
    )
