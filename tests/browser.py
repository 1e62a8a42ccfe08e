"""A browser without a window: cookies as RFC 6265bis has them, redirects one by one, tabs with a history.

On loopback every server is 127.0.0.1, so here a port stands for a site: what another port began is cross-site.
"""

import html
import re
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from http.cookies import Morsel, SimpleCookie
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from yarl import URL

MAX_STEPS = 30


class Page(NamedTuple):
    """Where a tab is. `status` is 0 for an address that was not asked: outside of loopback, or held back."""

    url: URL
    status: int
    headers: Mapping[str, str]
    text: str


class Jar:
    """The cookies of every site, under (site, path, name)."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], Morsel[str]] = {}
        self.refused: list[str] = []

    def keep(self, url: URL, headers: Any) -> None:
        """Take what an answer sets. A `__Host-` cookie needs https, Path=/ and no Domain; Secure needs https."""
        for line in headers.getall("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                path = cookie["path"] or "/"
                bound = path == "/" and cookie["secure"] and not cookie["domain"]
                if (cookie["secure"] and url.scheme != "https") or (name.startswith("__Host-") and not bound):
                    self.refused.append(line)
                elif cookie["max-age"] == "0" or "1970" in cookie["expires"]:
                    self.kept.pop((_site(url), path, name), None)
                else:
                    self.kept[(_site(url), path, name)] = cookie

    def sent(self, url: URL, *, same_site: bool, safe: bool) -> dict[str, str]:
        """What goes along: Strict only if the own site began it, Lax also with a link from elsewhere."""
        return {
            name: cookie.coded_value
            for (site, path, name), cookie in self.kept.items()
            if site == _site(url) and _within(url.path, path) and _may(cookie["samesite"], same_site, safe)
        }

    def named(self, url: URL | str, name: str) -> Morsel[str] | None:
        """A cookie of a site, whatever its path."""
        return next((c for (site, _, n), c in self.kept.items() if (site, n) == (_site(URL(str(url))), name)), None)

    def clear(self) -> None:
        """As somebody does who deletes all cookies."""
        self.kept.clear()


class Browser:
    """`async with Browser() as browser: page = await browser.tab().visit(url)`. `cookies_off` keeps none."""

    def __init__(self, *, cookies_off: bool = False) -> None:
        self.jar = Jar()
        self.language = "ko-KR,ko;q=0.9,en;q=0.8"
        self._cookies_off = cookies_off
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._http = await self._closing.enter_async_context(session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    def tab(self) -> "Tab":
        """A further tab: the cookies are shared, the history is its own."""
        return Tab(self)

    async def ask(
        self, method: str, url: URL, *, same_site: bool, headers: Mapping[str, str] | None = None, **how: Any
    ) -> Page:
        """One request with the cookies that belong to it."""
        cookies = self.jar.sent(url, same_site=same_site, safe=method == "GET")
        crumbs = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        extra = {"Accept-Language": self.language, **crumbs, **(headers or {})}
        asked = self._http.request(method, url.with_fragment(None), allow_redirects=False, headers=extra, **how)
        async with asked as answer:
            if not self._cookies_off:
                self.jar.keep(url, answer.headers)
            return Page(url, answer.status, answer.headers, await answer.text())


class Tab:
    """`trail`: every address of the last navigation. `history`: the pages it stood on, the present one last."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.trail: list[URL] = []
        self.history: list[Page] = []

    @property
    def page(self) -> Page:
        return self.history[-1]

    async def visit(self, url: URL | str, *, hold: str | None = None) -> Page:
        """Type an address: nobody else began it. `hold`: stop before an address with this in its path is asked."""
        return await self._go("GET", _whole(url), begun_by=None, hold=hold)

    async def click(self, url: URL | str, *, hold: str | None = None, on: str | None = None) -> Page:
        """Follow a link of the page that is shown, or of one of the site `on`."""
        begun_by = on or _site(self.page.url)
        return await self._go("GET", self.page.url.join(_whole(url)) if self.history else _whole(url), begun_by, hold)

    async def submit(self, *, hold: str | None = None, **fields: str) -> Page:
        """Fill in and send the form that is shown."""
        form = re.search(r"<form[^>]*action=\"([^\"]*)\"(.*?)</form>", self.page.text, re.DOTALL)
        assert form, f"no form on {self.page.url}: {self.page.text[:300]}"
        hidden = re.findall(r"<input type=\"hidden\" name=\"([^\"]*)\" value=\"([^\"]*)\"", form[2])
        url = self.page.url.join(_whole(html.unescape(form[1])))
        return await self._go("POST", url, _site(self.page.url), hold, data=dict(hidden) | fields)

    async def back(self) -> Page:
        """Press the back button: the page before is asked again."""
        self.history.pop()
        return await self.visit(self.history.pop().url)

    async def fetch(self, method: str, url: URL | str, *, on: str | None = None, **how: Any) -> Page:
        """What a script of a page asks: by default of the asked site itself, else of the site `on`."""
        target = _whole(url)
        here = on or _site(target)
        headers = {"Origin": f"http://{here}"} | how.pop("headers", {})
        return await self.browser.ask(method, target, same_site=here == _site(target), headers=headers, **how)

    async def _go(self, method: str, url: URL, begun_by: str | None, hold: str | None, **how: Any) -> Page:
        self.trail = []
        same_site, passed = True, begun_by or _site(url)
        for _ in range(MAX_STEPS):
            same_site = same_site and _site(url) == passed  # once elsewhere, cross-site to the end
            self.trail.append(url)
            if url.host != "127.0.0.1" or (hold and hold in url.path):
                return self._stand(Page(url, 0, {}, ""))
            page = await self.browser.ask(method, url, same_site=same_site, **how)
            if page.status not in (301, 302, 303, 307, 308):
                return self._stand(page)
            if page.status in (301, 302, 303):
                method, how = "GET", {}
            url = url.join(_whole(page.headers["Location"]))
        raise AssertionError(f"it never ends: {self.trail[-4:]}")

    def _stand(self, page: Page) -> Page:
        self.history.append(page)
        return page


def link_on(page: Page, matching: Callable[[str], bool]) -> str:
    """The first link of a page that fits."""
    links = [html.unescape(link) for link in re.findall(r"<a[^>]*href=\"([^\"]*)\"", page.text)]
    return next(link for link in links if matching(link))


def _whole(url: URL | str) -> URL:
    return url if isinstance(url, URL) else URL(url, encoded=True)


def _site(url: URL) -> str:
    return f"{url.host}:{url.port}"


def _within(path: str, cookie_path: str) -> bool:
    return path == cookie_path or path.startswith(cookie_path.rstrip("/") + "/")


def _may(kind: str, same_site: bool, safe: bool) -> bool:
    return same_site or kind.lower() == "none" or (kind.lower() != "strict" and safe)
