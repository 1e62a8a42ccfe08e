"""The REST layer: a decorated method is a route, its annotations say what it takes, its docstring what it is for.

`routes_of` is the registry from which the OpenAPI document and the authorization matrix are made; `serving.mount`
serves it. Whatever is wrong with a declaration is said at import.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import UnionType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from aiohttp import web
from pydantic import BaseModel

from ..errors import ChattyError
from ..viewer import ClientInfo, Viewer
from .forms import Form
from .uploads import Upload
from .wire import Wire

PREFIX: Final = "/api/v1"
Access = Literal["signed_in", "public"]
Source = Literal["viewer", "client", "request", "path", "query", "body", "upload"]
SIGNED_IN: Final = "signed_in"
PUBLIC: Final = "public"
REGISTERED: Final = "__route__"

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Awaitable[object]])


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set: out of reach of scripts, and of other sites. `max_age` in seconds; 0 takes the cookie away."""

    name: str
    value: str
    path: str
    max_age: int
    secure: bool
    same_site: Literal["Lax", "Strict"] = "Strict"


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What to answer when it is more than a body. `status` defaults to the route's."""

    body: T
    status: int | None = None
    cookies: Sequence[Cookie] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a controller's method: where it comes from, and its type. An `optional` body may be absent."""

    name: str
    source: Source
    type: Any
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the registry. `path` is relative to `PREFIX`; `answer` is the body's type, None for no content."""

    name: str
    tag: str
    method: str
    path: str
    access: Access
    limit: str | None
    status: int
    also: Mapping[int, str]
    errors: tuple[type[ChattyError], ...]
    parameters: tuple[Parameter, ...]
    answer: Any
    doc: str
    any_query: bool = False
    upload: Upload | None = None
    media: str | None = None
    wire: Wire | None = None

    def parameter_from(self, source: Source) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.source == source), None)


def route(  # noqa: PLR0913 - each is a word of the declaration, always given by name
    method: str,
    path: str,
    *,
    status: int | None = None,
    also: Mapping[int, str] | None = None,
    access: Access = SIGNED_IN,
    limit: str | None = None,
    errors: tuple[type[ChattyError], ...] = (),
    any_query: bool = False,
    upload: Upload | None = None,
    media: str | None = None,
    wire: Wire | None = None,
) -> Callable[[Method], Method]:
    """Declare a route.

    `status`: of success (200, or 204 where nothing is answered). `also`: other successes, each with a sentence.
    `limit`: a policy of `services/throttle.py`, counted per person, or per client address where `access` is PUBLIC.
    `errors`: refusals of this route beyond those that its parameters bring. `any_query`: others send us here and say
    what they like; its model is of the query, whatever the method, and what it does not know, cannot read or gets twice
    counts as absent. `upload`: the files that
    the parameter of type Form reads. `media`: what a web.StreamResponse holds, such as `image/*`. `wire`: headers and
    bytes that the method reads from its request itself. Raises TypeError for a faulty declaration.
    """

    def declare(function: Method) -> Method:
        where = f"{function.__qualname__} ({method} {path})"
        hints = get_type_hints(function, include_extras=True)
        answer = _answer_type(hints.pop("return", None))
        if not inspect.iscoroutinefunction(cast(object, function)) or not function.__doc__:
            raise TypeError(f"{where}: must be async and have a docstring")
        in_query = method == "GET" or any_query
        parameters = tuple(_parameter(where, path, name, hint, in_query) for name, hint in hints.items())
        _check(where, path, access, parameters)
        _check_body(where, parameters, upload)
        declared = Route(
            name=function.__name__, tag="", method=method, path=path, access=access, limit=limit,
            status=status or (204 if answer is None else 200), also=also or {}, errors=errors,
            parameters=parameters, answer=answer, doc=inspect.cleandoc(function.__doc__), any_query=any_query,
            upload=upload, media=media, wire=wire,
        )  # fmt: skip
        setattr(function, REGISTERED, declared)
        return function

    return declare


get = partial(route, "GET")
post = partial(route, "POST")
put = partial(route, "PUT")
patch = partial(route, "PATCH")
delete = partial(route, "DELETE")
options = partial(route, "OPTIONS")


def routes_of(controller: type) -> list[Route]:
    """The routes that a controller class declares, in their order, with the class's tag."""
    found = (getattr(member, REGISTERED, None) for member in vars(controller).values())
    return [replace(declared, tag=controller.tag) for declared in found if declared]  # type: ignore[attr-defined]


def _answer_type(hint: Any) -> Any:
    if get_origin(hint) is Answer:
        (hint,) = get_args(hint)
    return None if hint is type(None) else hint


def _parameter(where: str, path: str, name: str, hint: Any, in_query: bool) -> Parameter:
    optional = get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint)
    plain = next(part for part in get_args(hint) if part is not type(None)) if optional else hint
    plain = get_args(plain)[0] if get_origin(plain) is Annotated else plain
    sources: dict[Any, Source] = {Viewer: "viewer", ClientInfo: "client", web.Request: "request", Form: "upload"}
    if plain in sources:
        return Parameter(name, sources[plain], plain)
    if f"{{{name}}}" in path:
        return Parameter(name, "path", hint)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return Parameter(name, "query" if in_query else "body", plain, optional)
    raise TypeError(f"{where}: {name} is neither in the path nor a model, the Viewer or the ClientInfo")


def _check(where: str, path: str, access: Access, parameters: Sequence[Parameter]) -> None:
    sources = [parameter.source for parameter in parameters]
    named = {parameter.name for parameter in parameters if parameter.source == "path"}
    if named != set(re.findall(r"{(\w+)}", path)):
        raise TypeError(f"{where}: the path and the parameters name different things")
    if twice := {source for source in sources if source != "path" and sources.count(source) > 1}:
        raise TypeError(f"{where}: one {', one '.join(twice)} is enough")
    if ("viewer" in sources) != (access == SIGNED_IN):
        raise TypeError(f"{where}: a route has a Viewer, or says access=PUBLIC")


def _check_body(where: str, parameters: Sequence[Parameter], upload: Upload | None) -> None:
    sources = [parameter.source for parameter in parameters]
    if ("upload" in sources) != (upload is not None):
        raise TypeError(f"{where}: a Form reads an upload=, and nothing else does")
    if upload and "body" in sources:
        raise TypeError(f"{where}: a body is JSON or a form")
