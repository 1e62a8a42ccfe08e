"""Who may do what: every route and event of the registries, for every role. What is not listed here fails.

Anna owns what is asked for, and has linked Kakao. Boris is her friend and in her group, Clara was both before, Ivan is
blocked by her, Mallory is a stranger. Nobody without a valid access token gets anywhere but through the public routes.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from src.app import CONTROLLERS, NAMESPACES
from src.controllers.api import PUBLIC, Route, routes_of
from src.controllers.socket_edge import EventRoute, events_of
from src.push.base64url import encoded

from .cast import PASSWORD, Cast, Person, Refused, Service
from .conftest import StartService
from .elsewhere import PROVIDERS, identity, link

ROUTES = {(route.method, route.path): route for controller in CONTROLLERS for route in routes_of(controller)}
EVENTS = {(space.name, event.name): event for space in NAMESPACES for event in events_of(space)}


@dataclass
class Stage:
    """Anna's world; paths and bodies are made of it."""

    anna: Person
    boris: Person
    clara: Person
    ivan: Person
    mallory: Person
    room: str = ""
    line: str = ""
    session: str = ""
    upload: str = ""

    @property
    def roles(self) -> dict[str, Person]:
        others = {"former": self.clara, "blocked": self.ivan, "stranger": self.mallory}
        return {"owner": self.anna, "friend": self.boris, **others}


@dataclass(frozen=True)
class Expected:
    """What each role is answered, who is no member any more what strangers are.

    `all` stands for every signed-in role; `body` is made for the stage; `headers` go with it.
    """

    all: int | None = None
    owner: int | None = None
    friend: int | None = None
    blocked: int | None = None
    stranger: int | None = None
    body: Callable[[Stage], Any] = lambda stage: None
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, role: str) -> int:
        status = getattr(self, {"former": "stranger"}.get(role, role)) or self.all
        assert status is not None, f"no status for {role}"
        return status


def message(stage: Stage) -> dict[str, str]:
    return {"client_id": str(uuid4()), "text": "hello"}


def browser(endpoint: str) -> dict[str, Any]:
    """A subscription, as a browser gives it."""
    point = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(*UNCOMPRESSED)
    return {"endpoint": endpoint, "keys": {"p256dh": encoded(point), "auth": encoded(bytes(16))}}


UNCOMPRESSED = Encoding.X962, PublicFormat.UncompressedPoint
TUS = {"Tus-Resumable": "1.0.0"}

