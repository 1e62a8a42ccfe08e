"""Where pushes never go, whoever names it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src import public_addresses
from src.origins import origin_of
from src.push.failures import Refused, TryLater
from src.push.sender import PushSender
from src.push.vapid import VapidKey

from ..internet import Listener, Lookups, self_signed
from .conftest import SUBJECT, failed, send, subscription
from .service import Browser, PushService, redirect_to, status

METADATA = "http://169.254.169.254/latest/meta-data/"


class TestNever:
    @pytest.fixture
    async def stranger(self) -> AsyncIterator[PushSender]:
        """Sends for an operator who has allowed no further origin."""
        sender = PushSender(VapidKey.generate(), SUBJECT)
        yield sender
        await sender.close()

    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("where", [METADATA, "https://push.example/", "/push/elsewhere"])
    async def test_are_pushes_sent_on(
        self, sender: PushSender, service: PushService, browser: Browser, code: int, where: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        lookups = Lookups(monkeypatch, ["127.0.0.1"])
        browser.answer = redirect_to(where, code)
        failure = await failed(sender, browser)
        assert isinstance(failure, Refused)
        assert failure.status == code
        assert (len(service.asked), lookups) == (1, [])

    async def test_are_pushes_sent_on_to_another_that_is_allowed(
        self, service: PushService, browser: Browser, key: VapidKey
    ) -> None:
        async with PushService() as other:
            own = PushSender(key, SUBJECT, {origin_of(service.url), origin_of(other.url)})
            browser.answer = redirect_to(f"{other.url}/push/x")
            assert isinstance(await failed(own, browser), Refused)
            assert other.connections == set()
            await own.close()

    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]",
         "169.254.169.254", "8.8.8.8", "0", "localhost", "localhost.", "a.localhost", "intranet"],
    )  # fmt: skip
    async def test_is_an_address_or_this_machine_asked(
        self, stranger: PushSender, browser: Browser, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lookups = Lookups(monkeypatch, ["8.8.8.8"])
        failure = await failed(stranger, subscription(browser)._replace(endpoint=f"https://{host}/x"))
        assert isinstance(failure, Refused)
        assert (failure.reason, failure.status, lookups) == ("address_not_allowed", None, [])

    async def test_is_what_the_operator_has_not_allowed_asked(self, stranger: PushSender, browser: Browser) -> None:
        failure = await failed(stranger, browser)
        assert (type(failure), failure.reason) == (Refused, "address_not_allowed")
        assert browser.pushes == []

    @pytest.mark.parametrize(
        "found",
        [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["8.8.8.8", "192.168.0.1"], ["::1"], ["::ffff:127.0.0.1"],
         ["64:ff9b::a9fe:a9fe"], ["0.0.0.0"], ["fd00:ec2::254"], ["2a00:1450:4001:82a::200e", "fe80::1"]],
        ids=str,
    )  # fmt: skip
    async def test_is_a_name_asked_that_leads_inside(
        self, stranger: PushSender, browser: Browser, found: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Listener() as listener:
            lookups = Lookups(monkeypatch, found, listener.port)
            failure = await failed(stranger, subscription(browser)._replace(endpoint="https://push.example/x"))
            assert isinstance(failure, Refused)
            assert failure.reason == "address_not_allowed"
            assert (lookups, listener.connections) == (["push.example"], 0)

    async def test_is_a_name_asked_that_leads_inside_since_another_is_allowed(
        self, sender: PushSender, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await send(sender, browser)
        Lookups(monkeypatch, ["127.0.0.1"])
        failure = await failed(sender, subscription(browser)._replace(endpoint="https://push.example/x"))
        assert (type(failure), failure.reason) == (Refused, "address_not_allowed")

    async def test_is_a_name_looked_up_twice(
        self, stranger: PushSender, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was looked at is what is connected to, in TLS, with a certificate of that name: here nobody has one."""
        monkeypatch.setattr(public_addresses, "is_public", lambda _: True)
        async with Listener() as listener:
            lookups = Lookups(monkeypatch, ["127.0.0.1"], listener.port)
            failure = await failed(stranger, subscription(browser)._replace(endpoint="https://push.example/x"))
            assert isinstance(failure, TryLater)
            assert (lookups, listener.connections) == (["push.example"], 1)
            assert listener.heard[:1] == b"\x16", "a TLS handshake"

    async def test_is_anything_told_to_who_cannot_prove_the_name(
        self, stranger: PushSender, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(public_addresses, "is_public", lambda _: True)
        async with Listener(self_signed("push.example", tmp_path)) as listener:
            Lookups(monkeypatch, ["127.0.0.1"], listener.port)
            failure = await failed(stranger, subscription(browser)._replace(endpoint="https://push.example/x"))
            assert isinstance(failure, TryLater)
            assert listener.heard == b""

    async def test_is_a_proxy_of_the_environment_asked(
        self, sender: PushSender, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with Listener() as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            await send(sender, browser)
            assert proxy.connections == 0

    async def test_is_a_cookie_taken_along(self, sender: PushSender, service: PushService, browser: Browser) -> None:
        """The push service itself refuses one."""
        browser.answer = status(201, {"Set-Cookie": "a=b; Path=/"})
        await send(sender, browser)
        await send(sender, browser)
        assert len(service.asked) == 2
