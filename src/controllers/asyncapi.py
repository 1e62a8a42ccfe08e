"""The AsyncAPI 3 document of the Socket.IO events, made from the models that validate the traffic.

A namespace is a channel. What a client sends the service `receive`s, and replies to with an acknowledgement; what a
client hears the service `send`s (AsyncAPI 3 speaks from the side of the application that it describes).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from .. import __version__
from .broadcast import Outgoing
from .edge import ProblemField
from .socket_edge import EventRoute, events_of

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]
REF = "#/components/schemas/{model}"
DESCRIPTION = """
Connect with a Socket.IO 4 client to a namespace and `auth: {token: <access token>}`. A refused connection raises
`connect_error` with `data: {code, detail}`. Every event that a client sends is acknowledged, `{"ok": true, ...}` or
`{"ok": false, "error": {...}}`, also when it is nonsense; the codes are listed at /docs/errors.
Events that a client sends are imperatives, events that it hears are past tense.
""".strip()


class Refusal(BaseModel):
    """Why an event was refused; clients act on `code`."""

    code: str
    detail: str
    errors: list[ProblemField] = []
    retry_after_ms: int | None = None


class Refused(BaseModel):
    """The acknowledgement of an event that was refused."""

    ok: Literal[False]
    error: Refusal


def asyncapi_document(namespaces: Sequence[type], outgoing: Iterable[Outgoing]) -> Json:
    """The contract of these namespace classes and of the events that they say, as a JSON-ready dict."""
    incoming = {namespace.name: events_of(namespace) for namespace in namespaces}  # type: ignore[attr-defined]
    said = {name: [event for event in outgoing if event.namespace == name] for name in incoming}
    refs, schemas = _schemas(incoming, said)
    channels = {_key(name): _channel(name, incoming[name], said[name], refs) for name in incoming}
    operations: Json = {}
    for name, routes in incoming.items():
        operations |= _operations(_key(name), routes, said[name])
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "Chatty events", "version": __version__, "description": DESCRIPTION},
        "defaultContentType": "application/json",
        "servers": {"here": {"host": "localhost:8000", "pathname": "/socket.io/", "protocol": "wss"}},
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


Refs = Mapping[tuple[type[BaseModel], Mode], Json]


def _schemas(incoming: Mapping[str, Sequence[EventRoute]], said: Mapping[str, Sequence[Outgoing]]) -> tuple[Refs, Json]:
    wanted: dict[tuple[type[BaseModel], Mode], None] = {(Refused, "serialization"): None}
    for name in incoming:
        for route in incoming[name]:
            wanted[(route.payload, "validation")] = None
            if route.answer is not None:
                wanted[(route.answer, "serialization")] = None
        wanted |= {(event.model, "serialization"): None for event in said[name]}
    inputs = [(model, mode, TypeAdapter(model)) for model, mode in wanted]
    made, rest = TypeAdapter.json_schemas(inputs, ref_template=REF)
    return made, rest.get("$defs", {})


def _channel(name: str, incoming: Sequence[EventRoute], said: Sequence[Outgoing], refs: Refs) -> Json:
    messages: Json = {"refused": {"name": "refused", "payload": refs[(Refused, "serialization")]}}
    for route in incoming:
        messages[route.name] = _message(route.name, route.doc, refs[(route.payload, "validation")])
        messages[f"{route.name}_ack"] = _message(
            f"{route.name} acknowledged", f"The acknowledgement of `{route.name}`.", _acknowledged(route, refs)
        )
    for event in said:
        messages[event.name] = _message(event.name, event.doc, refs[(event.model, "serialization")])
    return {"address": name, "title": name, "description": f"The Socket.IO namespace `{name}`.", "messages": messages}


def _message(name: str, doc: str, payload: Json) -> Json:
    summary, _, rest = doc.partition("\n")
    described = {"description": rest.strip()} if rest.strip() else {}
    return {"name": name, "title": name, "summary": summary.strip(), **described, "payload": payload}


def _acknowledged(route: EventRoute, refs: Refs) -> Json:
    ok = {"type": "object", "properties": {"ok": {"const": True}}, "required": ["ok"]}
    return ok if route.answer is None else {"allOf": [ok, refs[(route.answer, "serialization")]]}


def _operations(channel: str, incoming: Sequence[EventRoute], said: Sequence[Outgoing]) -> Json:
    operations: Json = {}
    for route in incoming:
        reply = {"channel": _channel_ref(channel), "messages": _messages(channel, f"{route.name}_ack", "refused")}
        operations[f"{channel}_{route.name}"] = {
            "action": "receive",
            "channel": _channel_ref(channel),
            "messages": _messages(channel, route.name),
            "reply": reply,
        }
    for event in said:
        operations[f"{channel}_{event.name}"] = {
            "action": "send",
            "channel": _channel_ref(channel),
            "messages": _messages(channel, event.name),
        }
    return operations


def _channel_ref(channel: str) -> Json:
    return {"$ref": f"#/channels/{channel}"}


def _messages(channel: str, *names: str) -> list[Json]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]


def _key(namespace: str) -> str:
    return namespace.strip("/").replace("/", "_") or "root"
