"""The OpenAPI 3.1 document of the REST routes, made from the models that validate the traffic."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from aiohttp import web
from pydantic import TypeAdapter

from .. import __version__
from ..errors import (
    ChattyError,
    Invalid,
    Malformed,
    RateLimited,
    StorageFull,
    TokenExpired,
    TooLarge,
    TooSlow,
    Unauthorized,
    Unavailable,
    Unexpected,
    UnsupportedType,
)
from .api import PREFIX, PUBLIC, Parameter, Route, routes_of
from .edge import Problem, headers_of, problem
from .openapi_files import binary_answers, bytes_taken, form_schema, header_parameters, headers_given, security_of
from .serving import policies_of

Json = dict[str, Any]
REF = "#/components/schemas/{model}"
EXAMPLE_REQUEST_ID = "019aa5b0-7d3e-7000-8000-000000000000"
_GENERIC = re.compile(rb"(?<=[/\"])([A-Z]\w*?)_([A-Z]\w*)_(?=\")")
_SECONDS = {"schema": {"type": "integer", "minimum": 0}}
HEADERS: Json = {
    "Retry-After": {"description": "when to try again, in seconds", **_SECONDS},
    "RateLimit-Remaining": {"description": "requests left; none", **_SECONDS},
    "RateLimit-Reset": {"description": "when the limit begins anew, in seconds", **_SECONDS},
    "WWW-Authenticate": {"description": "how to authenticate (RFC 6750)", "schema": {"type": "string"}},
}
LOCATION: Json = {"description": "where to go on", "schema": {"type": "string", "format": "uri-reference"}}
DESCRIPTION = """
Sign in with `POST /auth/login`, then send the access token as `Authorization: Bearer <token>`. Unknown fields and
parameters are refused; texts are normalised to NFC; ids are UUIDv7; times are RFC 3339 in UTC. Every refusal is a
problem document (RFC 9457) whose `code` is [listed here](/docs/errors). What happens live is in the
[Socket.IO contract](/docs/events).
""".strip()


def openapi_document(controllers: Sequence[type]) -> Json:
    """The contract of the routes that these controller classes declare, as a JSON-ready dict. Needs no running app."""
    routes = [route for controller in controllers for route in routes_of(controller)]
    schemas = _Schemas(routes)
    paths: dict[str, Json] = defaultdict(dict)
    for route in routes:
        paths[PREFIX + route.path][route.method.lower()] = _operation(route, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Chatty", "version": __version__, "description": DESCRIPTION},
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.shared,
            "responses": _shared_refusals(routes),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
    return _readable(document)


def _readable(document: Json) -> Json:
    """Call `Page_Friend_` `FriendPage`: clients make type names of it."""
    renamed: Json = orjson.loads(_GENERIC.sub(rb"\2\1", orjson.dumps(document)))
    return renamed


class _Schemas:
    """All JSON schemas of the routes, made in one call so that each model is described once."""

    def __init__(self, routes: Iterable[Route]) -> None:
        wanted: dict[tuple[Any, str], TypeAdapter[Any]] = {}
        for route in routes:
            for parameter in _sent(route):
                wanted[(parameter.type, "validation")] = TypeAdapter(parameter.type)
            if _has_json(route):
                wanted[(route.answer, "serialization")] = TypeAdapter(route.answer)
        wanted[(Problem, "serialization")] = TypeAdapter(Problem)
        keys = list(wanted)
        inputs = [(number, keys[number][1], wanted[keys[number]]) for number in range(len(keys))]
        made, rest = TypeAdapter.json_schemas(inputs, ref_template=REF)  # type: ignore[arg-type]
        self._of = {key: made[(number, key[1])] for number, key in enumerate(keys)}  # type: ignore[index]
        definitions: Json = rest.get("$defs", {})
        self._definitions = definitions
        queries = {query.type.__name__ for route in routes if (query := route.parameter_from("query"))}
        self.shared = {name: schema for name, schema in definitions.items() if name not in queries}

    def taken(self, annotation: Any) -> Json:
        """The schema of something that comes in."""
        return dict(self._of[(annotation, "validation")])

    def given(self, annotation: Any) -> Json:
        """The schema of something that goes out."""
        return dict(self._of[(annotation, "serialization")])

    def fields(self, model: Any) -> Json:
        """The schema of a query's model itself: its fields are described one by one."""
        schema = self.taken(model)
        name = schema.get("$ref", "").rpartition("/")[2]
        return dict(self._definitions[name]) if name else schema


def _sent(route: Route) -> list[Parameter]:
    return [parameter for parameter in route.parameters if parameter.source in ("path", "query", "body")]


def _has_json(route: Route) -> bool:
    return route.answer not in (None, web.StreamResponse)


