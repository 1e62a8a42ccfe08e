"""What becomes of each answer of a push service."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.clock import now
from src.origins import origin_of
from src.push import door
from src.push.door import MAX_RETRY_AFTER
from src.push.failures import Gone, Refused, TryLater
from src.push.sender import PushSender
from src.push.vapid import VapidKey

from ..internet import Listener
from .conftest import SUBJECT, failed, send, subscription
from .service import Answer, Browser, PushService, hang_up, hanging_body, huge_body, never, status


class TestAnAnswer:
    @pytest.mark.parametrize("code", [200, 201, 202, 204])
    async def test_of_success_is_one(self, sender: PushSender, browser: Browser, code: int) -> None:
        browser.answer = status(code)
        await send(sender, browser)

    @pytest.mark.parametrize("code", [404, 410])
    async def test_that_nobody_is_there_ends_the_subscription(
        self, sender: PushSender, browser: Browser, code: int
    ) -> None:
        browser.answer = status(code)
        failure = await failed(sender, browser)
        assert isinstance(failure, Gone)
        assert failure.reason == f"status_{code}"

    async def test_of_a_push_service_that_never_knew_it_ends_it_too(
        self, sender: PushSender, service: PushService, browser: Browser
    ) -> None:
        nobody = subscription(browser)._replace(endpoint=f"{service.url}/push/nobody")
        assert isinstance(await failed(sender, nobody), Gone)

    @pytest.mark.parametrize("code", [300, 304, 400, 401, 403, 405, 413, 422])
    async def test_of_refusal_is_final(self, sender: PushSender, browser: Browser, code: int) -> None:
        browser.answer = status(code, {"Retry-After": "7"})
        failure = await failed(sender, browser)
        assert isinstance(failure, Refused)
        assert (failure.status, failure.reason) == (code, f"status_{code}")

    @pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 507])
    async def test_of_trouble_is_not(self, sender: PushSender, browser: Browser, code: int) -> None:
        browser.answer = status(code)
        failure = await failed(sender, browser)
        assert isinstance(failure, TryLater)
        assert (failure.retry_after_seconds, failure.reason) == (None, f"status_{code}")
        browser.answer = None
        await send(sender, browser)

    @pytest.mark.parametrize(
        ("said", "seconds"),
        [("7", 7), ("0", 0), ("86400", MAX_RETRY_AFTER), ("9" * 5000, MAX_RETRY_AFTER), ("-1", None), ("1.5", None),
         ("soon", None), ("", None), ("٣", None), ("Mon, 30 Feb 2026 99:00:00 GMT", None),
         ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("Sun, 06 Nov 9994 08:49:37 GMT", MAX_RETRY_AFTER),
         ("Sun, 06 Nov 1994 08:49:37 -0000", None)],
    )  # fmt: skip
    @pytest.mark.parametrize("code", [429, 503])
    async def test_may_say_when(
        self, sender: PushSender, browser: Browser, code: int, said: str, seconds: float | None
    ) -> None:
        browser.answer = status(code, {"Retry-After": said})
        failure = await failed(sender, browser)
        assert isinstance(failure, TryLater)
        assert failure.retry_after_seconds == seconds

    async def test_may_say_when_by_the_clock(self, sender: PushSender, browser: Browser) -> None:
        then = format_datetime((now() + timedelta(minutes=2)).replace(microsecond=0), usegmt=True)
        browser.answer = status(503, {"Retry-After": then})
        failure = await failed(sender, browser)
        assert isinstance(failure, TryLater)
        assert failure.retry_after_seconds == pytest.approx(120, abs=5)

    @given(st.text())
    def test_may_say_anything(self, said: str) -> None:
        seconds = door._seconds(said)
        assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER

    async def test_that_never_comes_is_a_timeout(
        self, sender: PushSender, browser: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(door, "SECONDS", 0.3)
        browser.answer = never
        failure = await failed(sender, browser)
        assert isinstance(failure, TryLater)
        assert failure.reason == "timeout"

    @pytest.mark.parametrize("answer", [hanging_body, huge_body])
    async def test_is_read_no_further_than_its_status(
        self, sender: PushSender, browser: Browser, answer: Answer
    ) -> None:
        browser.answer = answer
        async with asyncio.timeout(2):
            await send(sender, browser)
            browser.answer = None
            await send(sender, browser)

    async def test_is_none_where_the_line_breaks(self, sender: PushSender, browser: Browser) -> None:
        browser.answer = hang_up
        failure = await failed(sender, browser)
        assert isinstance(failure, TryLater)
        assert failure.reason == "unanswered"

    async def test_is_none_where_nobody_listens(self, browser: Browser) -> None:
        async with Listener() as listener:
            address = f"http://127.0.0.1:{listener.port}"
        own = PushSender(VapidKey.generate(), SUBJECT, {origin_of(address)})
        failure = await failed(own, subscription(browser)._replace(endpoint=f"{address}/x"))
        assert isinstance(failure, TryLater)
        assert failure.reason == "unreachable"
        await own.close()

    @pytest.mark.parametrize(
        "raw", [b"HTTP/1.1 99999 x\r\n\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 201 x\r\nA: " + b"a" * 99_999]
    )
    async def test_is_none_that_is_not_http(self, browser: Browser, raw: bytes) -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            own = PushSender(VapidKey.generate(), SUBJECT, {origin_of(address)})
            assert isinstance(await failed(own, subscription(browser)._replace(endpoint=f"{address}/x")), TryLater)
            await own.close()