# Paths name Anna, her room and her session. So `owner` is Anna acting on herself.
SIGNED_IN = {
    ("POST", "/auth/logout"): Expected(all=204),
    ("GET", "/auth/sessions"): Expected(all=200),
    ("DELETE", "/auth/sessions/{session_id}"): Expected(owner=204, friend=404, blocked=404, stranger=404),
    ("DELETE", "/auth/sessions"): Expected(all=204),
    ("PUT", "/auth/password"): Expected(
        all=204, body=lambda _: {"current_password": PASSWORD, "new_password": "another cold morning"}
    ),
    ("POST", "/auth/email/resend"): Expected(all=202),
    ("GET", "/users/me"): Expected(all=200),
    ("PATCH", "/users/me"): Expected(all=200, body=lambda _: {"intro": "hello"}),
    ("DELETE", "/users/me"): Expected(all=204, body=lambda _: {"password": PASSWORD}),
    ("PUT", "/users/me/avatar"): Expected(all=400),
    ("DELETE", "/users/me/avatar"): Expected(all=200),
    ("PUT", "/users/me/identities/{provider}"): Expected(all=404, body=lambda _: {"token": "a host's"}),
    ("DELETE", "/users/me/identities/{provider}"): Expected(owner=204, friend=404, blocked=404, stranger=404),
    ("GET", "/users"): Expected(all=200),
    ("GET", "/users/{user_id}"): Expected(all=200),
    ("GET", "/friends"): Expected(all=200),
    ("GET", "/friends/requests"): Expected(all=200),
    ("POST", "/friends/requests"): Expected(
        owner=422, friend=409, blocked=403, stranger=201, body=lambda stage: {"user_id": stage.anna.id}
    ),
    ("POST", "/friends/requests/{user_id}/accept"): Expected(all=404),
    ("POST", "/friends/requests/{user_id}/decline"): Expected(all=404),
    ("DELETE", "/friends/requests/{user_id}"): Expected(all=404),
    ("PATCH", "/friends/{user_id}"): Expected(
        owner=404, friend=200, blocked=404, stranger=404, body=lambda _: {"alias": "Anni"}
    ),
    ("DELETE", "/friends/{user_id}"): Expected(owner=404, friend=204, blocked=404, stranger=404),
    ("GET", "/blocks"): Expected(all=200),
    ("PUT", "/blocks/{user_id}"): Expected(all=204, owner=422),
    ("DELETE", "/blocks/{user_id}"): Expected(all=204, owner=404),
    ("POST", "/rooms"): Expected(
        owner=422, friend=200, blocked=403, stranger=201,
        body=lambda stage: {"kind": "direct", "user_id": stage.anna.id},
    ),
    ("GET", "/rooms"): Expected(all=200),
    ("GET", "/rooms/{room_id}"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("PATCH", "/rooms/{room_id}"): Expected(
        owner=200, friend=403, blocked=404, stranger=404, body=lambda _: {"name": "ours"}
    ),
    ("PATCH", "/rooms/{room_id}/me"): Expected(
        owner=200, friend=200, blocked=404, stranger=404, body=lambda _: {"pinned": True}
    ),
    ("GET", "/rooms/{room_id}/members"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("POST", "/rooms/{room_id}/members"): Expected(
        owner=200, friend=200, blocked=404, stranger=404, body=lambda stage: {"user_ids": [stage.anna.id]}
    ),
    ("PATCH", "/rooms/{room_id}/members/{user_id}"): Expected(
        owner=200, friend=403, blocked=404, stranger=404, body=lambda _: {"role": "owner"}
    ),
    ("DELETE", "/rooms/{room_id}/members/{user_id}"): Expected(owner=204, friend=403, blocked=404, stranger=404),
    ("POST", "/rooms/{room_id}/leave"): Expected(owner=204, friend=204, blocked=404, stranger=404),
    ("GET", "/rooms/{room_id}/messages"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("POST", "/rooms/{room_id}/messages"): Expected(owner=201, friend=201, blocked=404, stranger=404, body=message),
    ("PATCH", "/messages/{message_id}"): Expected(
        owner=200, friend=403, blocked=404, stranger=404, body=lambda _: {"text": "hello again"}
    ),
    ("DELETE", "/messages/{message_id}"): Expected(owner=200, friend=403, blocked=404, stranger=404),
    ("PUT", "/messages/{message_id}/reactions/{emoji}"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("DELETE", "/messages/{message_id}/reactions/{emoji}"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("GET", "/messages/{message_id}/reactions"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("GET", "/messages/{message_id}/receipts"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("GET", "/messages/{message_id}/delivery"): Expected(owner=200, friend=403, blocked=404, stranger=404),
    ("GET", "/rooms/{room_id}/files"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("POST", "/rooms/{room_id}/files"): Expected(owner=400, friend=400, blocked=404, stranger=404),
    ("POST", "/rooms/{room_id}/uploads"): Expected(
        owner=201, friend=201, blocked=404, stranger=404, headers={**TUS, "Upload-Length": "10"}
    ),
    ("GET", "/uploads/{upload_id}"): Expected(owner=200, friend=404, blocked=404, stranger=404),
    ("PATCH", "/uploads/{upload_id}"): Expected(
        owner=204, friend=404, blocked=404, stranger=404,
        headers={**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    ),
    ("DELETE", "/uploads/{upload_id}"): Expected(owner=204, friend=404, blocked=404, stranger=404, headers=TUS),
    ("GET", "/search/messages"): Expected(owner=200, friend=200, blocked=404, stranger=404),
    ("GET", "/notifications/push/key"): Expected(all=200),
    ("PUT", "/notifications/push"): Expected(all=204, body=lambda _: browser("https://push.example.com/a-browser")),
    ("DELETE", "/notifications/push"): Expected(all=204, body=lambda _: {"endpoint": "https://push.example.com/none"}),
    ("POST", "/rooms/{room_id}/read"): Expected(
        owner=200, friend=200, blocked=404, stranger=404, body=lambda _: {"seq": 1}
    ),
    ("GET", "/notifications"): Expected(all=200),
    ("POST", "/notifications/read"): Expected(all=200, body=lambda stage: {"ids": [stage.room]}),
    ("GET", "/notifications/preferences"): Expected(all=200),
    ("PUT", "/notifications/preferences"): Expected(all=200, body=lambda _: {"hide_content": True}),
}  # fmt: skip

# What anybody may ask; with nothing in the body it must answer, and not with a failure of ours.
OPEN = {
    ("POST", "/auth/register"): 422,
    ("POST", "/auth/login"): 422,
    ("POST", "/auth/refresh"): 401,
    ("POST", "/auth/password/forgot"): 422,
    ("POST", "/auth/password/reset"): 422,
    ("POST", "/auth/email/verify"): 422,
    ("GET", "/auth/providers"): 200,
    ("GET", "/auth/oauth/{provider}"): 404,
    ("GET", "/auth/oauth/{provider}/callback"): 404,
    ("POST", "/auth/exchange"): 422,
    ("GET", "/avatars/{key}"): 404,
    ("GET", "/files/{file_id}"): 401,
    ("OPTIONS", "/rooms/{room_id}/uploads"): 204,
    ("GET", "/files/{file_id}/thumbnail"): 401,
    ("GET", "/auth/oauth/kakao/unlinked"): 401,
    ("POST", "/auth/oauth/kakao/unlinked"): 401,
    ("POST", "/notifications/unsubscribe"): 401,
    ("GET", "/notifications/unsubscribe"): 200,  # the page to which it leads
}

# The code of the error, or "" for success.
EVENTS_EXPECTED = {
    ("/chat", "send_message"): (
        {"owner": "", "friend": "", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"room_id": stage.room, **message(stage)},
    ),
    ("/chat", "edit_message"): (
        {"owner": "", "friend": "forbidden", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"message_id": stage.line, "text": "hello again"},
    ),
    ("/chat", "delete_message"): (
        {"owner": "", "friend": "forbidden", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"message_id": stage.line},
    ),
    ("/chat", "react_to_message"): (
        {"owner": "", "friend": "", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"message_id": stage.line, "emoji": "👍", "on": True},
    ),
    ("/chat", "mark_read"): (
        {"owner": "", "friend": "", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"room_id": stage.room, "seq": 1},
    ),
    ("/chat", "set_typing"): (
        {"owner": "", "friend": "", "blocked": "not_found", "stranger": "not_found"},
        lambda stage, person: {"room_id": stage.room, "on": True},
    ),
    ("/chat", "sync"): (
        {"owner": "", "friend": "", "blocked": "", "stranger": ""},
        lambda stage, person: {"rooms": {stage.room: 0}},
    ),
    ("/chat", "refresh_session"): (
        {"owner": "", "friend": "", "blocked": "", "stranger": ""},
        lambda stage, person: {"token": person.token},
    ),
    ("/notifications", "mark_notifications_read"): (
        {"owner": "", "friend": "", "blocked": "", "stranger": ""},
        lambda stage, person: {"ids": [stage.room]},
    ),
}


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(providers=PROVIDERS)


@pytest.fixture
async def stage(cast: Cast) -> Stage:
    people = {name: await cast.join(name.title()) for name in ("anna", "boris", "clara", "ivan", "mallory")}
    made = Stage(**people)
    for friend in (made.boris, made.clara):
        await cast.befriend(made.anna, friend)
    await made.anna.put(f"/blocks/{made.ivan.id}", expect=204)
    await made.anna.post("/rooms", {"kind": "direct", "user_id": made.boris.id})
    members = {"kind": "group", "member_ids": [made.boris.id, made.clara.id]}
    made.room = (await made.anna.post("/rooms", members))["id"]
    made.line = (await made.anna.post(f"/rooms/{made.room}/messages", message(made)))["message"]["id"]
    await made.clara.post(f"/rooms/{made.room}/leave", {"quiet": True})
    await made.clara.delete(f"/friends/{made.anna.id}")
    await link(made.anna, identity())
    began = await made.anna.raw("POST", f"/rooms/{made.room}/uploads", headers={**TUS, "Upload-Length": "10"})
    made.upload = began.headers["Location"].rpartition("/")[2]
    made.session = (await made.anna.get("/auth/sessions"))["items"][0]["id"]
    return made


def path_of(route: Route, stage: Stage) -> str:
    ids = {"user_id": stage.anna.id, "room_id": stage.room, "message_id": stage.line, "session_id": stage.session}
    ids["upload_id"] = stage.upload
    query = f"?q=hello&room_id={stage.room}" if route.path == "/search/messages" else ""
    return route.path.format(**ids, emoji="👍", provider="kakao") + query


def test_every_route_and_event_is_listed() -> None:
    assert {key for key, route in ROUTES.items() if route.access == PUBLIC} == set(OPEN)
    assert {key for key, route in ROUTES.items() if route.access != PUBLIC} == set(SIGNED_IN)
    assert set(EVENTS) == set(EVENTS_EXPECTED)


@pytest.mark.parametrize("key", SIGNED_IN, ids=" ".join)
async def test_each_role_gets_what_it_may(stage: Stage, key: tuple[str, str]) -> None:
    expected, route = SIGNED_IN[key], ROUTES[key]
    # Strangers first: what they are refused must not have changed anything for whom it belongs to.
    for role in ("stranger", "former", "blocked", "friend", "owner"):
        answer = await stage.roles[role].raw(
            key[0], path_of(route, stage), expected.body(stage), headers=expected.headers
        )
        assert answer.status == expected.of(role), f"{role}: {answer.status} {answer.json}"


@pytest.mark.parametrize("key", OPEN, ids=" ".join)
async def test_public_routes_answer_anybody(cast: Cast, key: tuple[str, str]) -> None:
    ids = {"file_id": str(uuid4()), "room_id": str(uuid4()), "key": uuid4().hex}
    path = re.sub(r"{(\w+)}", lambda found: ids.get(found[1], found[0]), key[1])
    answer = await cast.anonymous.raw(key[0], path, {} if key[0] == "POST" else None)
    assert answer.status == OPEN[key], answer.json


def expired(token: str, cast: Cast) -> str:
    """The same claims, signed with the service's own key, of an hour ago."""
    claims = jwt.decode(token, options={"verify_signature": False})
    key = cast.service.parts.tokens._access_key
    header = jwt.get_unverified_header(token)
    return jwt.encode(claims | {"iat": time.time() - 7200, "exp": time.time() - 3600}, key, headers=header)


async def bad_tokens(stage: Stage, cast: Cast) -> dict[str, tuple[str | None, str]]:
    """Tokens that prove nothing, each with the code it must be answered."""
    assert stage.boris.token and stage.mallory.token
    signed_out = await stage.mallory.another_device()
    await signed_out.post("/auth/logout", expect=204)
    head, _, signature = stage.boris.token.split(".")
    _, body, _ = stage.anna.token.split(".")  # type: ignore[union-attr]
    return {
        "anonymous": (None, "unauthorized"),
        "expired": (expired(stage.boris.token, cast), "token_expired"),
        "refresh token": (stage.boris.refresh_token, "unauthorized"),
        "signed out": (signed_out.token, "unauthorized"),
        "another's claims": (f"{head}.{body}.{signature}", "unauthorized"),
        "no signature": (jwt.encode({"sub": stage.anna.id}, "", algorithm="none"), "unauthorized"),
        "nonsense": ("nonsense", "unauthorized"),
    }


async def test_no_route_opens_without_a_valid_access_token(stage: Stage, cast: Cast) -> None:
    for name, (token, code) in (await bad_tokens(stage, cast)).items():
        person = cast.anonymous
        person.token = token
        for key, expected in SIGNED_IN.items():
            answer = await person.raw(
                key[0], path_of(ROUTES[key], stage), expected.body(stage), headers=expected.headers
            )
            assert (answer.status, answer.json["code"]) == (401, code), f"{name}: {key}"


@pytest.mark.parametrize("namespace", [space.name for space in NAMESPACES])
async def test_no_socket_opens_without_a_valid_access_token(stage: Stage, cast: Cast, namespace: str) -> None:
    for name, (token, code) in (await bad_tokens(stage, cast)).items():
        with pytest.raises(Refused) as refusal:
            await stage.boris.connect(namespace, token=token)
        assert refusal.value.data["code"] == code, name


@pytest.mark.parametrize("key", EVENTS_EXPECTED, ids=" ".join)
async def test_each_role_is_acknowledged_as_it_may(stage: Stage, key: tuple[str, str]) -> None:
    codes, payload = EVENTS_EXPECTED[key]
    for role, person in stage.roles.items():
        answer = await (await person.connect(key[0])).call(key[1], payload(stage, person))
        code = codes["stranger" if role == "former" else role]
        assert answer["ok"] is (code == ""), f"{role}: {answer}"
        assert answer["ok"] or answer["error"]["code"] == code


@pytest.mark.parametrize("key", EVENTS, ids=" ".join)
async def test_each_event_answers_nonsense(stage: Stage, key: tuple[str, str]) -> None:
    event: EventRoute = EVENTS[key]
    socket = await stage.anna.connect(key[0])
    for payload in ({}, {"surprise": 1}, [], "text", 7, None):
        answer = await socket.call(event.name, payload)
        assert (answer["ok"], answer["error"]["code"]) == (False, "invalid"), payload


async def test_no_answer_shows_another_persons_address_or_any_hash(stage: Stage) -> None:
    pages = ["/users", f"/users/{stage.anna.id}", "/friends", f"/rooms/{stage.room}"]
    for path in pages:
        body = str((await stage.boris.raw("GET", path)).json)
        assert stage.anna.email not in body
        assert "bcrypt" not in body
        assert "password" not in body