def _operation(route: Route, schemas: _Schemas) -> Json:
    summary, _, rest = route.doc.partition("\n")
    operation: Json = {
        "operationId": f"{route.tag}_{route.name}",
        "tags": [route.tag],
        "summary": summary.strip().replace("`", ""),
        "security": security_of(route),
        "parameters": [
            *_path_parameters(route, schemas),
            *_query_parameters(route, schemas),
            *header_parameters(route.wire),
        ],
        "responses": {**_successes(route, schemas), **_refusals(route)},
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if body := _request_body(route, schemas):
        operation["requestBody"] = body
    return operation


def _request_body(route: Route, schemas: _Schemas) -> Json | None:
    if route.upload:
        return {"required": True, "content": {"multipart/form-data": {"schema": form_schema(route.upload)}}}
    if route.wire and route.wire.body:
        return bytes_taken(route.wire)
    body = route.parameter_from("body")
    if not body:
        return None
    return {"required": not body.optional, "content": {"application/json": {"schema": schemas.taken(body.type)}}}


def _path_parameters(route: Route, schemas: _Schemas) -> list[Json]:
    return [
        {"name": parameter.name, "in": "path", "required": True, "schema": schemas.taken(parameter.type)}
        for parameter in route.parameters
        if parameter.source == "path"
    ]


def _query_parameters(route: Route, schemas: _Schemas) -> list[Json]:
    query = route.parameter_from("query")
    if not query:
        return []
    model = schemas.fields(query.type)
    described = []
    for name, schema in model["properties"].items():
        words = {key: schema[key] for key in ("description",) if key in schema}
        required = name in model.get("required", [])
        described.append({"name": name, "in": "query", "required": required, "schema": _without_null(schema), **words})
    return described


def _without_null(schema: Json) -> Json:
    """A query string has no null: a parameter that may be null is one that may be absent."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    kept: Json = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return {**kept, **kinds[0]}


def _successes(route: Route, schemas: _Schemas) -> Json:
    if route.media:
        return binary_answers(route.media)
    content = {"application/json": {"schema": schemas.given(route.answer)}} if _has_json(route) else None
    return {
        str(status): {
            "description": words,
            **({"content": content} if content else {}),
            **({"headers": {"Location": LOCATION}} if status == 302 else headers_given(route.wire)),
        }
        for status, words in {route.status: "Done." if route.status != 201 else "Made.", **route.also}.items()
    }


def refusals_of(route: Route) -> list[type[ChattyError]]:
    """Every refusal that a route may answer: what it declares, and what its kind and parameters bring."""
    found: set[type[ChattyError]] = {*route.errors, Invalid, Unavailable, Unexpected}
    if route.access != PUBLIC:
        found |= {Unauthorized, TokenExpired}
    if route.parameter_from("body"):
        found |= {Malformed, TooLarge, UnsupportedType}
    if route.upload or (route.wire and route.wire.body):
        found |= {Malformed, TooLarge, UnsupportedType, StorageFull}
    if route.upload:
        found.add(TooSlow)
    if policies_of(route):
        found.add(RateLimited)
    return sorted(found, key=lambda error: (error.status, error.code))


def _refusals_by_status(route: Route) -> dict[int, list[type[ChattyError]]]:
    by_status: dict[int, list[type[ChattyError]]] = defaultdict(list)
    for error in refusals_of(route):
        by_status[error.status].append(error)
    return by_status


def _name_of(errors: Sequence[type[ChattyError]]) -> str:
    return "-or-".join(error.code for error in errors)


def _refusals(route: Route) -> Json:
    return {
        str(status): {"$ref": f"#/components/responses/{_name_of(errors)}"}
        for status, errors in _refusals_by_status(route).items()
    }


def _shared_refusals(routes: Iterable[Route]) -> Json:
    """Each combination of refusals that some route has for one status, described once."""
    combinations = [errors for route in routes for errors in _refusals_by_status(route).values()]
    return {_name_of(errors): _refusal(errors) for errors in combinations}


def _refusal(errors: Sequence[type[ChattyError]]) -> Json:
    examples = {error.code: {"summary": error.title, "value": _example(error)} for error in errors}
    content = {"schema": {"$ref": REF.format(model="Problem")}, "examples": examples}
    response: Json = {
        "description": " ".join(f"`{error.code}`: {error.default_detail}" for error in errors),
        "content": {"application/problem+json": content},
    }
    if headers := {name: HEADERS[name] for error in errors for name in headers_of(error()) if name in HEADERS}:
        response["headers"] = headers
    return response


def _example(error: type[ChattyError]) -> Json:
    return problem(error(retry_after_ms=1000 if error.status in (429, 503) else None), EXAMPLE_REQUEST_ID)
