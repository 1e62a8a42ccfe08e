"""The socket edge: a marked method is an event, its annotations say what it takes and answers.

`events_of` is the registry from which the AsyncAPI document and the authorization matrix are made; `SocketEdge` serves
it. Whatever is wrong with a declaration is said at import.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, ValidationError

from ..errors import ChattyError, Invalid, Unauthorized, Unavailable, Unexpected, UnknownEvent
from ..realtime.connections import Connection
from ..realtime.packets import event_frame
from ..schemas.common import Request, View
from ..schemas.links import Reader
from ..viewer import Viewer
from .edge import acknowledgement, explain
from .links import Links

log: Final = logging.getLogger(__name__)
REGISTERED: Final = "__socket_event__"
MAX_TOKEN_BYTES: Final = 4096
DONE: Final = b'{"ok":true}'

Method = TypeVar("Method", bound=Callable[..., Awaitable[object]])
Authenticate = Callable[[str], Awaitable[Viewer]]


class Throttle(Protocol):
    """What counts events: raises RateLimited when `policy` is exhausted for one of `keys`."""

    async def hit(self, policy: str, *keys: str) -> None: ...


@dataclass(frozen=True, slots=True)
class EventRoute:
    """One entry of the registry: an event that clients send. `answer` is the acknowledgement's model; None: `{ok}`."""

    name: str
    payload: type[Request]
    answer: type[View] | None
    doc: str
    limit: str | None
    method: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The signed-in socket that an event came from."""

    viewer: Viewer
    connection: Connection
    namespace: str
    reader: Reader

    @property
    def connection_id(self) -> str:
        return self.connection.id

    @property
    def address(self) -> str:
        return self.connection.address

    def send(self, event: str, view: View) -> None:
        """Emit to this one socket."""
        self.connection.transport.push(event_frame(self.namespace, event, view.encoded(self.reader)))

    def extend(self, viewer: Viewer) -> None:
        """Let the connection live as long as a newer token of its session. Raises Unauthorized for another's."""
        self.connection.extend(viewer)


class Namespace(Protocol):
    """A controller for one Socket.IO namespace; its events are methods marked by `on`."""

    name: str

    async def greet(self, caller: Caller) -> None:
        """Send the first event. What it raises ends the connection."""

    def left(self, caller: Caller) -> None:
        """The socket that was greeted is gone, however it went. Must not wait."""


def on(event: str, *, limit: str | None = None) -> Callable[[Method], Method]:
    """Declare the handler of a client's `event`: `async def name(self, caller, payload: <Request>) -> <View> | None`.

    One that answers an `asyncio.Future[<View>]` has taken its place in the order of things: the socket's next event is
    taken before this one is acknowledged.

    `limit` names a policy of `services/throttle.py`, counted per person. Raises TypeError for a faulty declaration.
    """

    def declare(function: Method) -> Method:
        hints = get_type_hints(function)
        payload: Any = hints.get("payload")
        answer: Any = hints.get("return")
        if get_origin(answer) is asyncio.Future:
            (answer,) = get_args(answer)
        sound = inspect.iscoroutinefunction(function) and function.__doc__ and list(hints)[:2] == ["caller", "payload"]
        if not sound or not _is_model(payload, Request) or not (answer is type(None) or _is_model(answer, View)):
            raise TypeError(f"{function.__qualname__}: async, a docstring, `caller`, `payload` and what it answers")
        route = EventRoute(
            name=event,
            payload=payload,
            answer=None if answer is type(None) else answer,
            doc=inspect.cleandoc(function.__doc__ or ""),
            limit=limit,
            method=function.__name__,
        )
        setattr(function, REGISTERED, route)
        return function

    return declare


def _is_model(hint: Any, base: type[BaseModel]) -> bool:
    return isinstance(hint, type) and issubclass(hint, base)


def events_of(namespace: type) -> list[EventRoute]:
    """The events that a namespace class takes, in the order of its methods."""
    found = (getattr(member, REGISTERED, None) for member in vars(namespace).values())
    return [route for route in found if route]


