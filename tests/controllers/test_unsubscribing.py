"""One click in a mail, as mail programs make it (RFC 8058), and the page for people."""

import socket
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web

from src.config import Settings
from src.controllers.account_pages import mount_account_pages
from src.controllers.http import install
from src.controllers.serving import mount
from src.controllers.unsubscribing import UnsubscribingController
from src.db.database import Transaction
from src.services.unsubscribing import UnsubscribeTokens, Unsubscribing

from ..people import House
from .corner_shop import ANNA, LINKS, Counter, authenticate

PATH = "/api/v1/notifications/unsubscribe"
FORM = "List-Unsubscribe=One-Click"


class Post:
    """A service with nothing but these routes. `turned_off`: whose mails were turned off, in order."""

    def __init__(self, tokens: UnsubscribeTokens, http: aiohttp.ClientSession) -> None:
        self.tokens, self.http = tokens, http
        self.turned_off: list[UUID] = []
        self.throttle = Counter()

    async def turn_off(self, tx: Transaction, user_id: UUID, at: datetime) -> None:
        self.turned_off.append(user_id)

    async def ask(self, method: str, path: str = PATH, **how: Any) -> tuple[int, Any, Any]:
        async with self.http.request(method, path, allow_redirects=False, **how) as response:
            json = await response.json(content_type=None) if response.content_type.endswith("json") else None
            return response.status, json, response.headers


@pytest.fixture
async def post(house: House, settings: Settings) -> AsyncIterator[Post]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    tokens = UnsubscribeTokens(settings.signing_key, url)
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar()) as http:
        made = Post(tokens, http)
        app = web.Application()
        install(app, settings)
        controller = UnsubscribingController(Unsubscribing(house.database, tokens, made.turn_off), url)
        mount(
            app, [controller], authenticate=authenticate, throttle=made.throttle, settings=settings, links=LINKS
        )  # fmt: skip
        mount_account_pages(app)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield made
        await runner.cleanup()


def multipart() -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("List-Unsubscribe", "One-Click")
    return form


@pytest.mark.one_database
class TestOneClick:
    @pytest.mark.parametrize(
        "how",
        [
            {"data": FORM, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
            {"data": {"List-Unsubscribe": "One-Click"}},
            {"data": multipart},
            {},
            {"data": b""},
            {"json": {"token": "whatever a page sends"}},
        ],
    )
    async def test_turns_the_mails_off_whatever_its_body(self, post: Post, how: dict[str, Any]) -> None:
        how = {name: value() if callable(value) else value for name, value in how.items()}
        status, json, _ = await post.ask("POST", params={"token": post.tokens.token(ANNA)}, **how)
        assert (status, json) == (200, {"email": False}) and post.turned_off == [ANNA]

    async def test_is_the_same_a_second_time(self, post: Post) -> None:
        for _ in range(2):
            assert (await post.ask("POST", params={"token": post.tokens.token(ANNA)}))[0] == 200
        assert post.turned_off == [ANNA, ANNA]

    @pytest.mark.parametrize(
        "query", ["", "?token=", "?token=never-was", "?token=%00", "?other=1", "?token=가", "?t=1&t=2"]
    )
    async def test_without_a_token_of_ours_changes_nothing(self, post: Post, query: str) -> None:
        status, json, _ = await post.ask("POST", PATH + query, data={"List-Unsubscribe": "One-Click"})
        assert (status, json["code"]) == (401, "unauthorized") and post.turned_off == []

    async def test_with_two_tokens_is_nobody_s(self, post: Post) -> None:
        token = post.tokens.token(ANNA)
        assert (await post.ask("POST", f"{PATH}?token={token}&token={token}"))[0] == 401

    async def test_takes_what_a_mail_program_adds_to_the_address(self, post: Post) -> None:
        token = post.tokens.token(ANNA)
        assert (await post.ask("POST", f"{PATH}?token={token}&utm_source=mail"))[0] == 200

    async def test_is_refused_with_a_body_that_has_no_end(self, post: Post) -> None:
        status, _, _ = await post.ask("POST", params={"token": post.tokens.token(ANNA)}, data=b"x" * 100_000)
        assert status == 413 and post.turned_off == []

    async def test_is_counted(self, post: Post) -> None:
        post.throttle.allowed["unsubscribe"] = 0
        assert (await post.ask("POST", params={"token": post.tokens.token(ANNA)}))[0] == 429
        assert post.turned_off == []


@pytest.mark.one_database
class TestOpeningALink:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    async def test_changes_nothing(self, post: Post, method: str) -> None:
        for link in post.tokens.links(ANNA):
            await post.ask(method, link)
        assert post.turned_off == []

    async def test_of_the_header_leads_to_the_page(self, post: Post) -> None:
        links = post.tokens.links(ANNA)
        status, _, headers = await post.ask("GET", links.one_click)
        assert (status, headers["Location"]) == (302, links.page)

    async def test_leads_nowhere_else_whatever_the_token(self, post: Post) -> None:
        _, _, headers = await post.ask("GET", PATH, params={"token": "x&y#//evil.example/\r\nSet-Cookie: a=b"})
        assert headers["Location"].startswith(
            f"{post.tokens._base}/unsubscribe?token=x%26y%23%2F%2Fevil.example%2F%0D%0A"
        )
        assert "Set-Cookie" not in headers

    async def test_shows_a_page_with_a_button_in_both_languages(self, post: Post) -> None:
        for accept, language in (("en", "en"), ("ko-KR", "ko")):
            async with post.http.get(post.tokens.links(ANNA).page, headers={"Accept-Language": accept}) as response:
                html = await response.text()
            assert response.status == 200 and f'<html lang="{language}">' in html and "<button>" in html
            assert f'data-call="{PATH}"' in html and post.tokens.token(ANNA) not in html
            assert "메일 그만 받기" in html and "Stop the mails" in html
            assert "unsafe" not in response.headers["Content-Security-Policy"]
            assert response.headers["Cache-Control"] == "no-store"
