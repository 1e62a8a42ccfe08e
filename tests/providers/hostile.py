"""An OpenID provider on a loopback port: honest and strict until a test tells it how to misbehave.

    async with HostileProvider() as evil:
        settings.providers["evil"] = evil.settings()        # client_id, client_secret, issuer: all there is to know
        evil.person = "mallory"                             # who signs in at the next visit of /authorize
        evil.people["mallory"]["email_verified"] = False    # what it says of them: `sub` and the claims of userinfo
        evil.refusal = "access_denied"                      # /authorize ends with this error instead
        evil.claims["aud"] = "somebody-else"                # put over the claims of the ID token; ABSENT takes one away
        evil.header["jku"] = f"{evil.url}/jwks"             # put over its header
        evil.signing = unsigned                             # or alg_none, with_public_key, with_other_key, with_own_jwk
        evil.callback["iss"] = "https://other.example"      # put over the query with which the browser comes back
        evil.token["token_type"] = 5                        # likewise the answers of /token, /userinfo, discovery
        evil.faults["token"] = server_error                 # or never, hanging_body, ten_megabytes, gzip_bomb, html,
                                                            # redirect_to(address), raw(body, status, type); at
                                                            # discovery, jwks, token, userinfo, revoke, picture
        evil.rotate()                                       # a new key; `evil.keys` are those that it shows
        evil.requests["token"]                              # what was asked there, oldest first: Asked(form, headers)
        evil.revoked                                        # the tokens that were
        query = await evil.visit(authorization_url)         # what a browser brings back to the callback

Honest means: /token checks the client's authentication, the redirect_uri, PKCE (S256), and takes a code once; a code
lives as long as the provider. Nothing here checks how a client treats what it gets: that is for the tests to see.
"""

import asyncio
import base64
import functools
import gzip
import hashlib
import hmac
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

import aiohttp
import orjson
from aiohttp import web
from joserfc import jws
from joserfc.jwk import RSAKey

from ..pictures import picture

Json = dict[str, Any]
Fault = Callable[["HostileProvider", web.Request], Awaitable[web.StreamResponse]]

_RS256: Final = jws.JWSRegistry.algorithms["RS256"]  # signs whatever header a test makes up
ABSENT: Final = object()
"""Put over a value: leave it out."""


class Asked(NamedTuple):
    """One request that the provider got: its query or form, and its headers."""

    form: dict[str, str]
    headers: dict[str, str]


