"""Routes, served: who is asking, may they ask so often, what do they say, then one call of a controller's method."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from ..config import Settings
from ..errors import Unexpected
from ..realtime.addresses import subscriber
from ..viewer import Viewer
from .api import PREFIX, REGISTERED, SIGNED_IN, Answer, Cookie, Parameter, Route, routes_of
from .client import client_of
from .edge import invalid
from .parsing import bearer_token, path_reader, query_reader, read_json

VIEWER = web.RequestKey("viewer", Viewer)
Authenticate = Callable[[str], Awaitable[Viewer]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FromRequest = Callable[[web.Request], Any]


class Throttle(Protocol):
    """What counts requests: raises RateLimited when `policy` is exhausted for one of `keys`."""

    async def hit(self, policy: str, *keys: str) -> None: ...


def mount(
    app: web.Application,
    controllers: Sequence[object],
    *,
    authenticate: Authenticate,
    throttle: Throttle,
    settings: Settings,
) -> None:
    """Serve the routes of `controllers` under PREFIX.

    `authenticate` turns an access token into its Viewer, or raises Unauthorized or TokenExpired.
    """
    handlers: dict[str, dict[str, Handler]] = defaultdict(dict)
    for controller in controllers:
        for declared in routes_of(type(controller)):
            handler = _handler(declared, controller, authenticate, throttle, settings)
            handlers[PREFIX + declared.path][declared.method] = handler
    for path, methods in handlers.items():
        resource = app.router.add_resource(path)
        for method, handler in methods.items():
            resource.add_route(method, handler)
        if "GET" in methods:
            resource.add_route("HEAD", methods["GET"])
        # Else `PATCH /friends/requests` would be taken for `PATCH /friends/{user_id}`.
        resource.add_route("*", _other_methods_refused({*methods, *({"HEAD"} if "GET" in methods else ())}))


def _other_methods_refused(allowed: set[str]) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse


def _handler(
    route: Route, controller: object, authenticate: Authenticate, throttle: Throttle, settings: Settings
) -> Handler:
    method, answer, readers = _method(controller, route), _answerer(route), _readers(route)
    body = route.model_from("body")
    policies = policies_of(route)
    refuse_query = None if route.model_from("query") else query_reader(None)
    viewers = [parameter.name for parameter in route.parameters if parameter.source == "viewer"]
    clients = [parameter.name for parameter in route.parameters if parameter.source == "client"]

    async def handle(request: web.Request) -> web.StreamResponse:
        arguments: dict[str, Any] = {}
        caller = ""
        if viewers:
            viewer = await authenticate(bearer_token(request))
            arguments[viewers[0]] = request[VIEWER] = viewer
            caller = str(viewer.user_id)
        if clients or (route.limit and not caller):
            client = client_of(request, settings)
            arguments |= dict.fromkeys(clients, client)
            caller = caller or subscriber(client.address)
        for policy in policies:
            await throttle.hit(policy, caller)
        try:
            if refuse_query:
                refuse_query(request)
            for name, read in readers:
                arguments[name] = read(request)
            if body:
                arguments[body.name] = await read_json(request, body.type, body.optional)
        except ValidationError as error:
            raise invalid(error) from None
        return answer(await _call(method, arguments))

    return handle


def policies_of(route: Route) -> list[str]:
    """What a request to `route` is counted under: its own policy, and for a person every request's."""
    return [*(["requests"] if route.access == SIGNED_IN else []), *([route.limit] if route.limit else [])]


async def _call(method: Callable[..., Awaitable[Any]], arguments: Mapping[str, Any]) -> Any:
    try:
        return await method(**arguments)
    except ValidationError as error:  # of our own making: the caller's words have passed
        raise Unexpected from error


def _method(controller: object, route: Route) -> Callable[..., Awaitable[Any]]:
    found: Callable[..., Awaitable[Any]] = getattr(controller, route.name)
    if not hasattr(found, REGISTERED):
        raise TypeError(f"{type(controller).__name__}.{route.name} hides a route")
    return found


def _readers(route: Route) -> list[tuple[str, FromRequest]]:
    return [(parameter.name, read) for parameter in route.parameters if (read := _reader(parameter))]


def _reader(parameter: Parameter) -> FromRequest | None:
    if parameter.source == "path":
        return path_reader(parameter.name, parameter.type)
    if parameter.source == "query":
        return query_reader(parameter.type)
    return (lambda request: request) if parameter.source == "request" else None


def _answerer(route: Route) -> Callable[[Any], web.StreamResponse]:
    if route.answer is web.StreamResponse:
        return lambda result: cast(web.StreamResponse, result)
    dump = None if route.answer is None else TypeAdapter[Any](route.answer).serializer.to_json

    def respond(result: Any) -> web.StreamResponse:
        extra = result if isinstance(result, Answer) else None
        body = result.body if isinstance(result, Answer) else result
        status = (extra and extra.status) or route.status
        if dump is None or body is None:
            response = web.Response(status=status)
        else:
            response = web.Response(body=dump(body), status=status, headers=_JSON)
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
