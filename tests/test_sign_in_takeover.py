"""Nobody gets into another's account by an e-mail address, a subject or a race, nor sends a browser astray."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from .accounts import token_in
from .browser import Browser, Tab
from .conftest import Mailbox, StartService
from .providers.hostile import HostileProvider
from .providers.stage import Stage, error_of, somebody
from .providers.trap import Trap

EVERYBODY = ("google", "naver", "kakao", "acme")
VICTIM = "anna@example.com"


@pytest.fixture(params=EVERYBODY)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestAnAddress:
    @pytest.mark.parametrize("verified", [True, False])
    @pytest.mark.parametrize("spelt", [VICTIM, "ANNA@Example.COM"])
    async def test_of_an_account_opens_it_to_nobody(
        self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str, verified: bool, spelt: str
    ) -> None:
        anna = await stage.register(tab)
        async with stage.nothing_made():
            mallory = somebody("Mallory", spelt, email_verified=verified)
            page = await stage.sign_in(elsewhere, provider, mallory, "/there")
        assert (page.url.path, error_of(page)) == ("/there", "email_owned_by_other_method")
        assert await stage.who(elsewhere) is None
        assert (await anna.get("/users/me"))["identities"] == []

    async def test_of_an_account_at_another_provider_opens_it_to_nobody(
        self, stage: Stage, tab: Tab, elsewhere: Tab
    ) -> None:
        await stage.sign_in(tab, "google", somebody())
        async with stage.nothing_made():
            page = await stage.sign_in(elsewhere, "acme", somebody("Mallory"))
        assert error_of(page) == "email_owned_by_other_method"

    async def test_can_be_linked_by_its_owner_from_the_settings(self, stage: Stage, tab: Tab, provider: str) -> None:
        anna, known_there = await stage.register(tab), somebody()
        assert error_of(await stage.link(tab, provider, known_there)) is None
        assert error_of(await stage.sign_in(tab, provider, known_there)) is None
        assert (await stage.me(tab))["id"] == anna.id

    async def test_that_changes_at_the_provider_moves_nobody(
        self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str
    ) -> None:
        mallory = somebody("Mallory", "mallory@example.com")
        await stage.sign_in(elsewhere, provider, mallory)
        before = await stage.me(elsewhere)
        anna = await stage.register(tab)
        assert (
            error_of(await stage.sign_in(elsewhere, provider, type(mallory)(mallory.subject, "Anna", VICTIM))) is None
        )
        after = await stage.me(elsewhere)
        assert (after["id"], after["email"]) == (before["id"], before["email"])
        assert after["id"] != anna.id

    async def test_registered_by_somebody_else_first_gives_them_nothing(
        self, stage: Stage, tab: Tab, elsewhere: Tab, provider: str, mailbox: Mailbox
    ) -> None:
        """Pre-hijack: Mallory registers Anna's address, links a provider of hers, and waits for Anna."""
        await stage.register(elsewhere, VICTIM, "Mallory")
        mallorys = somebody("Mallory", "mallory@example.com")
        await stage.link(elsewhere, provider, mallorys)
        assert error_of(await stage.sign_in(tab, provider, somebody())) == "email_owned_by_other_method"
        await tab.fetch("POST", stage.at("/api/v1/auth/password/forgot"), json={"email": VICTIM})
        token = token_in(await mailbox.next_to(VICTIM, count=2))
        body: dict[str, Any] = {"token": token, "new_password": "one that Mallory never saw"}
        assert (await tab.fetch("POST", stage.at("/api/v1/auth/password/reset"), json=body)).status == 204
        body = {"email": VICTIM, "password": body["new_password"]}
        assert (await tab.fetch("POST", stage.at("/api/v1/auth/login"), json=body)).status == 200
        annas = await stage.me(tab)
        assert annas["identities"] == []
        assert await stage.who(elsewhere) is None
        await stage.sign_in(elsewhere, provider, mallorys)
        assert (await stage.me(elsewhere))["id"] != annas["id"]


class TestASubject:
    async def test_of_another_provider_is_another_person(self, trap: Trap, tab: Tab, elsewhere: Tab) -> None:
        assert await trap.come(tab, "good") is None
        trap.evil.people["anna"]["email"] = "other@example.com"
        assert await trap.come(elsewhere, "evil") is None
        accounts, identities, _ = await trap.made()
        assert (accounts, identities) == (2, 2)

    async def test_of_another_issuer_under_the_same_name_is_another_person(self, start_service: StartService) -> None:
        async with HostileProvider() as old, HostileProvider() as new, Browser() as browser:
            ids = []
            for number, issuer in enumerate((old, new, old)):
                issuer.people["anna"]["email"] = f"anna{number % 2}@example.com"
                service = await start_service(providers={"corp": issuer.settings()})
                tab = browser.tab()
                await tab.visit(f"{service.url}/api/v1/auth/oauth/corp?redirect_to=/there")
                assert tab.page.url.query_string == ""
                page = await tab.fetch("POST", f"{service.url}/api/v1/auth/refresh")
                ids.append(page.text.split('"user":{"id":"')[1][:36])
            assert ids[0] == ids[2] != ids[1]

    @pytest.mark.one_database
    @pytest.mark.parametrize("twist", [str.upper, lambda subject: f" {subject}", lambda subject: f"{subject}\u200b"])
    async def test_is_the_same_to_the_letter(self, trap: Trap, tab: Tab, twist: Callable[[str], str]) -> None:
        async with Browser() as victims:
            await trap.come(victims.tab())
        before = (await trap.made())[0]
        trap.evil.people["anna"] |= {"sub": twist("subject-of-anna"), "email": "other@example.com"}
        error = await trap.come(tab)
        assert (await trap.made())[0] == before + (error is None)


