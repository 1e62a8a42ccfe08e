"""The socket edge: declarations become a registry, payloads are validated, exceptions become acknowledgements."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import BaseModel

from src.app import NAMESPACES
from src.clock import now
from src.controllers.links import Links
from src.controllers.socket_edge import Caller, EventRoute, SocketEdge, events_of, on
from src.errors import Blocked, RateLimited
from src.realtime.connections import Connection
from src.schemas.common import Request, View
from src.services.file_signatures import FileSignatures
from src.viewer import Viewer

ANNA = Viewer(UUID(int=1), UUID(int=2), now() + timedelta(minutes=15))
LINKS = Links("https://chat.example", FileSignatures("secret", 900))


class Order(Request):
    bread: int = 1


class Bread(View):
    loaves: int


class Nothing(View):
    pass


class Bakery:
    name = "/bakery"

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    async def greet(self, caller: Caller) -> None:
        caller.send("ready", Bread(loaves=3))

    def left(self, caller: Caller) -> None:
        pass

    @on("bake", limit="messages")
    async def bake(self, caller: Caller, payload: Order) -> Bread:
        """Bake bread.

        It takes a while.
        """
        if self.failure:
            raise self.failure
        return Bread(loaves=payload.bread)

    @on("rest")
    async def rest(self, caller: Caller, payload: Order) -> None:
        """Do nothing."""

    @on("look")
    async def look(self, caller: Caller, payload: Order) -> Nothing:
        """See nothing."""
        return Nothing()


class Counting:
    """A throttle that knows what it counted, and refuses one policy."""

    def __init__(self, refused: str = "") -> None:
        self.hits: list[tuple[str, ...]] = []
        self.refused = refused

    async def hit(self, policy: str, *keys: str) -> None:
        self.hits.append((policy, *keys))
        if policy == self.refused:
            raise RateLimited(retry_after_ms=700)


async def sign_in(token: str) -> Viewer:
    return ANNA


def edge(failure: BaseException | None = None, throttle: Counting | None = None) -> SocketEdge:
    return SocketEdge([Bakery(failure)], sign_in, throttle or Counting(), LINKS)


def connection(**fields: Any) -> Connection:
    return cast(Connection, SimpleNamespace(**{"viewer": ANNA, "id": "c1", "address": "203.0.113.7"} | fields))


async def answer(door: SocketEdge, event: str, *args: Any) -> Any:
    return json.loads(await door.answer(connection(), "/bakery", event, list(args)))


def test_the_registry_lists_every_event_with_its_models() -> None:
    assert events_of(Bakery) == [
        EventRoute("bake", Order, Bread, "Bake bread.\n\nIt takes a while.", "messages", "bake"),
        EventRoute("rest", Order, None, "Do nothing.", None, "rest"),
        EventRoute("look", Order, Nothing, "See nothing.", None, "look"),
    ]


def test_the_service_s_own_namespaces_are_sound() -> None:
    names = {namespace.name: [route.name for route in events_of(namespace)] for namespace in NAMESPACES}
    assert set(names) == {"/chat", "/notifications"}
    assert {"send_message", "refresh_session"} <= set(names["/chat"])


async def _no_docstring(self: Any, caller: Caller, payload: Order) -> None: ...


async def _no_caller(self: Any, payload: Order) -> None:
    """Declared wrongly."""


async def _no_model(self: Any, caller: Caller, payload: dict[str, str]) -> None:
    """Declared wrongly."""


async def _a_view_as_payload(self: Any, caller: Caller, payload: Bread) -> None:
    """Declared wrongly."""


async def _no_view(self: Any, caller: Caller, payload: Order) -> str:
    """Declared wrongly."""
    return ""


def _not_async(self: Any, caller: Caller, payload: Order) -> None:
    """Declared wrongly."""


@pytest.mark.parametrize("function", [_no_docstring, _no_caller, _no_model, _a_view_as_payload, _no_view, _not_async])
def test_a_faulty_declaration_is_said_at_import(function: Callable[..., Awaitable[object]]) -> None:
    with pytest.raises(TypeError, match=function.__name__):
        on("event")(function)


async def test_an_answer_is_the_view_with_ok() -> None:
    assert await answer(edge(), "bake", {"bread": 2}) == {"ok": True, "loaves": 2}
    assert await answer(edge(), "rest") == {"ok": True}
    assert await answer(edge(), "look", {}) == {"ok": True}


async def test_a_wrong_payload_says_what_is_wrong_where_and_never_what_it_was() -> None:
    refused = await answer(edge(), "bake", {"bread": "a secret"})
    assert refused["ok"] is False
    assert refused["error"]["code"] == "invalid"
    assert [entry["field"] for entry in refused["error"]["errors"]] == ["bread"]
    assert "secret" not in json.dumps(refused)


class Broken(BaseModel):
    number: int


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Blocked(), "blocked"), (TimeoutError(), "unavailable"), (KeyError("secret"), "internal")],
)
async def test_an_exception_becomes_a_refusal(failure: BaseException, code: str) -> None:
    refused = await answer(edge(failure), "bake")
    assert refused["error"]["code"] == code
    assert "secret" not in json.dumps(refused)


async def test_a_validation_error_of_our_own_making_is_not_the_client_s_fault() -> None:
    try:
        Broken(number="secret")  # type: ignore[arg-type]
    except ValueError as error:
        refused = await answer(edge(error), "bake")
    assert refused["error"]["code"] == "internal"
    assert "errors" not in refused["error"]


async def test_a_cancellation_is_not_swallowed() -> None:
    with pytest.raises(asyncio.CancelledError):
        await answer(edge(asyncio.CancelledError()), "bake")


async def test_every_event_is_counted_for_its_person_and_refused_with_a_time() -> None:
    throttle = Counting()
    await answer(edge(throttle=throttle), "bake")
    await answer(edge(throttle=throttle), "no_such_event")
    person = str(ANNA.user_id)
    assert throttle.hits == [("events", person), ("messages", person), ("events", person)]
    refused = await answer(edge(throttle=Counting("messages")), "bake")
    assert refused["error"] == {"code": "rate_limited", "detail": RateLimited().detail, "retry_after_ms": 700}


async def test_too_many_connections_of_one_person_are_refused() -> None:
    door = edge(throttle=Counting("connect"))
    with pytest.raises(RateLimited):
        await door.admit(connection(viewer=None), "/bakery", {"token": "t"})
    assert await edge().admit(connection(viewer=None), "/bakery", {"token": "t"}) == ANNA


async def test_a_greeting_goes_to_the_one_socket() -> None:
    sent: list[str] = []
    transport = SimpleNamespace(push=lambda frame: sent.append(frame.encode()))
    await edge().greet(connection(transport=transport), "/bakery")
    assert sent == ['42/bakery,["ready",{"loaves":3}]']
