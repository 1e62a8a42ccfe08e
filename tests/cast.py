"""The people of the tests: Anna and Boris are friends once befriended, Mallory never is, 홍길동 writes Korean."""

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import aiohttp
import socketio
from yarl import URL

from src.config import Settings

if TYPE_CHECKING:
    from src.parts import Parts

PASSWORD = "a cold morning in Gangneung"
PATIENCE = 5.0


class Service(NamedTuple):
    """A running Chatty. `http` is a client without cookies whose base is `url`."""

    url: str
    settings: Settings
    parts: "Parts"
    http: aiohttp.ClientSession


class Answer(NamedTuple):
    """What a request was answered. `json` is None where the answer has no JSON body."""

    status: int
    headers: Mapping[str, str]
    json: Any


class Fetched(NamedTuple):
    """The bytes that an address answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Attachment(NamedTuple):
    """A file to be sent. `type` is what its sender says of it."""

    name: str
    data: bytes
    type: str = "application/octet-stream"


class Refused(Exception):
    """A Socket.IO connection was refused; `data` is what the server said why."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data = data


class Person:
    """Somebody who calls the service, signed in if `session` is given (the answer to registering or signing in)."""

    def __init__(self, cast: "Cast", session: Mapping[str, Any] | None = None, password: str = PASSWORD) -> None:
        self._cast = cast
        self.password = password
        self.token: str | None = None
        if session:
            self.token = session["access_token"]
            self.refresh_token = session["refresh_token"]
            self.user = session["user"]
            self.id: str = self.user["id"]
            self.email: str = self.user["email"]

    async def raw(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        """Call `/api/v1{path}` and hand back whatever comes."""
        credentials = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self._cast.service.http.request(
            method, f"/api/v1{path}", json=json, params=params, data=data, headers={**credentials, **(headers or {})}
        ) as response:
            has_json = response.content_type.endswith("json")
            return Answer(
                response.status, response.headers, await response.json(content_type=None) if has_json else None
            )

    async def call(self, method: str, path: str, json: Any = None, *, expect: int | None = None, **how: Any) -> Any:
        """The JSON that a call is answered, None for 204. Fails unless the status is `expect`, or 2xx without it."""
        answer = await self.raw(method, path, json, **how)
        as_expected = answer.status == expect if expect else 200 <= answer.status < 300
        assert as_expected, f"{method} {path}: {answer.status}, not {expect or '2xx'}: {answer.json}"
        return answer.json

    async def get(self, path: str, **how: Any) -> Any:
        return await self.call("GET", path, **how)

    async def post(self, path: str, json: Any = None, **how: Any) -> Any:
        return await self.call("POST", path, json, **how)

    async def put(self, path: str, json: Any = None, **how: Any) -> Any:
        return await self.call("PUT", path, json, **how)

    async def patch(self, path: str, json: Any = None, **how: Any) -> Any:
        return await self.call("PATCH", path, json, **how)

    async def delete(self, path: str, json: Any = None, **how: Any) -> Any:
        return await self.call("DELETE", path, json, **how)

    async def upload_raw(self, path: str, *files: Attachment, field: str = "files", method: str = "POST") -> Answer:
        """Send files as a form and hand back whatever comes."""
        with aiohttp.MultipartWriter("form-data") as form:
            for file in files:
                part = form.append(file.data, {"Content-Type": file.type})
                part.set_content_disposition("form-data", quote_fields=False, name=field, filename=file.name)
        return await self.raw(method, path, data=form)

    async def upload(self, room_id: str, *files: Attachment) -> list[Any]:
        """Upload files into a room; each as it is answered."""
        answer = await self.upload_raw(f"/rooms/{room_id}/files", *files)
        assert answer.status == 201, answer.json
        return list(answer.json["items"])

    async def send(self, room_id: str, *files: Attachment, **fields: Any) -> Any:
        """Upload files and send a message with them; the message."""
        file_ids = [file["id"] for file in await self.upload(room_id, *files)]
        body = {"client_id": str(uuid4()), "file_ids": file_ids, **fields}
        return (await self.post(f"/rooms/{room_id}/messages", body, expect=201))["message"]

    async def fetch(self, url: str, *, method: str = "GET", signed_in: bool = False, **headers: str) -> Fetched:
        """What an address answers to somebody who has it; with my token as well if `signed_in`."""
        credentials = {"Authorization": f"Bearer {self.token}"} if signed_in else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._cast.service.http.request(
            method, URL(url, encoded=True), headers=credentials | named, allow_redirects=False
        ) as response:
            return Fetched(response.status, response.headers, await response.read())

    async def connect(
        self, namespace: str = "/chat", *, transports: tuple[str, ...] = ("websocket",), **auth: Any
    ) -> "Socket":
        """A Socket.IO connection; `token=` (or any `auth` field) replaces my own. Raises Refused."""
        socket = Socket(namespace)
        self._cast.sockets.append(socket)
        await socket.open(self._cast.service.url, {"token": self.token} | auth, transports)
        return socket

    async def another_device(self) -> "Person":
        """Me once more, with a session of its own."""
        return await self._cast.sign_in(self.email, self.password)


class Socket:
    """One Socket.IO connection to one namespace. `events` holds all that was heard, as (name, payload)."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.events: list[tuple[str, Any]] = []
        self.client = socketio.AsyncClient(reconnection=False)
        self._unheard: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)
        self._ended = asyncio.Event()
        self._refusal: Any = None
        self.client.on("*", self._hear, namespace=namespace)
        self.client.on("connect_error", self._refuse, namespace=namespace)
        self.client.on("disconnect", self._end, namespace=namespace)

    async def open(self, url: str, auth: Mapping[str, Any], transports: tuple[str, ...]) -> None:
        """Connect. Raises Refused."""
        try:
            await self.client.connect(
                url, auth=auth, transports=list(transports), namespaces=[self.namespace], wait_timeout=PATIENCE
            )
        except socketio.exceptions.ConnectionError as failure:
            raise Refused(self._refusal or str(failure)) from failure

    async def call(self, event: str, payload: Any = None) -> Any:
        """Emit an event; what it is acknowledged with. Raises socketio's TimeoutError without acknowledgement."""
        return await self.client.call(event, payload, namespace=self.namespace, timeout=PATIENCE)

    async def heard(self, event: str) -> Any:
        """The payload of the next event of this name that was not asked for yet; waits for it. Raises TimeoutError."""
        try:
            return await asyncio.wait_for(self._unheard[event].get(), PATIENCE)
        except TimeoutError:
            raise TimeoutError(f"{event} was not heard, but {[name for name, _ in self.events]}") from None

    async def ended(self) -> None:
        """Wait until the server has ended this connection. Raises TimeoutError."""
        await asyncio.wait_for(self._ended.wait(), PATIENCE)

    async def close(self) -> None:
        """Leave, and end this client's tasks."""
        with contextlib.suppress(TimeoutError):  # a poll may stay unanswered until the next ping
            await asyncio.wait_for(self.client.disconnect(), 1)
        await self.client.eio.disconnect(abort=True)

    async def _hear(self, event: str, *payload: Any) -> None:
        self.events.append((event, payload[0] if payload else None))
        self._unheard[event].put_nowait(payload[0] if payload else None)

    async def _refuse(self, data: Any = None) -> None:
        self._refusal = data.get("data", data) if isinstance(data, dict) else data  # as the JavaScript client does

    async def _end(self, *_: Any) -> None:
        self._ended.set()


class Cast:
    """Brings people into a service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sockets: list[Socket] = []
        self._numbers = itertools.count(1)

    @property
    def anonymous(self) -> Person:
        """Somebody who is not signed in."""
        return Person(self)

    async def join(self, name: str, **overrides: Any) -> Person:
        """Register somebody. `overrides` replace or add fields of the request."""
        local_part = name.lower() if name.isascii() and name.isalnum() else f"person{next(self._numbers)}"
        body = {"email": f"{local_part}@example.com", "password": PASSWORD, "nickname": name, "session": "token"}
        body |= overrides
        return Person(self, await self.anonymous.post("/auth/register", body, expect=201), body["password"])

    async def sign_in(self, email: str, password: str = PASSWORD) -> Person:
        """A further session of somebody who is registered."""
        body = {"email": email, "password": password, "session": "token"}
        return Person(self, await self.anonymous.post("/auth/login", body, expect=200), password)

    async def befriend(self, one: Person, other: Person) -> None:
        """Make friends of two: one asks, the other accepts."""
        await one.post("/friends/requests", {"user_id": other.id}, expect=201)
        await other.post(f"/friends/requests/{one.id}/accept", expect=204)

    async def direct_room(self, one: Person, other: Person) -> str:
        """The id of the direct room of two."""
        room = await one.post("/rooms", {"kind": "direct", "user_id": other.id})
        return str(room["id"])

    async def leave(self) -> None:
        """Close every socket that is still open."""
        await asyncio.gather(*(socket.close() for socket in self.sockets))


def draft(text: str = "안녕, Boris!", **fields: Any) -> dict[str, Any]:
    """The body of a new message, with a `client_id` of its own."""
    return {"client_id": str(uuid4()), "text": text, **fields}
