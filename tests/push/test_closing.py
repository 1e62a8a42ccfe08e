"""What was pushed is closed on every device once it was read on one of them, once, and nothing else ever is."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from src.clock import now
from src.services import push_closer, push_closing
from src.services.push_closing import close_pushed, shown_key
from src.services.push_notes import Done
from tests.cast import Person

from .service import status
from .stage import Pair, Stage


def types(pushes: list[Any]) -> list[str]:
    return [push.json["type"] for push in pushes]


async def read(stage: Stage, person: Person, room: str, seq: int) -> None:
    await person.post(f"/rooms/{room}/read", {"seq": seq})
    await stage.work()


async def dismiss(stage: Stage, person: Person, subject: str) -> None:
    """What marks notifications read without the room, and a sender's own line, call."""
    async with stage.service.parts.database.transaction() as tx:
        await close_pushed(tx, UUID(person.id), UUID(subject))
    await stage.work()


class TestWhatWasRead:
    async def test_is_closed_everywhere_once(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browsers = [await stage.browser(boris) for _ in range(2)]
        await stage.say(anna, room, "one")
        await stage.say(anna, room, "two")
        await stage.tell(boris, room)
        for seq in (2, 2):
            await read(stage, boris, room, seq)
        for browser in browsers:
            shown, closed = browser.pushes
            assert closed.json == {"type": "read", "tags": [room], "unread_total": 0}
            assert (closed.topic, closed.urgency, closed.ttl) == (shown.topic, "low", 3600)
        assert await stage.waiting() == {}

    async def test_in_part_stays_until_the_rest_is(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        for text in ("one", "two"):
            await stage.say(anna, room, text)
        await stage.tell(boris, room)
        await read(stage, boris, room, 1)
        assert types(browser.pushes) == ["notification"]
        await read(stage, boris, room, 2)
        assert types(browser.pushes) == ["notification", "read"]

    async def test_is_closed_although_there_is_more_that_was_not_pushed(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room, "one")
        await stage.tell(boris, room)
        await stage.say(anna, room, "two")
        await read(stage, boris, room, 1)
        assert types(browser.pushes) == ["notification", "read"]
        assert browser.pushes[1].json["unread_total"] == 1
        await stage.tell(boris, room)
        await read(stage, boris, room, 2)
        assert types(browser.pushes) == ["notification", "read"] * 2

    async def test_by_an_answer_is_closed_too(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        await stage.say(boris, room, "hi")
        await dismiss(stage, boris, room)
        assert types(browser.pushes) == ["notification", "read"]

    async def test_or_taken_back_before_it_was_noted_is_closed(
        self, stage: Stage, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        message = await stage.say(anna, room, "oops")
        pushes = stage.service.parts.notifying.pushes
        note = pushes._note

        async def late(done: Done) -> None:
            await anna.delete(f"/messages/{message['id']}", expect=200)
            await asyncio.sleep(5 * push_closer.EVERY_SECONDS)  # who looks for what shows it finds nothing yet
            await note(done)

        monkeypatch.setattr(push_closer, "EVERY_SECONDS", 0.02)
        monkeypatch.setattr(pushes, "_note", late)
        await stage.tell(boris, room)
        assert types(browser.pushes) == ["notification", "read"]

    async def test_and_never_pushed_is_not_closed(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.say(anna, room)
        await read(stage, boris, room, 1)
        assert (stage.post.asked, await stage.waiting()) == ([], {})

    async def test_while_it_was_pushed_is_closed(
        self, stage: Stage, pair: Pair, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        pushes = stage.service.parts.notifying.pushes
        note = pushes._note

        async def after_reading(*what: Any) -> None:
            await boris.post(f"/rooms/{room}/read", {"seq": 1})
            await note(*what)

        monkeypatch.setattr(pushes, "_note", after_reading)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        assert types(browser.pushes) == ["notification", "read"]
        assert await stage.waiting() == {}

    async def test_is_closed_only_where_it_is_shown(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        away = await stage.browser(boris)
        away.answer = status(413)
        there = await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        away.answer, late = None, await stage.browser(boris)
        await read(stage, boris, room, 1)
        assert [types(each.pushes) for each in (away, there, late)] == [[], ["notification", "read"], []]

    async def test_is_not_closed_for_who_has_signed_out(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        device = await boris.another_device()
        browser = await stage.browser(device)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        await device.post("/auth/logout", expect=204)
        await read(stage, boris, room, 1)
        assert types(browser.pushes) == ["notification"]

    async def test_is_closed_later_where_the_push_service_is_away(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        browser.answer = status(503, {"Retry-After": "9"})
        await read(stage, boris, room, 1)
        browser.answer = None
        with time_machine.travel(now() + timedelta(seconds=10)):
            await stage.work()
        assert types(browser.pushes) == ["notification", "read"]
        assert await stage.waiting() == {}

    async def test_is_not_closed_later_where_something_newer_is_shown(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        browser.answer = status(503, {"Retry-After": "9"})
        await read(stage, boris, room, 1)
        browser.answer = None
        await stage.say(anna, room)
        await stage.tell(boris, room)
        with time_machine.travel(now() + timedelta(seconds=10)):
            await stage.work()
        assert types(browser.pushes) == ["notification", "notification"]

    async def test_is_looked_for_a_month(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        assert set(await stage.waiting()) == {shown_key(UUID(boris.id), UUID(room))}
        with time_machine.travel(now() + timedelta(days=31)):
            await stage.work()
        assert (types(stage.post.pushes), await stage.waiting()) == (["notification"], {})


class TestWhatIsStored:
    async def test_is_closed_with_its_room(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        browser = await stage.browser(boris)
        room = await stage.group(anna, boris, forget=False)
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        (invited,) = browser.pushes
        await stage.say(anna, room)
        await read(stage, boris, room, 3)
        _, closed = browser.pushes
        assert (closed.json["type"], closed.json["tags"]) == ("read", [invited.json["tag"]])

    async def test_and_taken_back_is_closed(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        line = await stage.say(boris, room)
        await anna.put(f"/messages/{line['id']}/reactions/👍")
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        await anna.delete(f"/messages/{line['id']}/reactions/👍")
        await dismiss(stage, boris, browser.pushes[0].json["tag"])
        assert types(browser.pushes) == ["notification", "read"]

    async def test_and_unread_is_not_closed(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        line = await stage.say(boris, room)
        await anna.put(f"/messages/{line['id']}/reactions/👍")
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        await dismiss(stage, boris, browser.pushes[0].json["tag"])
        assert types(browser.pushes) == ["notification"]
        assert len(await stage.waiting()) == 1


class TestApplesService:
    """It takes the permission away after pushes that show nothing."""

    @pytest.fixture(autouse=True)
    def ours_is_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(push_closing, "_APPLE", "127.0.0.1")

    async def test_gets_with_the_next_push_what_was_read(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        other = await stage.group(anna, boris)
        browser = await stage.browser(boris)
        line = await stage.say(anna, room)
        await stage.tell(boris, room)
        await read(stage, boris, room, line["seq"])
        assert types(browser.pushes) == ["notification"]
        for text in ("one", "two"):
            await stage.say(anna, other, text)
            await stage.tell(boris, other)
        assert [push.json.get("read_tags") for push in browser.pushes] == [None, [room], None]

    async def test_gets_nothing_of_who_used_the_browser_before(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        clara = await stage.cast.join("Clara")
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        await read(stage, boris, room, 1)
        await clara.put("/notifications/push", browser.subscription(), expect=204)
        await stage.cast.befriend(anna, clara)
        await stage.forget()
        theirs = await stage.cast.direct_room(anna, clara)
        await stage.say(anna, theirs)
        await stage.tell(clara, theirs)
        assert "read_tags" not in browser.pushes[-1].json
