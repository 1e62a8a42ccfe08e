"""A request, read: bytes and strings in, validated arguments out. Raises `ChattyError`s and pydantic's ValidationError.

Every reader is made once, at start, for one route's parameter; a request only runs it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import orjson
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, TypeAdapter, ValidationError

from ..errors import FieldError, Invalid, Malformed, TooLarge, Unauthorized, UnsupportedType
from .edge import invalid

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 10
MAX_TOKEN_CHARACTERS = 4096


def bearer_token(request: web.Request) -> str:
    """The token of the Authorization header (RFC 6750 §2.1), the only place that authenticates. Raises Unauthorized."""
    header = request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or len(token) > MAX_TOKEN_CHARACTERS:
        raise Unauthorized
    return token


def path_reader(name: str, annotation: Any) -> Callable[[web.Request], Any]:
    """A reader of the path parameter `name`, of the type `annotation`."""
    validate: Callable[[Any], Any] = TypeAdapter(annotation).validator.validate_strings

    def read(request: web.Request) -> Any:
        raw = request.match_info[name]
        if "\x00" in raw:
            raise Invalid(errors=[FieldError(name, "nul", "must not contain NUL")])
        try:
            value = validate(raw)
        except ValidationError as error:
            raise invalid(error, name) from None
        _refuse_unless_canonical(name, raw, value)
        return value

    return read


def query_reader(model: type[BaseModel] | None) -> Callable[[web.Request], Any]:
    """A reader of the query string into `model`; with None, a query string is refused as unknown parameters are."""
    validate: Callable[[Any], Any] | None = model.__pydantic_validator__.validate_strings if model else None
    nothing = model() if model and not any(field.is_required() for field in model.model_fields.values()) else None

    def read(request: web.Request) -> Any:
        if not request.rel_url.raw_query_string and (nothing or not validate):
            return nothing
        given = _single_values(request)
        if not validate:
            _refuse("extra_forbidden", "There is no such parameter", given)
            return None
        value = validate(given)
        for name, raw in given.items():
            _refuse_unless_canonical(name, raw, getattr(value, name))
        return value

    return read


def tolerant_query_reader(model: type[BaseModel]) -> Callable[[web.Request], Any]:
    """A reader of a query string that somebody else made, into a `model` of strings that may be absent.

    What it does not know, what is repeated (RFC 6749 §3.1), holds NUL or is overlong counts as absent.
    """

    def read(request: web.Request) -> Any:
        query = request.query
        given = {name: query.getall(name) for name in model.model_fields if name in query}
        return model.model_validate({name: values[0] for name, values in given.items() if _is_readable(values)})

    return read


def _is_readable(values: list[str]) -> bool:
    return len(values) == 1 and "\x00" not in values[0] and len(values[0]) <= MAX_TOKEN_CHARACTERS


async def read_json(request: web.Request, model: type[BaseModel], optional: bool) -> Any:
    """The JSON body as `model`, or None where an `optional` one is absent.

    Raises UnsupportedType, TooLarge, Malformed (not JSON, not UTF-8, empty, too slow) and ValidationError.
    """
    if not request.body_exists:
        if optional:
            return None
        raise Malformed("This request needs a JSON body.")
    if not _says_json(request):
        raise UnsupportedType
    raw = await read_bounded(request)
    value = model.__pydantic_validator__.validate_json(raw, strict=True)
    if rb"\u0000" in raw and _holds_nul(orjson.loads(raw)):
        raise Invalid(errors=[FieldError("", "nul", "must not contain NUL")])
    return value


async def read_bounded(request: web.Request) -> bytes:
    """The whole body, at most MAX_BODY_BYTES of it, within BODY_SECONDS (aiohttp has no limit of time)."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise TooLarge
    except TimeoutError:
        raise Malformed("The request's body did not arrive in time.") from None
    except (HttpProcessingError, ClientPayloadError, web.RequestPayloadError):
        raise Malformed("The request's body is broken.") from None
    return bytes(body)


def _says_json(request: web.Request) -> bool:
    declared = request.headers.get("Content-Type", "")
    if declared == "application/json":
        return True
    return request.content_type == "application/json" and (request.charset or "utf-8").lower() in ("utf-8", "utf8")


def _single_values(request: web.Request) -> dict[str, str]:
    query = request.query
    given = dict(query)
    if len(given) != len(query):
        _refuse("repeated", "must be given once", {name: "" for name in given if len(query.getall(name)) > 1})
    _refuse("nul", "must not contain NUL", {name: "" for name, value in given.items() if "\x00" in value})
    return given


def _refuse(code: str, message: str, names: Mapping[str, str]) -> None:
    if names:
        raise Invalid(errors=[FieldError(name[:100], code, message) for name in list(names)[:20]])


def _refuse_unless_canonical(name: str, raw: str, value: Any) -> None:
    """Pydantic reads "1_0", "+5" and "{uuid}" too: one value has one spelling here, on every client."""
    if type(value) is int and str(value) != raw:
        raise Invalid(errors=[FieldError(name, "int_parsing", "must be an integer in plain digits")])
    if type(value) is UUID and str(value) != raw.lower():
        raise Invalid(errors=[FieldError(name, "uuid_parsing", "must be a UUID of 36 characters")])


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(_holds_nul(part) for part in value)
