"""The HTML of the contract's pages, as strings. Everything that goes in is escaped here."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

import orjson

from ..errors import ChattyError

Json = Mapping[str, Any]
_PAGES = (("/docs", "REST"), ("/docs/events", "Events"), ("/docs/errors", "Errors"))
_RAW = (("/api/v1/openapi.json", "openapi.json"), ("/api/v1/asyncapi.json", "asyncapi.json"))


def rest_page(openapi: Json, has_viewer: bool) -> str:
    """`/docs`: Swagger UI where its files are there, else a list of the routes."""
    if not has_viewer:
        return _layout("REST", "/docs", _routes(openapi))
    head = (
        '<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">'
        '<script defer src="/static/vendor/swagger-ui/swagger-ui-bundle.js"></script>'
        '<script defer src="/static/docs.js"></script>'
    )
    fallback = (
        '<noscript><main class="text"><p>This page needs JavaScript; the '
        '<a href="/api/v1/openapi.json">raw document</a> does not.</p></main></noscript>'
    )
    return _layout("REST", "/docs", '<div id="swagger-ui"></div>' + fallback, head)


def events_page(asyncapi: Json) -> str:
    """`/docs/events`: every namespace, what can be sent to it and heard from it, and the objects they carry."""
    operations = asyncapi["operations"].values()
    channels = asyncapi["channels"]
    inline = _used_once(asyncapi)
    schemas = {name: schema for name, schema in asyncapi["components"]["schemas"].items() if name not in inline}
    sections = [_namespace(key, channels[key], operations, inline) for key in channels]
    objects = "".join(_object(name, schemas[name]) for name in sorted(schemas))
    menu = "".join(_menu(key, channels[key], operations) for key in channels)
    names = "".join(f'<li><a href="#{escape(name)}">{escape(name)}</a></li>' for name in sorted(schemas))
    body = (
        f'<div class="columns"><nav class="menu" aria-label="Contents">{menu}<h2><a href="#objects">Objects</a></h2>'
        f'<ul>{names}</ul></nav><main class="text"><h1>Socket.IO events</h1>'
        f"{_paragraphs(asyncapi['info']['description'])}{''.join(sections)}"
        f'<section id="objects"><h2>Objects</h2>{objects}</section></main></div>'
    )
    return _layout("Events", "/docs/events", body)


def errors_page(errors: Iterable[type[ChattyError]]) -> str:
    """`/docs/errors`: each code with its status and what it means; the anchors are the `type` of problem documents."""
    rows = "".join(
        f'<tr id="{escape(error.code)}"><th scope="row"><code>{escape(error.code)}</code></th>'
        f"<td>{error.status}</td><td>{escape(error.title)}</td><td>{escape(error.default_detail)}</td></tr>"
        for error in errors
    )
    body = (
        '<main class="text"><h1>Error codes</h1><p>REST answers a refusal as a problem document (RFC 9457), a socket '
        "event as <code>{&quot;ok&quot;: false, &quot;error&quot;: {…}}</code>. Both carry one of these codes, which "
        "never change; the sentence beside it may. A client translates the code.</p>"
        "<table><thead><tr><th>code</th><th>status</th><th>title</th><th>meaning</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></main>"
    )
    return _layout("Errors", "/docs/errors", body)


def _layout(title: str, here: str, body: str, head: str = "") -> str:
    links = "".join(
        f'<a href="{path}"{" aria-current=page" if path == here else ""}>{name}</a>' for path, name in _PAGES
    )
    raw = "".join(f'<a class="raw" href="{path}">{name}</a>' for path, name in _RAW)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title} · Chatty</title>{head}"
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/static/docs.css">'
        f'</head><body><header><strong>Chatty</strong><nav aria-label="Pages">{links}{raw}</nav></header>{body}'
        "</body></html>"
    )


def _routes(openapi: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{_inline(operation['summary'])}</td></tr>"
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    return (
        '<main class="text"><h1>REST</h1><p>All routes. The full contract is the '
        '<a href="/api/v1/openapi.json">OpenAPI document</a>; the viewer for it comes with the web build '
        "(<code>python3 dev.py setup</code>).</p>"
        "<table><thead><tr><th>method</th><th>path</th><th>what it does</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></main>"
    )


def _of_channel(key: str, operations: Iterable[Json], action: str) -> list[Json]:
    return [
        operation
        for operation in operations
        if operation["action"] == action and operation["channel"]["$ref"] == f"#/channels/{key}"
    ]


def _named(reference: Json) -> str:
    return str(reference["$ref"].rpartition("/")[2])


def _menu(key: str, channel: Json, operations: Iterable[Json]) -> str:
    items = []
    for action, arrow in (("receive", "→"), ("send", "←")):
        for operation in _of_channel(key, operations, action):
            name = _named(operation["messages"][0])
            items.append(f'<li><a href="#{key}-{name}"><span class="arrow">{arrow}</span>{name}</a></li>')
    return f'<h2><a href="#{key}">{escape(channel["address"])}</a></h2><ul>{"".join(items)}</ul>'


def _used_once(asyncapi: Json) -> dict[str, Json]:
    """The schemas that one message alone carries: they are shown with it, the others among the objects."""
    uses = Counter(re.findall(rb'"#/components/schemas/(\w+)"', orjson.dumps(asyncapi)))
    nested = set(re.findall(rb'"#/components/schemas/(\w+)"', orjson.dumps(asyncapi["components"]["schemas"])))
    schemas = asyncapi["components"]["schemas"]
    return {name: schemas[name] for name in schemas if uses[name.encode()] == 1 and name.encode() not in nested}


def _namespace(key: str, channel: Json, operations: Iterable[Json], inline: Mapping[str, Json]) -> str:
    sent = [_event(key, channel, operation, inline) for operation in _of_channel(key, operations, "receive")]
    heard = [_event(key, channel, operation, inline) for operation in _of_channel(key, operations, "send")]
    nothing = "<p>None.</p>"
    return (
        f'<section id="{key}"><h2><code>{escape(channel["address"])}</code></h2>'
        f"<h3>Client to server</h3>{''.join(sent) or nothing}"
        f"<h3>Server to client</h3>{''.join(heard) or nothing}</section>"
    )


def _event(key: str, channel: Json, operation: Json, inline: Mapping[str, Json]) -> str:
    name = _named(operation["messages"][0])
    message = channel["messages"][name]
    reply = ""
    if "reply" in operation:
        acknowledged = channel["messages"][_named(operation["reply"]["messages"][0])]
        reply = f"<h5>Acknowledgement</h5>{_shape(acknowledged['payload'], inline)}"
    return (
        f'<article id="{key}-{name}"><h4><code>{name}</code></h4><p>{_inline(message["summary"])}</p>'
        f"{_paragraphs(message.get('description', ''))}"
        f"<h5>Payload</h5>{_shape(message['payload'], inline)}{reply}</article>"
    )


def _object(name: str, schema: Json) -> str:
    words = _paragraphs(schema.get("description", ""))
    return f'<article id="{escape(name)}"><h4><code>{escape(name)}</code></h4>{words}{_shape(schema)}</article>'


def _shape(schema: Json, inline: Mapping[str, Json] = MappingProxyType({})) -> str:
    """A table of an object's fields; a line for anything else."""
    if "allOf" in schema and _named(schema["allOf"][1]) in inline:
        ok, rest = schema["allOf"][0], inline[_named(schema["allOf"][1])]
        return _shape(
            {"required": ["ok", *rest.get("required", [])], "properties": ok["properties"] | rest["properties"]}
        )
    if "$ref" in schema and _named(schema) in inline:
        return _shape(inline[_named(schema)])
    if "allOf" in schema:
        return f"<p><code>ok</code>: <code>true</code>, and the fields of {type_of(schema['allOf'][1])}</p>"
    if not schema.get("properties"):
        return (
            f"<p>{type_of(schema)}</p>" if "$ref" in schema or schema.get("type") != "object" else "<p>No fields.</p>"
        )
    required = schema.get("required", [])
    rows = "".join(_field(field, part, field in required) for field, part in schema["properties"].items())
    return f"<table><tbody>{rows}</tbody></table>"


