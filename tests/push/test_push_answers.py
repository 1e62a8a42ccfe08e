"""What push services answer, and what comes of it: forgotten, given up, tried again."""

import asyncio
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import update

from src.clock import now
from src.db.ids import new_id
from src.db.models import PushSubscription
from src.services import push_rounds
from src.services.notices import push_of_room
from src.services.push_errands import STALE
from tests.cast import PATIENCE

from . import service as answers
from .service import Answer, Browser, status
from .stage import Pair, Stage


async def tried_again(stage: Stage, browser: Browser) -> int:
    """In how many seconds this browser's push service is asked again."""
    ((key, row),) = [(key, row) for key, row in (await stage.waiting()).items() if key.startswith("push:")]
    assert "subscription_id" in row.payload
    assert len(key.split(":")) == 4
    return round((row.due_at - now()).total_seconds())


class TestForGood:
    @pytest.mark.parametrize("code", [404, 410, 400, 401, 403])
    async def test_ends_a_browser_and_no_other(self, stage: Stage, pair: Pair, code: int) -> None:
        anna, boris, room = pair
        gone, there = await stage.browser(boris), await stage.browser(boris)
        gone.answer = status(code)
        for _ in range(2):
            await stage.say(anna, room)
            await stage.tell(boris, room)
        assert [push.browser for push in stage.post.asked].count(gone) == 1
        assert len(there.pushes) == 2
        assert {span[2] for span in await stage.spans(boris, room)} == {"sent"}

    async def test_of_all_browsers_is_why_nothing_was_sent(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        (await stage.browser(boris)).leave()
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert await stage.spans(boris, room) == [(1, 1, "failed", "gone")]
        assert await stage.waiting() == {}

    async def test_of_one_push_keeps_the_browser(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(413)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert await stage.spans(boris, room) == [(1, 1, "failed", "refused")]
        assert await stage.waiting() == {}
        browser.answer = None
        await stage.say(anna, room)
        await stage.tell(boris, room, (2, 2))
        assert len(browser.pushes) == 1

    async def test_is_logged_without_the_address(
        self, stage: Stage, pair: Pair, capsys: pytest.CaptureFixture[str]
    ) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(403)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        logged = "".join(capsys.readouterr())
        assert stage.post.url in logged
        assert browser.name not in logged


class TestForNow:
    @pytest.mark.parametrize(
        ("answer", "seconds"),
        [
            (status(500), 30),
            (status(503, {"Retry-After": "7"}), 7),
            (status(429, {"Retry-After": "600"}), 600),
            (answers.hang_up, 30),
        ],
    )
    async def test_tries_that_browser_alone_again(self, stage: Stage, pair: Pair, answer: Answer, seconds: int) -> None:
        anna, boris, room = pair
        away, there = await stage.browser(boris), await stage.browser(boris)
        away.answer = answer
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert abs(await tried_again(stage, away) - seconds) <= 2
        assert (len(there.pushes), await stage.spans(boris, room)) == (1, [(1, 1, "sent", None)])
        away.answer = None
        with time_machine.travel(now() + timedelta(seconds=seconds + 2)):
            await stage.work()
        assert [push.json["body"] for push in away.pushes] == ["hello"]
        assert len(there.pushes) == 1

    async def test_is_undecided_until_it_is_not(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(500)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert await stage.spans(boris, room) == [(1, 1, "pending", None)]
        browser.answer = None
        with time_machine.travel(now() + timedelta(seconds=40)):
            await stage.work()
        assert await stage.spans(boris, room) == [(1, 1, "sent", None)]

    async def test_is_over_once_it_was_read(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(500)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        await boris.post(f"/rooms/{room}/read", {"seq": 1})
        browser.answer = None
        with time_machine.travel(now() + timedelta(seconds=40)):
            await stage.work()
        assert (browser.pushes, len(stage.post.asked)) == ([], 1)
        assert await stage.spans(boris, room) == [(1, 1, "skipped", "read_before")]

    async def test_is_over_once_a_newer_push_was_taken(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(500)
        await stage.say(anna, room, "one")
        await stage.tell(boris, room)
        browser.answer = None
        await stage.say(anna, room, "two")
        await stage.tell(boris, room)
        with time_machine.travel(now() + timedelta(seconds=40)):
            await stage.work()
        assert [push.json["body"] for push in browser.pushes] == ["two 외 1개"]

    async def test_comes_seldomer_and_ends_within_the_hour(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        browser.answer = status(500)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        begin, pauses = now(), []
        with time_machine.travel(begin) as clock:
            while waiting := await stage.waiting():
                (row,) = waiting.values()
                pauses.append(round((row.due_at - now()).total_seconds()))
                clock.move_to(row.due_at + timedelta(milliseconds=1))
                await stage.work()
            assert now() <= begin + STALE
        assert [round(pause / 30) for pause in pauses] == [1, 2, 4, 8, 16, 32]
        assert len(stage.post.asked) == 7
        assert await stage.spans(boris, room) == [(1, 1, "failed", "refused")]

    async def test_lasts_as_long_as_silence(self, stage: Stage, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(push_rounds, "PATIENCE_SECONDS", 0.3)
        anna, boris, room = pair
        silent, there = await stage.browser(boris), await stage.browser(boris)
        silent.answer = answers.never
        await stage.say(anna, room)
        await stage.due(boris, room, (1, 1))
        stage.service.parts.outbox.wake()
        await stage.post.until(1)
        assert len(there.pushes) == 1, "nobody waits for who is silent"
        await stage.work()
        assert await tried_again(stage, silent) > 20


class TestSeveralAtOnce:
    async def test_do_not_wait_for_each_other_and_fail_alone(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(push_rounds, "PATIENCE_SECONDS", 0.3)
        anna, boris, clara = await stage.friends("Anna", "Boris", "Clara")
        room, own = await stage.group(anna, boris, clara), await stage.browser(anna)
        for _ in range(20):
            (await stage.browser(boris)).answer = answers.never
        await stage.say(clara, room)
        rows: Any = [
            SimpleNamespace(id=new_id(), payload=payload)
            for payload in (*(push_of_room(UUID(each.id), UUID(room)) for each in (boris, anna)), {"room_id": "none"})
        ]
        begin = time.monotonic()
        failures = await stage.service.parts.notifying.pushes.carry_out_some(rows)
        assert time.monotonic() - begin < 2, "twenty that are silent take as long as one"
        assert len(own.pushes) == 1
        assert len(stage.post.asked) < 20, "few of them are asked at once"
        assert len(await stage.waiting()) == 20 + 2, "each is tried again, and what may be shown is closed"
        assert [*failures] == [rows[-1].id]

    async def test_are_not_spoiled_by_one_whose_keys_are_none(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser, _ = await stage.browser(boris), await stage.browser(boris)
        broken = update(PushSubscription).where(PushSubscription.endpoint != browser.endpoint).values(p256dh="")
        async with stage.service.parts.database.transaction() as tx:
            await tx._connection.execute(broken)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert len(browser.pushes) == 1
        assert await stage.spans(boris, room) == [(1, 1, "sent", None)]


class TestACrash:
    async def test_before_it_was_noted_leads_to_the_same_push_again(
        self, stage: Stage, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        pushes = stage.service.parts.notifying.pushes

        died = asyncio.Event()

        async def dies(*_: object) -> None:
            died.set()
            raise asyncio.CancelledError

        await stage.say(anna, room)
        with monkeypatch.context() as patch:
            patch.setattr(pushes, "_note", dies)
            await stage.due(boris, room, (1, 1))
            stage.service.parts.outbox.wake()
            await asyncio.wait_for(died.wait(), PATIENCE)
        with time_machine.travel(now() + timedelta(seconds=121)):
            await stage.work()
        first, second = browser.pushes
        assert (first.json, first.topic) == (second.json, second.topic)
        assert await stage.spans(boris, room) == [(1, 1, "sent", None)]
