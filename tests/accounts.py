"""What the tests of accounts share: a browser's cookie, a mail's link, and a hand in the database."""

import re
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from sqlalchemy import Update
from yarl import URL

from src.controllers.handover import COOKIE

from .cast import PASSWORD, Answer, Person, Service


def account(name: str = "Anna", **changes: Any) -> dict[str, Any]:
    """The body of a sign-up."""
    return {"email": f"{name.lower()}@example.com", "password": PASSWORD, "nickname": name} | changes


def cookie_in(answer: Answer) -> str:
    """The refresh token that an answer sets."""
    found = re.match(rf"{COOKIE}=([^;]*);", answer.headers.get("Set-Cookie", ""))
    assert found, f"no cookie: {answer.headers}"
    return found[1]


async def refresh(anybody: Person, token: str, **headers: str) -> Answer:
    """Renew a session as a browser does."""
    return await anybody.raw("POST", "/auth/refresh", headers={"Cookie": f"{COOKIE}={token}", **headers})


async def alter(service: Service, statement: Update) -> None:
    """Change a row behind the service's back."""
    async with service.parts.database.transaction() as tx:
        await tx._connection.execute(statement)


def told(answer: Answer) -> tuple[int, Mapping[str, str], Any]:
    """All that an answer tells a caller, but for what differs between any two requests."""
    varying = {"X-Request-ID", "Date", "Content-Length"}
    headers = {name: value for name, value in answer.headers.items() if name not in varying}
    body = {name: value for name, value in (answer.json or {}).items() if name != "request_id"}
    return answer.status, headers, body


def token_in(mail: EmailMessage) -> str:
    """The token of the link in a mail; it is the same in both parts."""
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None and html is not None
    links = set(re.findall(r"https?://[^\s\"<]+", plain.get_content() + html.get_content()))
    (link,) = links
    return URL(link).query["token"]
