"""A push service on a loopback port, and browsers that subscribe at it: strict, and honest until a test says otherwise.

    async with PushService() as service:                    # service.url: an origin that the operator allows
        browser = service.subscribe(public_key)             # what GET /notifications/push/key gives
        browser.subscription()                              # the body of PUT /notifications/push
        service.answer = status(503)                        # or redirect_to(address), never, hanging_body, huge_body,
                                                            # hang_up; None is honest again
        browser.answer = status(429, {"Retry-After": "7"})  # for one browser, and goes first
        browser.leave()                                     # its subscription has ended: 410
        service.pushes, browser.pushes                      # what was accepted, oldest first: Push
        service.asked                                       # what was asked well, whatever was answered
        service.faults                                      # what was asked badly, in words: assert that there is none
        await service.until(3)                              # that many pushes have been accepted

A request is asked well if it has what RFC 8030, 8291 and 8292 want, comes from whom the browser subscribed to, and can
be read by the browser.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Self

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from src.push.base64url import encoded

from . import rfc8291, vapid

MOST = 4096
URGENCIES = ("very-low", "low", "normal", "high")
UNWANTED = ("Cookie", "Crypto-Key", "Encryption", "Referer", "Origin")
PATIENCE = 10

Answer = Callable[["PushService", web.Request], Awaitable[web.StreamResponse]]


class Push(NamedTuple):
    """One request that was asked well."""

    browser: "Browser"
    payload: bytes
    topic: str | None
    urgency: str
    ttl: int
    claims: dict[str, Any]

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Browser:
    """A subscription, with the keys that nobody else has. `public_key`: whose pushes it takes."""

    def __init__(self, service: "PushService", public_key: str) -> None:
        self.public_key = public_key
        self.private = ec.generate_private_key(rfc8291.CURVE)
        self.secret = secrets.token_bytes(16)
        self.name = secrets.token_urlsafe(24)
        self.endpoint = f"{service.url}/push/{self.name}"
        self.p256dh = encoded(rfc8291.point(self.private.public_key()))
        self.auth = encoded(self.secret)
        self.pushes: list[Push] = []
        self.answer: Answer | None = None

    def subscription(self) -> dict[str, Any]:
        """As the browser's own `PushSubscription.toJSON()`, without its expirationTime."""
        return {"endpoint": self.endpoint, "keys": {"p256dh": self.p256dh, "auth": self.auth}}

    def leave(self) -> None:
        self.answer = status(410)


class PushService:
    """See the module's docstring. `moment`: the clock by which tokens expire."""

    def __init__(self, moment: Callable[[], float] = time.time) -> None:
        self.answer: Answer | None = None
        self.pushes: list[Push] = []
        self.asked: list[Push] = []
        self.faults: list[str] = []
        self.connections: set[Any] = set()
        self.closing = asyncio.Event()
        self._moment = moment
        self._browsers: dict[str, Browser] = {}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port: int = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closing.set()
        await self._runner.cleanup()

    def subscribe(self, public_key: str) -> Browser:
        browser = Browser(self, public_key)
        self._browsers[browser.name] = browser
        return browser

    async def until(self, pushes: int) -> list[Push]:
        """Wait for that many accepted pushes."""
        async with asyncio.timeout(PATIENCE):
            while len(self.pushes) < pushes:
                await asyncio.sleep(0.01)
        return self.pushes

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport and request.transport.get_extra_info("peername"))
        browser = self._browsers.get(request.path.removeprefix("/push/"))
        if browser is None:
            return await status(404)(self, request)
        try:
            push = self._read(browser, request, await request.read())
        except ValueError as fault:
            self.faults.append(str(fault))
            return web.json_response({"reason": str(fault)}, status=400)
        self.asked.append(push)
        if answer := browser.answer or self.answer:
            return await answer(self, request)
        self.pushes.append(push)
        browser.pushes.append(push)
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{len(self.pushes)}"})

    def _read(self, browser: Browser, request: web.Request, body: bytes) -> Push:
        """A request as the push that it is. Raises ValueError, in words, for one that breaks a rule."""
        headers = request.headers
        if request.method != "POST":
            raise ValueError(f"{request.method} is no way to push")
        if unwanted := [name for name in UNWANTED if name in headers]:
            raise ValueError(f"nobody wants {unwanted}")
        if repeated := [name for name in headers if len(headers.getall(name)) > 1]:
            raise ValueError(f"said more than once: {repeated}")
        topic, urgency, ttl = headers.get("Topic"), headers.get("Urgency", "normal"), headers.get("TTL", "")
        if not re.fullmatch(r"[0-9]{1,10}", ttl):
            raise ValueError(f"TTL {ttl!r}")
        if urgency not in URGENCIES:
            raise ValueError(f"Urgency {urgency!r}")
        if topic is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", topic):
            raise ValueError(f"Topic {topic!r}")
        if headers.get("Content-Encoding") != "aes128gcm":
            raise ValueError(f"Content-Encoding {headers.get('Content-Encoding')!r}")
        if len(body) > MOST:
            raise ValueError(f"{len(body)} bytes")
        claims = vapid.verify(headers.get("Authorization", ""), self.url, browser.public_key, self._moment())
        return Push(browser, rfc8291.decrypt(body, browser.private, browser.secret), topic, urgency, int(ttl), claims)


# Ways to answer: (service, request) → response.


def status(code: int, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(_: PushService, __: web.Request) -> web.StreamResponse:
        body = b"" if code < 400 else b'{"reason":"because"}'
        return web.Response(status=code, headers=headers, body=body)

    return answer


def redirect_to(address: str, code: int = 307) -> Answer:
    return status(code, {"Location": address})


async def never(service: PushService, _: web.Request) -> web.StreamResponse:
    """Take the request and say nothing."""
    await service.closing.wait()
    return web.Response()


async def hanging_body(service: PushService, request: web.Request) -> web.StreamResponse:
    """Accept it, begin a body and never end it."""
    response = web.StreamResponse(status=201)
    await response.prepare(request)
    await response.write(b"x")
    await service.closing.wait()
    return response


async def huge_body(service: PushService, request: web.Request) -> web.StreamResponse:
    """Accept it, and talk until nobody listens any more."""
    response = web.StreamResponse(status=201)
    await response.prepare(request)
    while not service.closing.is_set():
        await response.write(b"A" * 65_536)
    return response


async def hang_up(_: PushService, request: web.Request) -> web.StreamResponse:
    """Close the connection instead of an answer."""
    assert request.transport
    request.transport.close()
    return web.Response()
