"""A push service, a browser that subscribed there, and who sends to it: the sender alone, or a whole service."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from src.origins import origin_of
from src.push.endpoints import Subscription
from src.push.failures import PushFailed
from src.push.sender import PushSender
from src.push.vapid import VapidKey
from src.services.ladder import Ladder
from tests.cast import Cast
from tests.conftest import StartService

from .service import Browser, PushService
from .stage import Pair, Stage

SUBJECT = "mailto:chatty@example.com"


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with PushService() as service:
        yield service
    assert service.faults == []


@pytest.fixture
def key() -> VapidKey:
    return VapidKey.generate()


@pytest.fixture
def browser(service: PushService, key: VapidKey) -> Browser:
    return service.subscribe(key.public_key)


@pytest.fixture
async def sender(service: PushService, key: VapidKey) -> AsyncIterator[PushSender]:
    sender = PushSender(key, SUBJECT, {origin_of(service.url)})
    yield sender
    await sender.close()


@pytest.fixture
async def post() -> AsyncIterator[PushService]:
    async with PushService() as service:
        yield service
    assert service.faults == []


@pytest.fixture
async def stage(
    start_service: StartService, post: PushService, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Without the ladder, which would tell of the same lines once the clock is moved."""

    async def idle(_: Ladder) -> bool:
        return False

    monkeypatch.setattr(Ladder, "work", idle)
    service = await start_service(notifications={"push_origins": post.url})
    cast = Cast(service)
    yield Stage(service, cast, post)
    await cast.leave()


@pytest.fixture
async def pair(stage: Stage) -> Pair:
    anna, boris = await stage.friends("Anna", "Boris")
    return anna, boris, await stage.cast.direct_room(anna, boris)


def subscription(browser: Browser) -> Subscription:
    return Subscription(browser.endpoint, browser.p256dh, browser.auth)


async def send(sender: PushSender, to: Browser | Subscription, payload: bytes = b"{}", **how: Any) -> None:
    where = subscription(to) if isinstance(to, Browser) else to
    await sender.send(where, payload, **{"topic": None, "ttl": 60, "urgency": "normal"} | how)


async def failed(sender: PushSender, to: Browser | Subscription) -> PushFailed:
    with pytest.raises(PushFailed) as failure:
        await send(sender, to)
    return failure.value
