"""The pages that show the contract: whole, offline, and under a strict policy."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from src import app as chatty
from src.config import Settings
from src.controllers import docs
from src.controllers.docs import mount_docs
from src.controllers.edge import known_errors
from src.controllers.http import install
from src.controllers.pages import events_page

Client = TestClient[web.Request, web.Application]
PAGES = ("/docs", "/docs/events", "/docs/errors")


class Page(HTMLParser):
    """What a page loads, links to and can be jumped to; scripts and styles written into it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        elif source := given.get("src") or given.get("href"):
            self.loads.append(source)
        elif tag in ("script", "style"):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


@pytest.fixture(params=["with Swagger UI", "without"])
def swagger_ui(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    here = tmp_path / "swagger-ui-bundle.js"
    monkeypatch.setattr(docs, "SWAGGER_UI", here)
    if request.param == "with Swagger UI":
        here.touch()
    return here.exists()


@pytest.fixture
async def client(swagger_ui: bool, tmp_path: Path) -> AsyncIterator[Client]:
    app = web.Application()
    install(app, Settings(_env_file=None, data_dir=tmp_path))
    mount_docs(app, chatty.openapi(), chatty.asyncapi())
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_needs_nothing_from_elsewhere(client: Client, path: str) -> None:
    response = await client.get(path)
    html = await response.text()
    page = Page(html)
    assert (response.status, response.content_type) == (200, "text/html")
    assert all(re.match(r"/[^/]", source) for source in page.loads), page.loads
    assert all(re.match(r"/[^/]|/$|#", link) for link in page.links), page.links
    assert page.inline == []
    assert "http://" not in html
    assert "https://" not in html


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_held_by_a_strict_policy(client: Client, swagger_ui: bool, path: str) -> None:
    policy = (await client.get(path)).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe-eval" not in policy
    assert "http" not in policy
    assert ("unsafe-inline" in policy) == (swagger_ui and path == "/docs")
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", PAGES)
async def test_every_link_of_a_page_leads_somewhere(client: Client, path: str) -> None:
    page = Page(await (await client.get(path)).text())
    assert len(page.ids) == len(set(page.ids))
    for link in set(page.links):
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert (await client.get(link)).status == 200, link


async def test_our_own_files_are_served_and_load_nothing_foreign(client: Client) -> None:
    for name in ("docs.css", "docs.js", "icon.svg"):
        response = await client.get(f"/static/{name}")
        assert response.status == 200
        assert not re.search(r"url\(|@import|//[a-z]+\.", (await response.text()).replace("http://www.w3.org", ""))


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"])
async def test_nothing_but_our_own_files_is_served(client: Client, path: str) -> None:
    from yarl import URL

    response = await client.get(URL(path, encoded=True))
    assert response.status in (403, 404)


async def test_the_rest_page_shows_the_routes_also_without_swagger_ui(client: Client, swagger_ui: bool) -> None:
    html = await (await client.get("/docs")).text()
    assert "/api/v1/openapi.json" in html
    if swagger_ui:
        assert "/static/vendor/swagger-ui/swagger-ui-bundle.js" in html
    else:
        assert "<code>/api/v1/friends</code>" in html


async def test_the_events_page_shows_every_event_of_the_contract(client: Client) -> None:
    ids = Page(await (await client.get("/docs/events")).text()).ids
    for operation in chatty.asyncapi()["operations"].values():
        channel = operation["channel"]["$ref"].rpartition("/")[2]
        event = operation["messages"][0]["$ref"].rpartition("/")[2]
        assert f"{channel}-{event}" in ids


async def test_the_type_of_every_problem_leads_to_its_explanation(client: Client) -> None:
    ids = Page(await (await client.get("/docs/errors")).text()).ids
    assert ids == [error.code for error in known_errors()]


async def test_the_raw_documents_are_served(client: Client) -> None:
    assert await (await client.get("/api/v1/openapi.json")).json() == chatty.openapi()
    assert await (await client.get("/api/v1/asyncapi.json")).json() == chatty.asyncapi()


async def test_the_front_door_leads_to_the_contract(client: Client) -> None:
    for path in ("/", "/docs/"):
        response = await client.get(path, allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/docs")


def test_words_of_the_contract_cannot_become_markup() -> None:
    document = chatty.asyncapi()
    document["channels"]["chat"]["messages"]["ready"]["summary"] = "<script>alert(1)</script>"
    document["components"]["schemas"]["Message"]["properties"]["text"] = {"enum": ["<img src=x onerror=alert(1)>"]}
    html = events_page(document)
    assert "<script>" not in html
    assert "<img" not in html