class SocketEdge:
    """The door of the socket server: who may come in, and what each event does. Every exception becomes a refusal."""

    def __init__(
        self, namespaces: Sequence[Namespace], authenticate: Authenticate, throttle: Throttle, links: Links
    ) -> None:
        self._namespaces = {namespace.name: namespace for namespace in namespaces}
        self._authenticate = authenticate
        self._throttle = throttle
        self._links = links
        self._routes: Mapping[str, Mapping[str, tuple[EventRoute, Callable[..., Awaitable[Any]]]]] = {
            name: {route.name: (route, getattr(namespace, route.method)) for route in events_of(type(namespace))}
            for name, namespace in self._namespaces.items()
        }

    @property
    def namespaces(self) -> Collection[str]:
        return self._namespaces.keys()

    async def admit(self, connection: Connection, namespace: str, auth: object) -> Viewer:
        """The person of `auth = {"token": <access token>}`. Raises ChattyError."""
        token = auth.get("token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= MAX_TOKEN_BYTES:
            raise Unauthorized('Connect with auth {"token": <access token>}.')
        try:
            viewer = await self._authenticate(token)
            await self._throttle.hit("connect", str(viewer.user_id))
            return viewer
        except Exception as error:
            raise self._explained(error) from error

    async def greet(self, connection: Connection, namespace: str) -> None:
        await self._namespaces[namespace].greet(self._caller(connection, namespace, connection.viewer))

    def left(self, connection: Connection, namespace: str, viewer: Viewer) -> None:
        self._namespaces[namespace].left(self._caller(connection, namespace, viewer))

    async def answer(self, connection: Connection, namespace: str, event: str, args: list[Any]) -> "bytes | Pending":
        """Do what `event` asks; its acknowledgement as JSON, or how to come by it. Raises only a cancellation."""
        try:
            caller = self._caller(connection, namespace, connection.viewer)
            view = await self._handle(caller, event, args)
        except Exception as error:
            return self.refuse(self._explained(error))
        if isinstance(view, asyncio.Future):
            return Pending(view, partial(self._told, caller.reader))
        return _acknowledged(caller.reader, view)

    def _told(self, reader: Reader, done: asyncio.Future[View]) -> bytes:
        if done.cancelled():
            return self.refuse(Unavailable())
        error = done.exception()
        if isinstance(error, Exception):
            return self.refuse(self._explained(error))
        return _acknowledged(reader, done.result())

    def refuse(self, error: ChattyError) -> bytes:
        return orjson.dumps(acknowledgement(error))

    async def _handle(self, caller: Caller, event: str, args: list[Any]) -> View | asyncio.Future[View] | None:
        person = str(caller.viewer.user_id)
        await self._throttle.hit("events", person)
        known = self._routes[caller.namespace].get(event)
        if known is None:
            raise UnknownEvent
        route, method = known
        if route.limit:
            await self._throttle.hit(route.limit, person)
        result: View | asyncio.Future[View] | None = await method(caller, _payload(route.payload, args))
        return result

    def _caller(self, connection: Connection, namespace: str, viewer: Viewer | None) -> Caller:
        if viewer is None:
            raise Unauthorized
        return Caller(viewer, connection, namespace, self._links.to(viewer.user_id))

    def _explained(self, error: Exception) -> ChattyError:
        """What to answer; what nobody foresaw is logged, with its traceback and without what the client sent."""
        # The client's words have passed as ChattyErrors: a ValidationError here is of our own making.
        refusal = Unexpected() if isinstance(error, ValidationError) else explain(error)
        if isinstance(refusal, Unexpected):
            log.error("A socket event failed.", exc_info=error)
        return refusal


@dataclass(frozen=True, slots=True)
class Pending:
    """An acknowledgement that is still to come."""

    future: asyncio.Future[View]
    told: Callable[[asyncio.Future[View]], bytes]

    def then(self, tell: Callable[[bytes], None]) -> None:
        """Have `tell` called with the acknowledgement, as JSON."""
        self.future.add_done_callback(lambda done: tell(self.told(done)))


def _acknowledged(reader: Reader, view: View | None) -> bytes:
    json = view.encoded(reader) if view else b"{}"
    return DONE if json == b"{}" else b'{"ok":true,' + json[1:]


def _payload(model: type[Request], args: list[Any]) -> Request:
    """The one argument of an event, an object, as `model`; no argument counts as `{}`. Raises Invalid."""
    given = args[0] if args else {}
    if len(args) > 1 or not isinstance(given, dict):
        raise Invalid("Send exactly one object with the event.")
    try:
        return model.__pydantic_validator__.validate_json(orjson.dumps(given))  # type: ignore[no-any-return]
    except ValidationError as error:
        raise explain(error) from None
