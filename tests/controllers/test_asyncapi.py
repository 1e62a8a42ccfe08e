"""The Socket.IO contract as a document: true to the registries, and valid by AsyncAPI's own parser."""

import json
from pathlib import Path
from typing import Any

import pytest

from src import app
from src.controllers.broadcast import GREETINGS, OUTGOING
from src.controllers.socket_edge import events_of
from tests.conftest import Node

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return app.asyncapi()


def messages_of(document: Json, action: str) -> set[tuple[str, str]]:
    """(namespace, event) of every operation with this action."""
    found = set()
    for operation in document["operations"].values():
        if operation["action"] == action:
            channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
            found.add((channel["address"], operation["messages"][0]["$ref"].rpartition("/")[2]))
    return found


async def test_asyncapis_own_parser_accepts_it(document: Json, node: Node, tmp_path: Path) -> None:
    path = tmp_path / "asyncapi.json"
    path.write_text(json.dumps(document))
    assert await node("asyncapi.mjs", str(path)) == [{"valid": True, "diagnostics": []}]


async def test_asyncapis_own_parser_would_have_refused_it(document: Json, node: Node, tmp_path: Path) -> None:
    broken = json.loads(json.dumps(document))
    next(iter(broken["operations"].values()))["action"] = "shout"
    path = tmp_path / "asyncapi.json"
    path.write_text(json.dumps(broken))
    (verdict,) = await node("asyncapi.mjs", str(path))
    assert verdict["valid"] is False


def test_every_event_that_a_client_may_send_is_described(document: Json) -> None:
    declared = {(namespace.name, route.name) for namespace in app.NAMESPACES for route in events_of(namespace)}
    assert messages_of(document, "receive") == declared
    assert ("/chat", "send_message") in declared


def test_every_event_that_a_client_may_hear_is_described(document: Json) -> None:
    said = {(event.namespace, event.name) for event in (*OUTGOING.values(), *GREETINGS)}
    assert messages_of(document, "send") == said
    assert ("/chat", "ready") in said


def test_every_event_that_is_sent_has_both_acknowledgements(document: Json) -> None:
    for operation in document["operations"].values():
        if operation["action"] == "receive":
            replies = [reply["$ref"].rpartition("/")[2] for reply in operation["reply"]["messages"]]
            assert len(replies) == 2
            assert replies[0].endswith("_ack")
            assert replies[1] == "refused"


def test_the_payload_of_a_message_is_the_model_that_validates_it(document: Json) -> None:
    chat = document["channels"]["chat"]["messages"]
    assert chat["send_message"]["payload"] == {"$ref": "#/components/schemas/SendMessage"}
    schema = document["components"]["schemas"]["SendMessage"]
    assert {"room_id", "client_id"} <= set(schema["required"])
    assert schema["additionalProperties"] is False
