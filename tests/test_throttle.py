"""How often somebody may do something: at the limit, beyond it, later, together with other nodes, and without Redis."""

import ast
import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine
from limits.aio.storage import MemoryStorage

from src.app import CONTROLLERS, NAMESPACES
from src.controllers.api import routes_of
from src.controllers.serving import policies_of
from src.controllers.socket_edge import events_of
from src.errors import RateLimited
from src.services import throttle as module
from src.services.throttle import POLICIES, Throttle, fingerprint
from src.viewer import network_of

from .accounts import account
from .cast import PASSWORD, Cast
from .conftest import Mailbox

SOURCES = Path(module.__file__).parents[1]
Make = Callable[..., Throttle]
MIDNIGHT = 1_800_000_000 // 3600 * 3600 + 0.25  # windows are counted from the epoch: soon after one has begun


def asked_for_by_name() -> set[str]:
    """The policies that some line of ours counts under: `….hit("messages", …)`."""
    calls = (node for file in SOURCES.rglob("*.py") for node in ast.walk(ast.parse(file.read_text())))
    return {
        call.args[0].value
        for call in calls
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "hit"
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def test_every_policy_is_applied_and_every_one_applied_exists() -> None:
    routes = {policy for each in CONTROLLERS for route in routes_of(each) for policy in policies_of(route)}
    events = {event.limit for each in NAMESPACES for event in events_of(each) if event.limit}
    assert routes | events | asked_for_by_name() == POLICIES.keys()


@pytest.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """Makes throttles with a policy `tiny`, three a second."""
    monkeypatch.setitem(POLICIES, "tiny", (3, 1))
    made: list[Throttle] = []

    def throttle(redis_url: str = "", on: bool = True) -> Throttle:
        made.append(Throttle(on, redis_url))
        return made[-1]

    yield throttle
    for one in made:
        await one.close()


async def hits(throttle: Throttle, policy: str, *keys: str, times: int = 1000) -> int:
    """How many pass before one is refused."""
    for count in range(times):
        try:
            await throttle.hit(policy, *keys)
        except RateLimited:
            return count
    return times


class TestInThisProcess:
    @pytest.mark.parametrize("policy", POLICIES)
    async def test_the_limit_passes_and_one_more_does_not_until_later(self, make: Make, policy: str) -> None:
        amount, seconds = POLICIES[policy]
        throttle = make()
        with time_machine.travel(MIDNIGHT, tick=False) as clock:
            assert await hits(throttle, policy, "anna") == amount
            with pytest.raises(RateLimited) as refused:
                await throttle.hit(policy, "anna")
            assert refused.value.limit == amount
            wait = refused.value.retry_after_ms
            assert wait is not None and 0 < wait <= seconds * 1000
            assert await hits(throttle, policy, "boris") == amount, "others are counted apart"
            clock.shift(wait / 1000 + 0.001)
            await throttle.hit(policy, "anna")
            clock.shift(2 * seconds)
            assert await hits(throttle, policy, "anna") == amount

    async def test_a_steady_rate_passes_for_ever(self, make: Make) -> None:
        throttle = make()
        with time_machine.travel(MIDNIGHT, tick=False) as clock:
            for _ in range(200):
                await throttle.hit("messages", "anna")
                clock.shift(0.21)

    async def test_of_many_at_once_exactly_the_limit_pass(self, make: Make) -> None:
        throttle = make()
        with time_machine.travel(MIDNIGHT, tick=False):
            results = await asyncio.gather(
                *(throttle.hit("messages", "anna") for _ in range(50)), return_exceptions=True
            )
        assert results.count(None) == 20

    async def test_to_check_counts_nothing_and_to_forget_begins_anew(self, make: Make) -> None:
        throttle = make()
        with time_machine.travel(MIDNIGHT, tick=False):
            for _ in range(10):
                await throttle.check("tiny", "anna")
            assert await hits(throttle, "tiny", "anna") == 3
            with pytest.raises(RateLimited):
                await throttle.check("tiny", "anna")
            await throttle.forget("tiny", "anna")
            assert await hits(throttle, "tiny", "anna") == 3

    async def test_keys_are_looked_through_seldom_and_forgotten_in_the_end(self, make: Make) -> None:
        throttle = make()
        storage = throttle._local.storage
        assert isinstance(storage, MemoryStorage)
        with time_machine.travel(MIDNIGHT, tick=False) as clock:
            for number in range(500):
                await throttle.hit("tiny", f"person {number}")
            assert len(storage.storage) == 500 and storage.timer is None, "no task for each of them"
            clock.shift(120)
            await throttle.hit("tiny", "anna")
            assert len(storage.storage) == 1 and len(storage.locks) == 1

    async def test_off_it_counts_nothing(self, make: Make) -> None:
        throttle = make(on=False)
        assert await hits(throttle, "tiny", "anna") == 1000
        await throttle.check("tiny", "anna")

    async def test_an_unknown_policy_is_a_mistake_of_ours(self, make: Make) -> None:
        with pytest.raises(KeyError):
            await make().hit("no such policy", "anna")


class TestInRedis:
    async def test_nodes_count_together(self, make: Make, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(POLICIES, "tiny", (6, 3600))
        here, there = make(redis_url), make(redis_url)
        for node in (here, there) * 3:
            await node.hit("tiny", "anna")
        for node in (here, there):
            with pytest.raises(RateLimited) as refused:
                await node.hit("tiny", "anna")
            assert refused.value.limit == 6 and refused.value.retry_after_ms
        assert not here._local.storage.storage, "nothing was counted here"

    async def test_after_the_window_it_passes_again(self, make: Make, redis_url: str) -> None:
        throttle = make(redis_url)
        assert await hits(throttle, "tiny", "anna") >= 3
        async with asyncio.timeout(5):
            while True:
                try:
                    return await throttle.hit("tiny", "anna")
                except RateLimited as refused:
                    await asyncio.sleep((refused.retry_after_ms or 0) / 1000)

    async def test_without_redis_each_node_counts_for_itself(
        self, make: Make, capsys: pytest.CaptureFixture[str]
    ) -> None:
        throttle = make("redis://127.0.0.1:1")
        with time_machine.travel(MIDNIGHT, tick=False):
            assert await hits(throttle, "tiny", "anna") == 3
        assert capsys.readouterr().out.count("Redis does not count") == 1, "one line, not one for each hit"

    async def test_a_redis_that_says_nothing_is_not_waited_for_twice(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        met: list[Any] = []
        silent = await asyncio.start_server(lambda reader, writer: met.append(writer), "127.0.0.1", 0)
        throttle = make(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
        monkeypatch.setattr(module, "REDIS_SECONDS", 0.1)
        for _ in range(3):
            await throttle.hit("tiny", "anna")
        assert len(met) == 1
        silent.close()
        for writer in met:
            writer.close()

    async def test_no_address_lies_about_in_redis(self) -> None:
        assert "anna" not in fingerprint("anna@example.com") and fingerprint("a") != fingerprint("b")


class TestAddresses:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("unknown", "unknown"),
        ],
    )
    def test_a_subscriber_of_ipv6_counts_as_one(self, address: str, network: str) -> None:
        assert network_of(address) == network


@pytest.fixture
async def limited(start_service: Any) -> AsyncIterator[Cast]:
    """A service that counts, behind a proxy on this machine, so that people have addresses."""
    cast = Cast(await start_service(rate_limits="on", trusted_proxies=["127.0.0.1/32"]))
    yield cast
    await cast.leave()


async def login(cast: Cast, password: str, address: str, email: str = "anna@example.com") -> Any:
    headers = {"X-Forwarded-For": address}
    return await cast.anonymous.raw("POST", "/auth/login", {"email": email, "password": password}, headers=headers)


class TestGuessing:
    """Verification 4b.5: guessing is slow, and locks nobody out."""

    async def test_ten_failures_of_an_account_from_an_address_are_enough(self, limited: Cast) -> None:
        await limited.anonymous.post("/auth/register", account("Anna"), headers={"X-Forwarded-For": "192.0.2.1"})
        answers = [await login(limited, "not my password", "198.51.100.1") for _ in range(12)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        refused = answers[-1]
        assert refused.json["code"] == "rate_limited" and refused.json["retry_after_ms"] > 0
        assert int(refused.headers["Retry-After"]) > 0
        assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("10", "0")
        assert int(refused.headers["RateLimit-Reset"]) > 0
        assert (await login(limited, PASSWORD, "198.51.100.1")).status == 429, "nor the right one, from there"
        assert (await login(limited, PASSWORD, "192.0.2.1")).status == 200, "its owner gets in from home"

    async def test_an_address_that_nobody_has_is_counted_alike(self, limited: Cast) -> None:
        statuses = [(await login(limited, "not my password", "198.51.100.1")).status for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2

    async def test_guesses_from_everywhere_do_not_lock_the_owner_out(self, limited: Cast) -> None:
        await limited.anonymous.post("/auth/register", account("Anna"), headers={"X-Forwarded-For": "192.0.2.1"})
        statuses = [(await login(limited, "not my password", f"198.51.100.{number}")).status for number in range(60)]
        assert statuses == [401] * 50 + [429] * 10
        assert (await login(limited, PASSWORD, "203.0.113.1")).status == 429, "from a place that it never used"
        assert (await login(limited, PASSWORD, "192.0.2.1")).status == 200, "from where it signed in before"

    async def test_another_address_of_the_owners_ipv6_network_is_home_too(self, limited: Cast) -> None:
        home = {"X-Forwarded-For": "2001:db8::1"}
        await limited.anonymous.post("/auth/register", account("Anna"), headers=home)
        for _ in range(POLICIES["login_per_account"][0]):
            await limited.service.parts.throttle.hit("login_per_account", fingerprint("anna@example.com"))
        assert (await login(limited, PASSWORD, "2001:db8:0:1::1")).status == 429, "a neighbour's network"
        answer = await login(limited, PASSWORD, "2001:db8::abcd")
        assert answer.status == 200, "from where it signed in before"
        me = limited.anonymous
        me.token = answer.json["access_token"]
        addresses = {device["address"] for device in (await me.get("/auth/sessions"))["items"]}
        assert addresses == {"2001:db8::1", "2001:db8::abcd"}, "shown as they are"

    async def test_one_address_that_tries_many_accounts_is_stopped(self, limited: Cast) -> None:
        statuses = [
            (await login(limited, "not my password", "198.51.100.1", f"person{number}@example.com")).status
            for number in range(105)
        ]
        assert statuses == [401] * 100 + [429] * 5
        assert (await login(limited, "not my password", "198.51.100.2", "person1@example.com")).status == 401

    async def test_signing_in_well_and_often_is_no_guessing(self, limited: Cast) -> None:
        await limited.anonymous.post("/auth/register", account("Anna"))
        assert [(await login(limited, PASSWORD, "192.0.2.1")).status for _ in range(15)] == [200] * 15

    async def test_guessing_the_current_password_with_a_stolen_token_is_slow_too(self, limited: Cast) -> None:
        anna = await limited.join("Anna")
        body = {"current_password": "a guess", "new_password": "한강에서 라면 먹기"}
        statuses = [(await anna.raw("PUT", "/auth/password", body)).status for _ in range(12)]
        assert statuses == [401] * 10 + [429] * 2


class TestSearchingAndOpeningRooms:
    async def test_thirty_searches_a_minute(self, limited: Cast) -> None:
        anna = await limited.join("Anna")
        answers = [await anna.raw("GET", "/users?q=b") for _ in range(33)]
        assert [answer.status for answer in answers[:30]] == [200] * 30
        assert (answers[-1].status, answers[-1].json["code"]) == (429, "rate_limited")

    async def test_twenty_rooms_an_hour(self, limited: Cast) -> None:
        anna, boris = await limited.join("Anna"), await limited.join("Boris")
        answers = [await anna.raw("POST", "/rooms", {"kind": "direct", "user_id": boris.id}) for _ in range(23)]
        assert [answer.status for answer in answers[:20]] == [201] + [200] * 19
        assert (answers[-1].status, answers[-1].json["code"]) == (429, "rate_limited")


class TestAskingForMails:
    async def test_five_an_hour_to_an_account_and_nobody_is_told(self, limited: Cast, mailbox: Mailbox) -> None:
        await limited.join("Anna")
        await mailbox.next_to("anna@example.com")  # which confirms the address
        for email in ("anna@example.com", "nobody@example.com"):
            for number in range(7):
                here = {"X-Forwarded-For": f"198.51.100.{number}"}
                await limited.anonymous.post("/auth/password/forgot", {"email": email}, headers=here, expect=202)
        await mailbox.next_to("anna@example.com", count=6)
        await asyncio.sleep(0.5)
        assert len(mailbox.mails) == 6

    async def test_twenty_an_hour_from_an_address(self, limited: Cast) -> None:
        statuses = [
            (await limited.anonymous.raw("POST", "/auth/password/forgot", {"email": f"p{number}@example.com"})).status
            for number in range(22)
        ]
        assert statuses == [202] * 20 + [429] * 2

    async def test_resending_is_counted_with_them(self, limited: Cast) -> None:
        anna = await limited.join("Anna")
        statuses = [(await anna.raw("POST", "/auth/email/resend")).status for _ in range(6)]
        assert statuses == [202] * 5 + [429]

    async def test_ten_accounts_an_hour_from_an_address(self, limited: Cast) -> None:
        statuses = [
            (await limited.anonymous.raw("POST", "/auth/register", account(f"Person{number}"))).status
            for number in range(11)
        ]
        assert statuses == [201] * 10 + [429]
        elsewhere = {"X-Forwarded-For": "2001:db8::1"}
        assert (
            await limited.anonymous.raw("POST", "/auth/register", account("Boris"), headers=elsewhere)
        ).status == 201


async def test_with_redis_gone_people_still_sign_in(start_service: Any) -> None:
    cast = Cast(await start_service(rate_limits="on", redis_url="redis://127.0.0.1:1"))
    anna = await cast.join("Anna")
    assert (await cast.sign_in(anna.email)).id == anna.id
