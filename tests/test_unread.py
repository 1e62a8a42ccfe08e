"""`unread_changed`: what is unread, read from cursors, told to who listens; the last that is told is the truth."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from src.events import UnreadChanged

from .cast import PATIENCE, Cast, Person, Service, Socket, draft


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    return boris


@pytest.fixture
async def room_id(cast: Cast, anna: Person, boris: Person) -> str:
    room_id = await cast.direct_room(anna, boris)
    await say(anna, room_id)
    return room_id


async def say(person: Person, room_id: str, words: str = "hello") -> None:
    await person.post(f"/rooms/{room_id}/messages", draft(words), expect=201)


async def last_told(bell: Socket, total: int, room_id: str, count: int) -> None:
    """Wait until the last that a socket was told is this."""
    expected = {"total": total, "room_id": room_id, "unread_count": count}
    told: list[Any] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not told or told[-1] != expected:
                await asyncio.sleep(0.01)
                told = [payload for name, payload in bell.events if name == "unread_changed"]
    except TimeoutError:
        raise AssertionError(f"{expected} was not the last of {told}") from None


async def test_a_message_is_told_and_so_is_that_it_was_read(anna: Person, boris: Person, room_id: str) -> None:
    bells = [await boris.connect("/notifications"), await (await boris.another_device()).connect("/notifications")]
    await say(anna, room_id)
    for bell in bells:
        await last_told(bell, 2, room_id, 2)
    await boris.post(f"/rooms/{room_id}/read", {"seq": 1}, expect=200)
    for bell in bells:
        await last_told(bell, 1, room_id, 1)
    await boris.post(f"/rooms/{room_id}/read", {"seq": 2}, expect=200)
    for bell in bells:
        await last_told(bell, 0, room_id, 0)


async def test_the_total_is_of_all_rooms_in_the_list_muted_ones_too(
    cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    vera = await cast.join("Vera")
    other = await cast.direct_room(vera, boris)
    bell = await boris.connect("/notifications")
    await say(vera, other)
    await last_told(bell, 2, other, 1)
    await boris.patch(f"/rooms/{other}/me", {"muted_until": "2099-01-01T00:00:00.000Z"}, expect=200)
    await say(vera, other)
    await last_told(bell, 3, other, 2)
    await boris.post(f"/rooms/{other}/leave", {}, expect=204)
    await last_told(bell, 1, other, 0)
    await say(vera, other)
    await last_told(bell, 2, other, 1)


async def test_who_writes_has_read_and_their_other_devices_are_told(anna: Person, boris: Person, room_id: str) -> None:
    bell = await boris.connect("/notifications")
    await say(boris, room_id)
    await last_told(bell, 0, room_id, 0)


async def test_who_joins_or_is_removed_is_told(cast: Cast, anna: Person, boris: Person, room_id: str) -> None:
    bell = await boris.connect("/notifications")
    group = (await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]}, expect=201))["id"]
    await say(anna, group)
    await last_told(bell, 2, group, 1)
    await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)
    await last_told(bell, 1, group, 0)


async def test_to_others_nothing_is_told(cast: Cast, anna: Person, boris: Person, room_id: str) -> None:
    mallory = await cast.join("Mallory")
    bell, borisbell = await mallory.connect("/notifications"), await boris.connect("/notifications")
    await say(anna, room_id)
    await last_told(borisbell, 2, room_id, 2)
    await bell.call("nothing_of_that_name")
    assert bell.events == []


async def test_a_burst_is_told_some_times_and_its_end_is_the_truth(
    service: Service, cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    bell = await boris.connect("/notifications")

    async def burst() -> None:
        for seq in range(2, 32):
            await say(anna, room_id)
            if seq % 5 == 0:
                await boris.post(f"/rooms/{room_id}/read", {"seq": seq - 1}, expect=200)

    await asyncio.gather(burst(), burst())
    truth = (await boris.get(f"/rooms/{room_id}"))["me"]["unread_count"]
    await last_told(bell, truth, room_id, truth)
    told = [payload["unread_count"] for name, payload in bell.events if name == "unread_changed"]
    assert min(told) >= 0
    assert len(told) < 72


async def test_for_nobody_who_listens_nothing_is_kept_or_asked(
    monkeypatch: pytest.MonkeyPatch, service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    unread = service.parts.unread
    bell, listening = await boris.connect("/notifications"), await boris.connect()
    await say(anna, room_id)
    await last_told(bell, 2, room_id, 2)
    await bell.close()
    while unread.listeners:
        await asyncio.sleep(0.01)
    await say(anna, room_id)
    await listening.heard("message_sent")
    assert (unread.listeners._changed, unread.listeners._listening) == ({}, {})


async def test_a_failing_database_delays_what_is_told_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr("src.services.listeners.RETRY_SECONDS", 0.05)
    bell = await boris.connect("/notifications")
    snapshot, failures = service.parts.database.snapshot, [OSError("away"), OSError("away")]

    def failing() -> Any:
        if failures:
            raise failures.pop()
        return snapshot()

    monkeypatch.setattr(service.parts.unread, "_database", type("Failing", (), {"snapshot": staticmethod(failing)}))
    await say(anna, room_id)
    await last_told(bell, 2, room_id, 2)
    assert failures == []


async def test_a_stale_count_that_was_being_read_is_followed_by_the_truth(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    """What changes while counts are read is read again, in whatever order the two come to their ends."""
    unread, person = service.parts.unread, UUID(boris.id)
    bell = await boris.connect("/notifications")
    told: list[UnreadChanged] = []
    reading, go_on = asyncio.Event(), asyncio.Event()
    publish = unread._publish

    def slowly(events: Any) -> None:
        told.extend(events)
        publish(events)

    tell = unread.listeners._tell

    async def hold(changes: Any) -> None:
        reading.set()
        await tell(changes)
        await go_on.wait()

    unread._publish, unread.listeners._tell = slowly, hold
    await say(anna, room_id)
    await reading.wait()
    await boris.post(f"/rooms/{room_id}/read", {"seq": 2}, expect=200)
    assert unread.listeners._changed.get(person)
    go_on.set()
    await last_told(bell, 0, room_id, 0)
    assert [event.unread.unread_count for event in told][-1] == 0
