"""From a message to a phone and back: the ladder pushes, and reading in any way closes what is shown."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.cast import Cast, Person, draft
from tests.conftest import StartService

from .service import Browser, PushService
from .stage import Stage


@pytest.fixture
async def stage(start_service: StartService, post: PushService) -> Stage:
    service = await start_service(
        notifications={"push_origins": post.url, "push_after_seconds": 0.2}, presence_grace_seconds=0.05
    )
    return Stage(service, Cast(service), post)


Shown = tuple[Person, Person, str, Browser]


@pytest.fixture
async def shown(stage: Stage, post: PushService) -> Shown:
    """Anna has written to Boris in a group, and a browser of his shows it."""
    anna, boris = await stage.friends("Anna", "Boris")
    room = await stage.group(anna, boris)
    browser = await stage.browser(boris)
    await stage.say(anna, room, "점심 먹을래?", mentions=[boris.id])
    await post.until(1)
    (push,) = browser.pushes
    assert (push.json["type"], push.json["kind"], push.json["tag"]) == ("notification", "mention", room)
    assert "점심 먹을래?" in push.json["body"]
    return anna, boris, room, browser


async def by_reading(anna: Person, boris: Person, room: str) -> None:
    await boris.post(f"/rooms/{room}/read", {"seq": 100}, expect=200)


async def by_answering(anna: Person, boris: Person, room: str) -> None:
    await boris.post(f"/rooms/{room}/messages", draft("좋아"), expect=201)


async def by_marking_it(anna: Person, boris: Person, room: str) -> None:
    await boris.post("/notifications/read", {"ids": [room]}, expect=200)


async def by_marking_all(anna: Person, boris: Person, room: str) -> None:
    await boris.post("/notifications/read", {"all": True}, expect=200)


async def by_leaving(anna: Person, boris: Person, room: str) -> None:
    await boris.post(f"/rooms/{room}/leave", expect=204)


WAYS = (by_reading, by_answering, by_marking_it, by_marking_all, by_leaving)


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_what_is_shown_is_closed(
    post: PushService, shown: Shown, way: Callable[[Person, Person, str], Awaitable[None]]
) -> None:
    anna, boris, room, browser = shown
    await way(anna, boris, room)
    await post.until(2)
    closed: dict[str, Any] = browser.pushes[1].json
    assert (closed["type"], closed["tags"]) == ("read", [room])


@pytest.mark.parametrize("taken", [False, True])
async def test_a_request_that_is_answered_or_taken_back_is_closed(stage: Stage, post: PushService, taken: bool) -> None:
    anna, boris = [await stage.cast.join(name) for name in ("Anna", "Boris")]
    browser = await stage.browser(boris)
    await anna.post("/friends/requests", {"user_id": boris.id}, expect=201)
    await post.until(1)
    if taken:
        await anna.delete(f"/friends/requests/{boris.id}", expect=204)
    else:
        await boris.post(f"/friends/requests/{anna.id}/accept", expect=204)
    await post.until(2)
    shown, closed = browser.pushes
    assert (shown.json["kind"], closed.json["type"]) == ("friend_request", "read")
    assert closed.json["tags"] == [shown.json["tag"]]


async def test_who_leaves_with_something_unread_is_told_then(stage: Stage, post: PushService) -> None:
    anna, boris = await stage.friends("Anna", "Boris")
    room = await stage.cast.direct_room(anna, boris)
    browser, socket = await stage.browser(boris), await boris.connect("/notifications")
    await stage.until_online(boris)
    await stage.say(anna, room, "are you there?")
    async with asyncio.timeout(10):
        while await stage.spans(boris, room) != [(1, 1, "pending", "active")]:
            await asyncio.sleep(0.05)
    assert post.asked == []
    await socket.close()
    await post.until(1)
    assert browser.pushes[0].json["tag"] == room
    async with asyncio.timeout(10):
        while await stage.spans(boris, room) != [(1, 1, "sent", None)]:
            await asyncio.sleep(0.05)


async def test_a_message_that_is_taken_back_is_closed(stage: Stage, post: PushService) -> None:
    anna, boris = await stage.friends("Anna", "Boris")
    room, browser = await stage.cast.direct_room(anna, boris), await stage.browser(boris)
    message = await stage.say(anna, room, "oops")
    await post.until(1)
    await anna.delete(f"/messages/{message['id']}", expect=200)
    await post.until(2)
    assert [push.json["type"] for push in browser.pushes] == ["notification", "read"]