class HostileProvider:
    """See the module's docstring. `auth_methods`: how clients may authenticate, as its discovery document says."""

    def __init__(self, *, client_id: str = "chatty", auth_methods: tuple[str, ...] = ("client_secret_basic",)) -> None:
        self.client_id = client_id
        self.client_secret = "s3cret:with/odd+signs%"
        self.auth_methods = auth_methods
        self.redirect_uris: set[str] | None = None  # any
        self.people: dict[str, Json] = {
            name: {"sub": f"subject-of-{name}", "name": name.title(), "email": f"{name}@example.com",
                   "email_verified": True, "picture": f"https://pictures.example/{name}.png"}
            for name in ("anna", "boris", "mallory")
        }  # fmt: skip
        self.person = "anna"
        self.refusal: str | None = None
        self.access_seconds: Any = 3600
        self.claims: Json = {}
        self.header: Json = {}
        self.callback: Json = {}
        self.token: Json = {}
        self.userinfo: Json = {}
        self.discovery: Json = {}
        self.signing: Callable[[HostileProvider, Json, bytes], str] = honestly
        self.faults: dict[str, Fault] = {}
        self.requests: defaultdict[str, list[Asked]] = defaultdict(list)
        self.revoked: list[str] = []
        self._generation = 0
        self.keys = [key_number(0)]
        self._codes: dict[str, Json] = {}
        self._access: dict[str, Json] = {}
        self._refresh: dict[str, Json] = {}
        self.closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for name, path, endpoint in (
            ("discovery", "/.well-known/openid-configuration", self._discovery),
            ("authorize", "/authorize", self._authorize),
            ("jwks", "/jwks", self._jwks),
            ("token", "/token", self._token),
            ("userinfo", "/userinfo", self._userinfo),
            ("revoke", "/revoke", self._revoke),
            ("picture", "/picture", self._picture),
        ):
            app.router.add_route("*", path, functools.partial(self._answer, name, endpoint))
        self._runner = web.AppRunner(app, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port: int = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closing.set()
        await self._runner.cleanup()

    def settings(self, **more: str) -> dict[str, str]:
        """What an operator sets to use it: the fields of ProviderSettings."""
        return {"client_id": self.client_id, "client_secret": self.client_secret, "issuer": self.url, **more}

    def rotate(self) -> None:
        """Sign with a new key from now on, and show that one alone."""
        self._generation += 1
        self.keys = [key_number(self._generation)]

    async def visit(self, authorization_url: str) -> dict[str, str]:
        """Be a browser that is sent here: the query with which it is sent back."""
        async with aiohttp.ClientSession() as http, http.get(authorization_url, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))

    async def _answer(
        self, name: str, endpoint: Callable[[web.Request], Awaitable[web.Response]], request: web.Request
    ) -> web.StreamResponse:
        form = await request.post() if request.method == "POST" else request.query
        self.requests[name].append(Asked({key: str(value) for key, value in form.items()}, dict(request.headers)))
        fault = self.faults.get(name)
        return await (fault(self, request) if fault else endpoint(request))

    async def _discovery(self, _: web.Request) -> web.Response:
        endpoints = {
            "authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/jwks",
            "userinfo_endpoint": "/userinfo", "revocation_endpoint": "/revoke",
        }  # fmt: skip
        return _json(_over(
            {
                "issuer": self.url,
                **{key: self.url + path for key, path in endpoints.items()},
                "token_endpoint_auth_methods_supported": list(self.auth_methods),
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
            },
            self.discovery,
        ))  # fmt: skip

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        registered = self.redirect_uris is None or asked.get("redirect_uri") in self.redirect_uris
        if asked.get("client_id") != self.client_id or not registered or asked.get("response_type") != "code":
            return _json({"error": "invalid_request"}, 400)
        back = {"state": asked.get("state", ""), "iss": self.url}
        if self.refusal:
            back["error"] = self.refusal
        else:
            back["code"] = secrets.token_urlsafe(16)
            self._codes[back["code"]] = {**asked, "person": self.people[self.person]}
        separator = "&" if "?" in asked["redirect_uri"] else "?"
        location = asked["redirect_uri"] + separator + urlencode(_over(back, self.callback))
        return web.Response(status=302, headers={"Location": location})

    async def _jwks(self, _: web.Request) -> web.Response:
        return _json({"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "RS256"} for key in self.keys]})

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if not self._is_client(request, form):
            return _json({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "refresh_token":
            session = self._refresh.get(str(form.get("refresh_token")))
            return self._tokens(session, id_token=False) if session else _json({"error": "invalid_grant"}, 400)
        asked = self._codes.pop(str(form.get("code")), None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"] or not _proves(form, asked):
            return _json({"error": "invalid_grant"}, 400)
        return self._tokens(asked, id_token="openid" in asked.get("scope", "").split())

    def _tokens(self, asked: Json, *, id_token: bool) -> web.Response:
        access, refresh = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self._access[access] = asked["person"]
        self._refresh[refresh] = asked
        answer = {"access_token": access, "token_type": "Bearer", "refresh_token": refresh,
                  "expires_in": self.access_seconds}  # fmt: skip
        if id_token:
            answer["id_token"] = self._id_token(asked)
        return _json(_over(answer, self.token))

    def _id_token(self, asked: Json) -> str:
        moment = int(time.time())
        claims: Json = {
            "iss": self.url, "aud": self.client_id, "sub": asked["person"]["sub"], "iat": moment, "exp": moment + 300,
            "nonce": asked.get("nonce", ABSENT),
        }  # fmt: skip
        header = {"alg": "RS256", "typ": "JWT", "kid": self.keys[-1].kid}
        return self.signing(self, _over(header, self.header), orjson.dumps(_over(_over(claims, {}), self.claims)))

    async def _userinfo(self, request: web.Request) -> web.Response:
        person = self._access.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return _json(_over(person, self.userinfo)) if person else _json({"error": "invalid_token"}, 401)

    async def _revoke(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if not self._is_client(request, form):
            return _json({"error": "invalid_client"}, 401)
        self.revoked.append(str(form.get("token")))
        self._access.pop(self.revoked[-1], None)
        self._refresh.pop(self.revoked[-1], None)
        return web.Response()

    async def _picture(self, _: web.Request) -> web.Response:
        return web.Response(body=picture("PNG"), content_type="image/png")

    def _is_client(self, request: web.Request, form: Json) -> bool:
        """RFC 6749 §2.3.1, by one of the methods that it says it takes, and by one alone."""
        basic = request.headers.get("Authorization", "")
        if basic and "client_secret" not in form and "client_secret_basic" in self.auth_methods:
            name, _, secret = base64.b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            name, secret = unquote_plus(name), unquote_plus(secret)
        elif not basic and "client_secret" in form and "client_secret_post" in self.auth_methods:
            name, secret = str(form.get("client_id")), str(form["client_secret"])
        else:
            return "none" in self.auth_methods and not basic and form.get("client_id") == self.client_id
        return name == self.client_id and hmac.compare_digest(secret, self.client_secret)


@functools.cache
def key_number(number: int) -> RSAKey:
    """Making one takes a while: the same for all providers of a test run."""
    return RSAKey.generate_key(2048, {"kid": f"key-{number}"}, private=True)


def _proves(form: Json, asked: Json) -> bool:
    """RFC 7636 §4.6; a client that sent no challenge need not prove anything, as at providers that know no PKCE."""
    if "code_challenge" not in asked:
        return "code_verifier" not in form
    digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
    proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return asked.get("code_challenge_method") == "S256" and hmac.compare_digest(proof, asked["code_challenge"])


def _over(values: Json, changes: Json) -> Json:
    return {key: value for key, value in {**values, **changes}.items() if value is not ABSENT}


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


# Ways to sign an ID token: (provider, header, payload) → token.


def honestly(provider: HostileProvider, header: Json, payload: bytes) -> str:
    """With the newest key."""
    return _signed(header, payload, provider.keys[-1])


def alg_none(_: HostileProvider, header: Json, payload: bytes) -> str:
    """`{"alg":"none"}` and no signature (RFC 7519 §6)."""
    return f"{_encoded(orjson.dumps({**header, 'alg': 'none'}))}.{_encoded(payload)}."


def unsigned(_: HostileProvider, header: Json, payload: bytes) -> str:
    """An honest header, and the signature cut off."""
    return f"{_encoded(orjson.dumps(header))}.{_encoded(payload)}."


def with_public_key(provider: HostileProvider, header: Json, payload: bytes) -> str:
    """HS256, the public key of RS256 as the secret: algorithm confusion (RFC 8725 §2.1)."""
    signing_input = f"{_encoded(orjson.dumps({**header, 'alg': 'HS256'}))}.{_encoded(payload)}"
    secret = provider.keys[-1].as_pem(private=False)
    return f"{signing_input}.{_encoded(hmac.digest(secret, signing_input.encode(), 'sha256'))}"


def with_other_key(_: HostileProvider, header: Json, payload: bytes) -> str:
    """With a key that the provider does not have, under the name of one that it has."""
    return _signed(header, payload, key_number(99))


def with_own_jwk(_: HostileProvider, header: Json, payload: bytes) -> str:
    """With a key that the token itself brings along."""
    key = key_number(99).as_dict(private=False)
    return _signed({**header, "jwk": {part: key[part] for part in ("kty", "n", "e")}}, payload, key_number(99))


def _signed(header: Json, payload: bytes, key: RSAKey) -> str:
    signing_input = f"{_encoded(orjson.dumps(header))}.{_encoded(payload)}"
    return f"{signing_input}.{_encoded(_RS256.sign(signing_input.encode(), key))}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# Ways to answer a request: (provider, request) → response.


async def server_error(_: HostileProvider, __: web.Request) -> web.StreamResponse:
    return _json({"error": "server_error"}, 500)


async def never(provider: HostileProvider, _: web.Request) -> web.StreamResponse:
    """Take the request and say nothing."""
    await provider.closing.wait()
    return web.Response()


async def hanging_body(provider: HostileProvider, request: web.Request) -> web.StreamResponse:
    """Begin a body and never end it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"access_token":')
    await provider.closing.wait()
    return response


async def ten_megabytes(_: HostileProvider, request: web.Request) -> web.StreamResponse:
    """Chunked, so that no Content-Length gives it away."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"padding":"')
    for _piece in range(160):
        await response.write(b"A" * 65_536)
    await response.write(b'"}')
    return response


async def gzip_bomb(_: HostileProvider, __: web.Request) -> web.StreamResponse:
    """10 kB that become 10 MB."""
    body = gzip.compress(b'{"padding":"' + b"A" * 10_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return web.Response(body=body, headers=headers)


async def html(_: HostileProvider, __: web.Request) -> web.StreamResponse:
    return web.Response(text="<html><h1>We will be back soon</h1></html>", content_type="text/html")


def redirect_to(address: str) -> Fault:
    async def redirect(_: HostileProvider, __: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": address})

    return redirect


def raw(body: bytes, status: int = 200, content_type: str = "application/json") -> Fault:
    """Exactly these bytes."""

    async def answer(_: HostileProvider, __: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type=content_type)

    return answer
