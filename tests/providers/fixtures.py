"""Fixtures of the tests of signing in through others; conftest.py has them for all."""

from collections.abc import AsyncIterator, Iterator

import pytest

from ..browser import Browser, Tab
from .hostile import HostileProvider
from .kakao import Kakao
from .naver import Naver
from .oidc import Oidc, oidc_provider
from .stage import Stage
from .trap import Trap


@pytest.fixture(scope="session")
def oidc() -> Iterator[Oidc]:
    """One certified OpenID provider for all; people are told apart by their subjects."""
    with oidc_provider() as provider:
        yield provider


@pytest.fixture
async def kakao() -> AsyncIterator[Kakao]:
    async with Kakao() as stand_in:
        yield stand_in


@pytest.fixture
async def naver() -> AsyncIterator[Naver]:
    async with Naver() as stand_in:
        yield stand_in


@pytest.fixture
async def stage(start_service: object, oidc: Oidc, kakao: Kakao, naver: Naver) -> Stage:
    """A running service with all its providers."""
    from ..conftest import StartService

    start: StartService = start_service  # type: ignore[assignment]
    providers = {"kakao": kakao.settings(), "acme": oidc.settings("acme"), "naver": naver.settings()}
    service = await start(
        providers=providers | {"google": oidc.settings("google")}, allowed_origins=["https://app.example.com"]
    )
    return Stage(service, oidc, kakao, naver)


@pytest.fixture
async def trap(start_service: object) -> AsyncIterator[Trap]:
    """A running service, and a provider that means no good."""
    from ..conftest import StartService

    start: StartService = start_service  # type: ignore[assignment]
    async with HostileProvider() as evil, HostileProvider() as good:
        service = await start(providers={"evil": evil.settings(), "good": good.settings()})
        yield Trap(service, evil, good)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Anna's browser."""
    async with Browser() as opened:
        yield opened


@pytest.fixture
def tab(browser: Browser) -> Tab:
    """A tab of Anna's browser."""
    return browser.tab()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Tab]:
    """A tab of another browser, of somebody else or on another device."""
    async with Browser() as opened:
        yield opened.tab()
