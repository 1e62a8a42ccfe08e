"""What the stand-ins share: a server on loopback that notes what it was asked, and that can be down."""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web
from yarl import URL

FIELDS = web.RequestKey("fields", dict[str, str])


@dataclass(frozen=True)
class Somebody:
    """A person as a provider knows them; what is None they did not agree to share, or do not have."""

    subject: str
    nickname: str | None = None
    email: str | None = None
    email_verified: bool = True
    picture: str | None = None


class Asked(NamedTuple):
    """One request: `fields` are those of the query and of the form."""

    method: str
    path: str
    fields: Mapping[str, str]
    headers: Mapping[str, str]


class Given(NamedTuple):
    """A code or a token, and what it was given for."""

    person: Somebody
    asked: Mapping[str, str]


class StandIn:
    """`visitor`: who sits before the browser, None for somebody who cancels. `asked`: every request.

    `down`: paths that answer 503. `redirect_uri`: the only one registered. `pictures`: what it shows, by name.
    """

    name: str

    def __init__(self) -> None:
        self.visitor: Somebody | None = None
        self.asked: list[Asked] = []
        self.down: set[str] = set()
        self.pictures: dict[str, bytes] = {}
        self.redirect_uri = ""
        self.client_id, self.client_secret = f"{self.name}-client", secrets.token_urlsafe(24)
        self.codes: dict[str, Given] = {}
        self.access: dict[str, Given] = {}
        self.refreshing: dict[str, Given] = {}
        self.connected: set[str] = set()
        self.lifetime = 3600
        self._spent: set[str] = set()
        self._expired: set[str] = set()
        self._closing = AsyncExitStack()

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._note])
        app.add_routes([*self.routes(), web.get("/pictures/{name}", self._picture)])
        runner = web.AppRunner(app)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    def picture(self, data: bytes, name: str = "me") -> str:
        """Show a picture; its address."""
        self.pictures[name] = data
        return f"{self.url}/pictures/{name}?type=m640#here"

    async def _picture(self, request: web.Request) -> web.Response:
        data = self.pictures.get(request.match_info["name"])
        return web.Response(body=data, content_type="image/jpeg") if data else web.Response(status=404)

    def heard(self, path: str) -> list[Asked]:
        """What was asked of one path."""
        return [asked for asked in self.asked if asked.path == path]

    async def until(self, subject: str, *, connected: bool = False) -> None:
        """Wait until somebody is (or is no longer) connected to the application. Raises TimeoutError."""
        async with asyncio.timeout(10):
            while (subject in self.connected) is not connected:
                await asyncio.sleep(0.02)

    def expire(self) -> None:
        """Every access token is past its time."""
        self._expired |= set(self.access)

    @web.middleware
    async def _note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        form = await request.post()
        fields = dict(request.query) | {name: str(value) for name, value in form.items()}
        self.asked.append(Asked(request.method, request.path, fields, dict(request.headers)))
        if request.path in self.down:
            return web.Response(status=503, text="<html>We are back soon.</html>", content_type="text/html")
        request[FIELDS] = fields
        answer: web.StreamResponse = await handler(request)
        return answer

    def back(self, fields: Mapping[str, str], **said: str) -> web.Response:
        """Send the browser back, with the state that it came with."""
        state = {"state": fields["state"]} if "state" in fields else {}
        return web.Response(
            status=302, headers={"Location": str(URL(fields["redirect_uri"]).update_query(said | state))}
        )

    def code_for(self, person: Somebody, fields: Mapping[str, str]) -> str:
        """A code that works once."""
        code = secrets.token_urlsafe(32)
        self.codes[code] = Given(person, dict(fields))
        return code

    def spend(self, code: str) -> Given | None:
        """What a code was given for; None if it never was or is used."""
        if code in self._spent:
            return None
        self._spent.add(code)
        return self.codes.get(code)

    def tokens_for(self, given: Given) -> tuple[str, str]:
        """A new access token and the refresh token."""
        access, refresh = secrets.token_urlsafe(32) + "+/=", secrets.token_urlsafe(32)
        self.access[access], self.refreshing[refresh] = given, given
        self.connected.add(given.person.subject)
        return access, refresh

    def holder(self, access_token: str) -> Given | None:
        """Whose access token this is, unless it is expired or they have unlinked."""
        given = self.access.get(access_token)
        alive = given and access_token not in self._expired and given.person.subject in self.connected
        return given if alive else None

    def bearer(self, request: web.Request) -> Given | None:
        """Who is asked about by `Authorization: Bearer`."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.holder(token) if scheme == "Bearer" else None


def pkce_fits(asked: Mapping[str, str], verifier: str | None) -> bool:
    """Whether a verifier is that of the challenge of the authorization request (RFC 7636 §4.6), where there was one."""
    if "code_challenge" not in asked:
        return verifier is None
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