class TestAtOnce:
    async def test_a_first_sign_in_of_two_tabs_makes_one_account(
        self, stage: Stage, browser: Browser, provider: str
    ) -> None:
        anna, tabs = somebody(), [browser.tab() for _ in range(4)]
        held = [await stage.sign_in(tab, provider, anna, hold="/callback") for tab in tabs]
        await asyncio.gather(*(tab.visit(page.url) for tab, page in zip(tabs, held, strict=True)))
        assert [error_of(stage.landed(tab)) for tab in tabs] == [None] * 4
        assert await stage.made() == (1, 1, 4)

    async def test_two_with_one_address_make_one_account(self, stage: Stage, browser: Browser) -> None:
        tabs = {name: browser.tab() for name in ("kakao", "acme")}
        held = {name: await stage.sign_in(tab, name, somebody(), hold="/callback") for name, tab in tabs.items()}
        await asyncio.gather(*(tab.visit(held[name].url) for name, tab in tabs.items()))
        errors = {error_of(stage.landed(tab)) for tab in tabs.values()}
        assert errors == {None, "email_owned_by_other_method"}
        assert await stage.made() == (1, 1, 1)

    async def test_one_identity_linked_to_two_is_one_s(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        shared = somebody(email=None)
        people = [await stage.register(tab), await stage.register(elsewhere, "boris@example.com", "Boris")]
        held = [await stage.link(each, "kakao", shared, hold="/callback") for each in (tab, elsewhere)]
        await asyncio.gather(tab.visit(held[0].url), elsewhere.visit(held[1].url))
        errors = {error_of(stage.landed(each)) for each in (tab, elsewhere)}
        assert errors == {None, "identity_taken"}
        linked = [len((await person.get("/users/me"))["identities"]) for person in people]
        assert sorted(linked) == [0, 1]


ASTRAY = [
    "//evil.example", "///evil.example", "////evil.example", "\\\\evil.example", "/\\evil.example", "\\/evil.example",
    "https:evil.example", "https:/evil.example", "https:///evil.example", "http:\\\\evil.example", "https://evil.example",
    "HTTPS://EVIL.EXAMPLE", "//evil.example/%2f..", "/\t/evil.example", "/\n/evil.example", "/\r/evil.example",
    "\t//evil.example", " //evil.example", "/ /evil.example", "\u00a0//evil.example", "/\u2028/evil.example",
    "/\x00/evil.example", "\x01//evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)",
    "data:text/html,<script>", "vbscript:x", "blob:https://app.example.com/1", "file:///etc/passwd",
    "https://app.example.com@evil.example", "https://app.example.com:x@evil.example", "https://app.example.com.evil.example",
    "https://app.example.com%2eevil.example", "https://app.example.com%00.evil.example",
    "https://app.example.com\\@evil.example", "https://evil.example#https://app.example.com",
    "https://evil.example?https://app.example.com", "https://app.example.com:8443/", "http://app.example.com/",
    "https://user@app.example.com/", "https://app.example.com。evil.example", "//app.example.com", "app.example.com",
    "evil.example", "", "?x=1", "#x", "..//evil.example", "/x\r\nSet-Cookie: a=b", "/" + "a" * 2048,
    "https://[::1", "https://app.example.com evil.example", "ftp://app.example.com/", "null",
]  # fmt: skip
HARMLESS = ["/%2f%2fevil.example", "/%5cevil.example", "/.//evil.example", "/..//evil.example"]


class TestTheWayBack:
    @pytest.mark.one_database
    async def test_leads_nowhere_else(self, stage: Stage) -> None:
        taken = []
        for place in ASTRAY:
            spelt = quote(place, safe="", errors="surrogatepass")
            path = f"/api/v1/auth/oauth/kakao?redirect_to={spelt}"
            async with stage.service.http.get(URL(path, encoded=True), allow_redirects=False) as answer:
                told = await answer.json() if answer.content_type.endswith("json") else {}
                fields = [error["field"] for error in told.get("errors", [])]
                if (answer.status, fields) not in ((422, ["redirect_to"]), (400, [])):
                    taken.append((place, answer.status, answer.headers.get("Location"), told))
        assert taken == []
        assert (await stage.made()) == (0, 0, 0)

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        "place", ["/%2f%2fevil.example", "/%5cevil.example", "/.//evil.example", "/..//evil.example"]
    )
    async def test_stays_here_however_a_path_is_spelt(self, stage: Stage, tab: Tab, place: str) -> None:
        for person in (somebody(email=None), None):
            await stage.sign_in(tab, "kakao", person, place)
            assert {url.host for url in tab.trail} == {"127.0.0.1"}
            assert stage.landed(tab).url.authority == stage.site

    @pytest.mark.one_database
    async def test_cannot_be_changed_at_the_callback(self, stage: Stage, tab: Tab) -> None:
        held = await stage.sign_in(tab, "kakao", somebody(), "/there", hold="/callback")
        await tab.visit(held.url.update_query(redirect_to="https://evil.example", link="1", next="//evil.example"))
        assert str(stage.landed(tab).url) == f"{stage.service.url}/there"

    @pytest.mark.one_database
    async def test_tells_no_secret_to_logs_or_pages(
        self, stage: Stage, tab: Tab, capfd: pytest.CaptureFixture[str], provider: str
    ) -> None:
        held = await stage.sign_in(tab, provider, somebody(), "/there", hold="/callback")
        await tab.visit(held.url)
        await tab.visit(held.url)
        written = "".join(capfd.readouterr())
        tokens = [*stage.kakao.access, *stage.kakao.refreshing, *stage.naver.access, *stage.naver.refreshing]
        for secret in (held.url.query["code"], held.url.query["state"], VICTIM, *tokens):
            assert secret not in written
            assert secret not in str(stage.landed(tab).url)
