"""Sending a push: what arrives, and what is not even sent."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from src.origins import origin_of
from src.push import door
from src.push.endpoints import Subscription
from src.push.failures import Gone, Refused, TryLater
from src.push.sender import MAX_PAYLOAD, PushSender
from src.push.vapid import VapidKey

from ..internet import Listener
from .conftest import SUBJECT, failed, send
from .service import MOST, Browser, PushService, never

ROOT = Path(__file__).parent.parent.parent


class TestAPush:
    async def test_is_read_by_its_browser_alone(self, sender: PushSender, service: PushService, key: VapidKey) -> None:
        anna, boris = service.subscribe(key.public_key), service.subscribe(key.public_key)
        await send(sender, anna, "안녕, Anna!".encode(), topic="a" * 32, ttl=86_400, urgency="high")
        await send(sender, boris, b"hello", topic="room_1-x", ttl=0, urgency="very-low")
        (first,), (second,) = anna.pushes, boris.pushes
        assert (first.payload.decode(), first.topic, first.ttl, first.urgency) == (
            "안녕, Anna!",
            "a" * 32,
            86_400,
            "high",
        )
        assert second[1:5] == (b"hello", "room_1-x", "very-low", 0)
        assert first.claims["sub"] == SUBJECT
        assert service.pushes == [first, second]

    async def test_need_not_have_a_topic(self, sender: PushSender, browser: Browser) -> None:
        await send(sender, browser)
        assert browser.pushes[0].topic is None

    async def test_may_be_as_large_as_push_services_take(self, sender: PushSender, browser: Browser) -> None:
        await send(sender, browser, b"x" * MAX_PAYLOAD)
        assert (len(browser.pushes[0].payload), MAX_PAYLOAD + 103) == (MAX_PAYLOAD, MOST)

    @pytest.mark.parametrize("payload", [b"", b"x" * (MAX_PAYLOAD + 1)])
    async def test_of_another_size_is_not_sent(self, sender: PushSender, service: PushService, browser: Browser,
                                               payload: bytes) -> None:  # fmt: skip
        with pytest.raises(ValueError, match=f"{len(payload)} bytes: 1 to 3993"):
            await send(sender, browser, payload)
        assert service.asked == []

    @pytest.mark.parametrize("topic", ["", "a" * 33, "a b", "방", "a\r\nX: y", "0192f3e0-5b7e-7abc-8def-0123456789ab"])
    async def test_with_a_topic_that_nobody_takes_is_not_sent(
        self, sender: PushSender, service: PushService, browser: Browser, topic: str
    ) -> None:
        with pytest.raises(ValueError, match="topic"):
            await send(sender, browser, topic=topic)
        assert service.asked == []

    async def test_is_encrypted_anew_each_time_and_signed_once(self, sender: PushSender, browser: Browser) -> None:
        await send(sender, browser)
        await send(sender, browser)
        first, second = browser.pushes
        assert first.claims == second.claims

    async def test_shares_a_connection_with_the_one_before(
        self, sender: PushSender, service: PushService, browser: Browser
    ) -> None:
        for _ in range(5):
            await send(sender, browser)
        browser.leave()
        for _ in range(5):
            assert isinstance(await failed(sender, browser), Gone)
        assert len(service.connections) == 1

    async def test_shares_few_connections_with_many_at_once(
        self, sender: PushSender, service: PushService, browser: Browser
    ) -> None:
        await asyncio.gather(*(send(sender, browser, str(number).encode()) for number in range(200)))
        assert {int(push.payload) for push in service.pushes} == set(range(200))
        assert len(service.connections) <= door._MAX_TO_ONE

    async def test_goes_to_the_address_as_it_was_given(self, sender: PushSender, service: PushService) -> None:
        """Escaped as the push service likes it, not as we would."""
        async with Listener() as listener:
            address = f"http://127.0.0.1:{listener.port}"
            own = PushSender(VapidKey.generate(), SUBJECT, {origin_of(address)})
            browser = service.subscribe("")
            await failed(own, Subscription(f"{address}/w/../%7e?token=a%2bb%3d+", browser.p256dh, browser.auth))
            await own.close()
        assert listener.heard.startswith(b"POST /w/../%7e?token=a%2bb%3d+ HTTP/1.1\r\n")

    async def test_of_somebody_else_is_refused(self, service: PushService, browser: Browser) -> None:
        """The browser subscribed to another key."""
        stranger = PushSender(VapidKey.generate(), SUBJECT, {origin_of(service.url)})
        failure = await failed(stranger, browser)
        await stranger.close()
        assert isinstance(failure, Refused)
        assert service.faults == ["not the key that the browser subscribed with"]
        service.faults.clear()


class TestTheEnd:
    async def test_of_sending_leaves_the_rest_for_later(self, sender: PushSender, browser: Browser) -> None:
        await send(sender, browser)
        await sender.close()
        failure = await failed(sender, browser)
        assert (type(failure), failure.reason) == (TryLater, "closed")

    async def test_comes_before_an_answer_that_does_not(
        self, sender: PushSender, service: PushService, browser: Browser
    ) -> None:
        browser.answer = never
        waiting = asyncio.create_task(failed(sender, browser))
        while not service.asked:
            await asyncio.sleep(0.01)
        await sender.close()
        assert isinstance(await asyncio.wait_for(waiting, 2), TryLater)


async def test_what_encrypts_is_not_loaded_at_start() -> None:
    code = "import sys, src.push.sender; print([name for name in ('pywebpush', 'requests') if name in sys.modules])"
    command = [sys.executable, "-c", code]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