def _field(name: str, schema: Json, required: bool) -> str:
    mark = "" if required else ' <span class="optional">optional</span>'
    words = _inline(schema.get("description", ""))
    return f'<tr><th scope="row"><code>{escape(name)}</code>{mark}</th><td>{type_of(schema)}</td><td>{words}</td></tr>'


def type_of(schema: Json) -> str:  # noqa: PLR0911 - one line per kind of schema
    """A schema's type in one line of HTML, objects as links to where they are described."""
    if "$ref" in schema:
        name = escape(_named(schema))
        return f'<a href="#{name}">{name}</a>'
    if "const" in schema:
        return f"<code>{escape(_json(schema['const']))}</code>"
    if "enum" in schema:
        return " | ".join(f"<code>{escape(_json(value))}</code>" for value in schema["enum"])
    if kinds := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(type_of(kind) for kind in kinds)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {type_of(schema['additionalProperties'])}"
    return escape(str(schema.get("format") or schema.get("type") or "anything")) + _bounds(schema)


def _bounds(schema: Json) -> str:
    low = schema.get("minLength", schema.get("minimum"))
    high = schema.get("maxLength", schema.get("maximum"))
    unit = " characters" if "maxLength" in schema or "minLength" in schema else ""
    if low is None and high is None:
        return ""
    if high is None:
        return f", at least {low}{unit}"
    return f", {low}–{high}{unit}" if low is not None else f", at most {high}{unit}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", text.strip()) if part)


def _inline(text: str) -> str:
    """Escaped text, with `code` and links to our own paths."""
    return re.sub(
        r"`([^`]+)`", r"<code>\1</code>", re.sub(r"(?<![\w/])(/docs/\w+)", r'<a href="\1">\1</a>', escape(text))
    )
