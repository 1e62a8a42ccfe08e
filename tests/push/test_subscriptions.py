"""PUT and DELETE /notifications/push: which browsers take pushes, and for how long."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from src.clock import now
from src.push.vapid import vapid_key
from src.services.housekeeping import Housekeeping
from src.services.throttle import POLICIES
from tests.cast import Cast, Person, Service
from tests.conftest import StartService

from .service import Browser, PushService

ELSEWHERE = "https://push.example.com/a/browser?x=1"


@pytest.fixture
async def post() -> Any:
    async with PushService() as service:
        yield service


@pytest.fixture
async def service(start_service: StartService, post: PushService) -> Service:
    return await start_service(notifications={"push_origins": post.url})


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


async def new_browser(post: PushService, person: Person) -> Browser:
    browser = post.subscribe((await person.get("/notifications/push/key"))["key"])
    await person.put("/notifications/push", browser.subscription(), expect=204)
    return browser


async def living(service: Service, person: Person) -> list[Any]:
    async with service.parts.database.snapshot() as reads:
        found = await reads.push_subscriptions.living([UUID(person.id)], now())
    return found.get(UUID(person.id), [])


async def endpoints(service: Service, person: Person) -> list[str]:
    return [row.endpoint for row in await living(service, person)]


class TestTheKey:
    async def test_is_the_one_that_follows_from_the_secret(self, service: Service, anna: Person) -> None:
        key = (await anna.get("/notifications/push/key"))["key"]
        assert key == vapid_key("", service.settings.signing_key).public_key

    async def test_is_one_on_all_nodes_that_share_the_secret(self, start_service: StartService, cast: Cast) -> None:
        secret = {"secret_key": "한글도 되는 비밀, 서른두 바이트보다 길다"}
        keys = {(await start_service(**secret)).parts.notifying.push_subscriptions.key for _ in range(2)}
        assert len(keys) == 1
        assert keys != {cast.service.parts.notifying.push_subscriptions.key}


class TestSubscribing:
    async def test_is_the_same_however_often(self, service: Service, anna: Person, post: PushService) -> None:
        browser = await new_browser(post, anna)
        (before,) = await living(service, anna)
        await anna.put("/notifications/push", {**browser.subscription(), "expirationTime": None}, expect=204)
        (after,) = await living(service, anna)
        assert (after.id, after.endpoint, after.p256dh, after.auth) == (before.id, *subscription(browser))

    async def test_takes_new_keys_of_the_same_browser(self, service: Service, anna: Person, post: PushService) -> None:
        browser, other = await new_browser(post, anna), post.subscribe("")
        await anna.put("/notifications/push", {**other.subscription(), "endpoint": browser.endpoint}, expect=204)
        (row,) = await living(service, anna)
        assert (row.endpoint, row.p256dh, row.auth) == (browser.endpoint, other.p256dh, other.auth)

    async def test_moves_a_browser_to_whoever_signs_in_there_next(
        self, service: Service, cast: Cast, anna: Person, post: PushService
    ) -> None:
        browser, boris = await new_browser(post, anna), await cast.join("Boris")
        await boris.put("/notifications/push", browser.subscription(), expect=204)
        assert await endpoints(service, anna) == []
        assert await endpoints(service, boris) == [browser.endpoint]

    async def test_moves_a_browser_to_the_session_that_made_it_known_last(
        self, service: Service, anna: Person, post: PushService
    ) -> None:
        browser, device = await new_browser(post, anna), await anna.another_device()
        await device.put("/notifications/push", browser.subscription(), expect=204)
        await anna.post("/auth/logout", expect=204)
        assert await endpoints(service, device) == [browser.endpoint]

    async def test_forgets_the_one_made_known_longest_ago(
        self, service: Service, anna: Person, post: PushService
    ) -> None:
        with time_machine.travel(now(), tick=False) as clock:
            browsers = []
            for _ in range(20):
                clock.shift(1)
                browsers.append(await new_browser(post, anna))
            clock.shift(1)
            await anna.put("/notifications/push", browsers[0].subscription(), expect=204)
            clock.shift(1)
            newest = await new_browser(post, anna)
        known = await endpoints(service, anna)
        assert known == [*(each.endpoint for each in browsers[2:]), browsers[0].endpoint, newest.endpoint]

    @pytest.mark.one_database
    @pytest.mark.parametrize(
        ("change", "field", "sentence"),
        [
            ({"endpoint": "http://push.example.com/x"}, "endpoint", "must be at a push service on the internet"),
            ({"endpoint": "https://127.0.0.1/x"}, "endpoint", "must be at a push service on the internet"),
            ({"endpoint": "https://push.example.com:8443/x"}, "endpoint", "must be at a push service on the internet"),
            ({"endpoint": "https://push.example.com/#x"}, "endpoint", "has a fragment"),
            ({"endpoint": "nonsense"}, "endpoint", "is no address"),
            ({"endpoint": "x" * 3000}, "endpoint", ""),
            ({"keys": {"p256dh": "BBBB", "auth": "A" * 22}}, "keys.p256dh", "point of P-256"),
            ({"auth": "AAAA"}, "keys.auth", "16 bytes in base64url"),
            ({"keys": {"p256dh": "x", "auth": "y", "z": ""}}, "keys.z", ""),
            ({"surprise": 1}, "surprise", ""),
        ],
    )
    async def test_says_which_field_is_wrong(
        self, anna: Person, post: PushService, change: dict[str, Any], field: str, sentence: str
    ) -> None:
        body = post.subscribe("").subscription()
        if "auth" in change:
            body["keys"]["auth"] = change["auth"]
        else:
            body |= change
        answer = await anna.raw("PUT", "/notifications/push", body)
        assert answer.status == 422, answer.json
        assert field in [error["field"] for error in answer.json["errors"]]
        assert sentence in json.dumps(answer.json["errors"])

    @pytest.mark.one_database
    async def test_is_throttled(self, start_service: StartService, post: PushService) -> None:
        cast = Cast(await start_service(rate_limits="on"))
        anna = await cast.join("Anna")
        amount, _ = POLICIES["push_subscriptions"]
        body = {"endpoint": ELSEWHERE}
        statuses = [(await anna.raw("DELETE", "/notifications/push", body)).status for _ in range(amount + 1)]
        assert (statuses[:-1], statuses[-1]) == ([204] * amount, 429)


class TestUnsubscribing:
    async def test_ends_it_by_the_endpoint_alone_or_all_that_a_browser_has(
        self, service: Service, anna: Person, post: PushService
    ) -> None:
        one, other = await new_browser(post, anna), await new_browser(post, anna)
        await anna.delete("/notifications/push", {"endpoint": one.endpoint}, expect=204)
        assert await endpoints(service, anna) == [other.endpoint]
        await anna.delete("/notifications/push", {**other.subscription(), "expirationTime": 7.5}, expect=204)
        assert await endpoints(service, anna) == []
        await anna.delete("/notifications/push", {"endpoint": one.endpoint}, expect=204)

    async def test_ends_nobody_elses(self, service: Service, cast: Cast, anna: Person, post: PushService) -> None:
        browser, mallory = await new_browser(post, anna), await cast.join("Mallory")
        await mallory.delete("/notifications/push", {"endpoint": browser.endpoint}, expect=204)
        assert await endpoints(service, anna) == [browser.endpoint]


class TestASessionsEnd:
    async def test_ends_its_browsers_alone(self, service: Service, anna: Person, post: PushService) -> None:
        mine, device = await new_browser(post, anna), await anna.another_device()
        await new_browser(post, device)
        await device.post("/auth/logout", expect=204)
        assert await endpoints(service, anna) == [mine.endpoint]

    async def test_that_another_device_wanted_counts_too(
        self, service: Service, anna: Person, post: PushService
    ) -> None:
        await new_browser(post, anna)
        await (await anna.another_device()).delete("/auth/sessions", expect=204)
        assert await endpoints(service, anna) == []

    async def test_by_its_age_counts_too(self, service: Service, anna: Person, post: PushService) -> None:
        await new_browser(post, anna)
        with time_machine.travel(now() + timedelta(days=service.settings.session_days, minutes=1)):
            assert await endpoints(service, anna) == []

    async def test_is_swept_up_after(self, service: Service, anna: Person, post: PushService) -> None:
        mine, device = await new_browser(post, anna), await anna.another_device()
        await new_browser(post, device)
        await device.post("/auth/logout", expect=204)
        assert await stored(service) == 2
        await Housekeeping(service.parts.database, timedelta(days=90)).sweep()
        assert await stored(service) == 1
        assert await endpoints(service, anna) == [mine.endpoint]

    async def test_with_the_account_leaves_no_row(self, service: Service, anna: Person, post: PushService) -> None:
        await new_browser(post, anna)
        await anna.delete("/users/me", {"password": anna.password}, expect=204)
        assert await stored(service) == 0


def subscription(browser: Browser) -> tuple[str, str, str]:
    return browser.endpoint, browser.p256dh, browser.auth


async def stored(service: Service) -> int:
    from sqlalchemy import func, select

    from src.db.models import PushSubscription

    async with service.parts.database.snapshot() as reads:
        return int(await reads._connection.scalar(select(func.count()).select_from(PushSubscription)) or 0)
