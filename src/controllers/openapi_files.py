"""How the OpenAPI document describes files: the form that they come in with, and their bytes going out."""

from typing import Any

from ..errors import Unauthorized
from .api import PUBLIC, Route
from .uploads import FileField, Upload
from .wire import Wire

Json = dict[str, Any]
BINARY: Json = {"type": "string", "format": "binary"}


def form_schema(upload: Upload) -> Json:
    """The schema of a `multipart/form-data` body; of several fields, any one will do."""
    names = [field.name for field in upload.fields]
    required: Json = {"required": names} if len(names) == 1 else {"minProperties": 1}
    properties = {field.name: _field(field) for field in upload.fields}
    return {"type": "object", "properties": properties, "additionalProperties": False, **required}


def _field(field: FileField) -> Json:
    return {"type": "array", "items": BINARY, "minItems": 1, "maxItems": field.most} if field.many else BINARY


def binary_answers(media: str) -> Json:
    """Every answer of `downloads.answer` that is no refusal."""
    content = {media: {"schema": BINARY}}
    return {
        "200": {"description": "All of it.", "content": content, "headers": _HEADERS},
        "206": {"description": "The range asked for.", "content": content, "headers": {**_HEADERS, **_RANGE}},
        "302": {"description": "It is with the storage, for a short time.", "headers": _LOCATION},
        "304": {"description": "What you have is it.", "headers": _ETAG},
        "416": {"description": "There is no such range.", "headers": _RANGE},
    }


def security_of(route: Route) -> list[Json]:
    """What a route is opened by: a token; for bytes also an address that carries a right of its own."""
    if route.access != PUBLIC:
        return [{"bearer": []}]
    return [{"bearer": []}, {}] if route.media and Unauthorized in route.errors else []


def header_parameters(wire: Wire | None) -> list[Json]:
    """The headers that a route asks for."""
    return [
        {"name": name, "in": "header", "required": asked.required, "description": asked.words, "schema": asked.schema}
        for name, asked in (wire.asks if wire else {}).items()
    ]


def bytes_taken(wire: Wire) -> Json:
    """A body that is taken as it is."""
    return {"required": not wire.optional_body, "content": {wire.body: {"schema": BINARY}}}


def headers_given(wire: Wire | None) -> Json:
    """The headers of a success, as a part of its description."""
    given = {name: _text(words) for name, words in wire.gives.items()} if wire else {}
    return {"headers": given} if given else {}


def _text(description: str) -> Json:
    return {"description": description, "schema": {"type": "string"}}


_ETAG = {"ETag": _text("for If-None-Match and If-Range")}
_HEADERS = {**_ETAG, "Accept-Ranges": _text("bytes"), "Content-Disposition": _text("its name (RFC 6266)")}
_RANGE = {"Content-Range": _text("which bytes, of how many")}
_LOCATION = {"Location": _text("where it is")}
