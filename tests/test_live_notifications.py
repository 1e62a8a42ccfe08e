"""`notification_created` and `notifications_read`: told to who listens, bounded, and the last that is told is true."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from src.clock import now
from src.events import NotificationCreated, NotificationsWereRead
from src.services import live_notifications

from .cast import Cast, Person, Service
from .conftest import Node
from .notified import Bell, say, unread

MUTED = {"muted_until": "2099-01-01T00:00:00.000Z"}


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    await boris.post("/notifications/read", {"all": True}, expect=200)
    return boris


@pytest.fixture
async def room(cast: Cast, anna: Person, boris: Person) -> str:
    return await cast.direct_room(anna, boris)


@pytest.fixture
async def bell(boris: Person, room: str) -> AsyncIterator[Bell]:
    yield await Bell(boris).ring()


async def make_group(owner: Person, *members: Person) -> str:
    body = {"kind": "group", "member_ids": [each.id for each in members]}
    return str((await owner.post("/rooms", body, expect=201))["id"])


async def test_each_message_replaces_what_was_told_of_its_room(anna: Person, room: str, bell: Bell) -> None:
    for count in (1, 2, 3):
        line = await say(anna, room, f"line {count}")
        note = await bell.heard("notification_created")
        assert (note["id"], note["count"], note["message_id"]) == (room, count, line["id"])
        assert note == (await unread(bell.person))[0]


@pytest.mark.parametrize("way", ["rest", "socket", "sending", "marking", "marking over the socket", "all", "leaving"])
async def test_what_is_read_on_one_device_is_read_on_the_other(
    anna: Person, boris: Person, room: str, bell: Bell, way: str
) -> None:
    line = await say(anna, room, mentions=[boris.id])
    await bell.heard("notification_created", lambda note: note["kind"] == "message")
    ids = {*await bell.settles()}
    assert len(ids) == 2
    device = await boris.another_device()
    if way == "rest":
        await device.post(f"/rooms/{room}/read", {"seq": line["seq"]}, expect=200)
    elif way == "socket":
        await (await device.connect()).call("mark_read", {"room_id": room, "seq": line["seq"]})
    elif way == "sending":
        await say(device, room)
    elif way == "marking":
        await device.post("/notifications/read", {"ids": [*ids]}, expect=200)
    elif way == "marking over the socket":
        socket = await device.connect("/notifications")
        assert await socket.call("mark_notifications_read", {"ids": [*ids]}) == {"ok": True, "unread": 0}
    elif way == "all":
        await device.post("/notifications/read", {"all": True}, expect=200)
    else:
        await device.post(f"/rooms/{room}/leave", {}, expect=204)
    read = await bell.heard("notifications_read")
    assert read["unread"] == 0
    assert read["ids"] is None if way == "all" else set(read["ids"]) == ids
    assert await bell.settles() == {}


async def test_sending_writes_that_mentions_are_read(service: Service, anna: Person, boris: Person, bell: Bell) -> None:
    group = await make_group(anna, boris)
    await say(anna, group, mentions=[boris.id])
    await bell.heard("notification_created", lambda note: note["kind"] == "mention")
    await say(boris, group)
    await bell.heard("notifications_read", lambda read: read["unread"] == 0)
    async with service.parts.database.snapshot() as reads:
        assert await reads.notifications.of_rooms([(UUID(boris.id), UUID(group))]) == []


async def test_of_a_muted_room_nothing_is_heard_but_mentions(
    anna: Person, boris: Person, room: str, bell: Bell
) -> None:
    await say(anna, room)
    await bell.heard("notification_created")
    await boris.patch(f"/rooms/{room}/me", MUTED, expect=200)
    assert (await bell.heard("notifications_read"))["ids"] == [room]
    for _ in range(3):
        await say(anna, room)
    await bell.quiet(2)
    await say(anna, room, mentions=[boris.id])
    assert (await bell.heard("notification_created"))["kind"] == "mention"
    await bell.quiet(3)
    await boris.patch(f"/rooms/{room}/me", {"muted_until": None}, expect=200)
    assert (await bell.heard("notification_created"))["count"] == 5
    await boris.patch(f"/rooms/{room}/me", {"pinned": True}, expect=200)
    await bell.quiet(4)
    await bell.settles()


async def test_of_ones_own_doings_nothing_is_heard(anna: Person, boris: Person, room: str, bell: Bell) -> None:
    line = await say(boris, room, mentions=[boris.id])
    await bell.heard("notifications_read")  # nothing was known of the room yet
    for _ in range(3):
        await say(boris, room)
    await boris.put(f"/messages/{line['id']}/reactions/👍", expect=200)
    await boris.post(f"/rooms/{room}/read", {"seq": 2}, expect=200)
    await bell.quiet(1)


async def test_across_a_block_nothing_is_heard(cast: Cast, anna: Person, boris: Person, bell: Bell) -> None:
    vera = await cast.join("Vera")
    await cast.befriend(anna, vera)
    group = await make_group(anna, boris, vera)
    await bell.heard("notification_created", lambda note: note["kind"] == "room_invite")
    await say(vera, group)
    await say(anna, group)
    await bell.settles()
    await boris.put(f"/blocks/{anna.id}", expect=204)
    await bell.heard("notifications_read", lambda read: read["ids"] is None)
    assert [note["count"] for note in (await bell.settles()).values()] == [1]
    count = len(bell.events)
    for _ in range(3):
        await say(anna, group, mentions=[boris.id])
    await bell.quiet(count)
    await boris.delete(f"/blocks/{anna.id}", expect=204)
    await bell.heard("notification_created", lambda note: note["count"] == 5)
    await bell.settles()


async def test_friends_requests_come_and_go(cast: Cast, boris: Person, bell: Bell) -> None:
    vera = await cast.join("Vera")
    await vera.post("/friends/requests", {"user_id": boris.id}, expect=201)
    note = await bell.heard("notification_created")
    assert (note["kind"], note["actor"]["id"]) == ("friend_request", vera.id)
    await vera.delete(f"/friends/requests/{boris.id}", expect=204)
    assert await bell.heard("notifications_read") == {"ids": [note["id"]], "unread": 0}
    await vera.post("/friends/requests", {"user_id": boris.id}, expect=201)
    await boris.post(f"/friends/requests/{vera.id}/accept", expect=204)
    await bell.settles()


async def test_what_is_edited_deleted_or_taken_back_is_told(anna: Person, boris: Person, room: str, bell: Bell) -> None:
    own = await say(boris, room)
    line = await say(anna, room, "a secret", mentions=[boris.id])
    await bell.settles()
    await anna.patch(f"/messages/{line['id']}", {"text": "nothing"}, expect=200)
    await bell.heard("notification_created", lambda note: note["kind"] == "mention" and note["preview"] == "nothing")
    assert {note["preview"] for note in (await bell.settles()).values()} == {"nothing"}
    await anna.delete(f"/messages/{line['id']}", expect=200)
    await anna.put(f"/messages/{own['id']}/reactions/👍", expect=200)
    await bell.heard("notification_created", lambda note: note["kind"] == "reaction")
    assert sorted(str(note["preview"]) for note in (await bell.settles()).values()) == ["None", "👍"]
    await anna.delete(f"/messages/{own['id']}/reactions/👍", expect=200)
    await bell.heard("notifications_read")
    assert len(await bell.settles()) == 1


async def test_what_is_chosen_in_app_is_told_at_once(anna: Person, boris: Person, room: str, bell: Bell) -> None:
    await say(anna, room)
    await bell.heard("notification_created")
    path = "/notifications/preferences"
    await boris.put(path, {"kinds": {"message": {"in_app": False}}}, expect=200)
    assert await bell.heard("notifications_read") == {"ids": None, "unread": 0}
    await say(anna, room)
    await bell.quiet(2)
    await boris.put(path, {"kinds": {"message": {"in_app": True}}}, expect=200)
    assert (await bell.heard("notification_created"))["count"] == 2


async def test_strangers_former_members_and_who_is_told_hear_only_their_own(
    cast: Cast, anna: Person, boris: Person, room: str
) -> None:
    mallory = await cast.join("Mallory")
    group = await make_group(anna, boris)
    await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)
    bells = [await Bell(person).ring() for person in (mallory, boris, anna)]
    await say(anna, group, "alone")
    await say(boris, room, "hello")
    await bells[2].heard("notification_created")
    await bells[0].quiet()
    assert [name for name, _ in bells[1].events] in ([], ["notifications_read"])


async def test_a_burst_is_told_some_times_and_its_end_is_true(
    anna: Person, boris: Person, room: str, bell: Bell
) -> None:
    async def burst() -> None:
        for seq in range(1, 30):
            await say(anna, room)
            if seq % 5 == 0:
                await boris.post(f"/rooms/{room}/read", {"seq": seq}, expect=200)

    await asyncio.gather(burst(), burst())
    await bell.settles()
    assert len(bell.events) < 40


async def test_reading_while_it_is_looked_up_is_told_after_it(
    monkeypatch: pytest.MonkeyPatch, service: Service, anna: Person, boris: Person, room: str, bell: Bell
) -> None:
    """A room that was quiet, of which something is being told, is no longer quiet."""
    listeners = service.parts.notifying.live.listeners
    tell, looking, go_on = listeners._tell, asyncio.Event(), asyncio.Event()
    await say(boris, room)
    await bell.heard("notifications_read")

    async def slowly(changes: Any) -> None:
        looking.set()
        await tell(changes)
        await go_on.wait()

    monkeypatch.setattr(listeners, "_tell", slowly)
    await say(anna, room)
    await looking.wait()
    await bell.heard("notification_created")
    await boris.post(f"/rooms/{room}/read", {"seq": 2}, expect=200)
    go_on.set()
    await bell.heard("notifications_read")
    assert await bell.settles() == {}


async def test_a_failing_database_delays_what_is_told_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, service: Service, anna: Person, boris: Person, room: str, bell: Bell
) -> None:
    monkeypatch.setattr("src.services.listeners.RETRY_SECONDS", 0.05)
    snapshot, failures = service.parts.database.snapshot, [OSError("away"), OSError("away")]

    class Failing:
        def snapshot(self) -> Any:
            if failures:
                raise failures.pop()
            return snapshot()

    monkeypatch.setattr(service.parts.notifying.live, "_database", Failing())
    await say(anna, room)
    await bell.heard("notification_created")
    assert failures == []


async def test_for_nobody_who_listens_nothing_is_kept(service: Service, anna: Person, room: str, bell: Bell) -> None:
    live = service.parts.notifying.live
    await say(anna, room)
    await bell.heard("notification_created")
    assert live._memories
    await bell.socket.close()
    while live.listeners:
        await asyncio.sleep(0.01)
    await say(anna, room)
    assert (live._memories, live.listeners._changed) == ({}, {})


async def test_of_three_hundred_who_listen_one_event_is_enough(service: Service, cast: Cast, anna: Person) -> None:
    """Whoever sees the same shares an event, and nothing is asked for each of them."""
    others = [await cast.join(f"Person {number}") for number in range(4)]
    for other in others:
        await cast.befriend(anna, other)
    group = await make_group(anna, *others)
    crowd = await _crowd(service, UUID(group), 300)
    told_: list[Any] = []
    service.parts.bus.subscribe(told_.extend)
    bells = [await Bell(other).ring() for other in others]
    listeners = service.parts.notifying.live.listeners
    for user_id in crowd:
        listeners.connected(user_id)
    for number in range(5):
        await say(anna, group, f"line {number}")
    for bell in bells:
        await bell.settles()
    created = [event for event in told_ if isinstance(event, NotificationCreated)]
    heard = frozenset[UUID]().union(*(event.audience for event in created))
    assert heard >= {*crowd} | {UUID(other.id) for other in others}
    assert len(created) <= 5 * 2
    assert not [event for event in told_ if isinstance(event, NotificationsWereRead) and event.audience & {*crowd}]
    for user_id in crowd:
        listeners.disconnected(user_id)


async def _crowd(service: Service, room_id: UUID, size: int) -> list[UUID]:
    """So many people more in a group, without accounts that anybody signs in to."""
    from src.db.ids import new_id

    people, at = [new_id() for _ in range(size)], now()
    async with service.parts.database.transaction() as tx:
        for user_id in people:
            who = {"email": None, "email_key": None, "password_hash": None}
            await tx.users.add(user_id, nickname="Somebody", language="ko", moment=at, **who)
        first = {"first_seq": 1, "read_seq": 1, "read_ordinal": 0, "first_rev": 0}
        await tx.members.add(
            room_id, dict.fromkeys(people, "member"), listed_at=at, joined_at=at, pinned=False, **first
        )
        await tx.rooms.change_roster(room_id)
    return people


async def test_the_javascript_client_hears_and_marks(node: Node, service: Service) -> None:
    (heard,) = await node("notifications.mjs", service.url)
    assert [(each["kind"], each["count"]) for each in heard["created"] if each["kind"] == "message"][-1:] == [
        ("message", 1)
    ]
    assert heard["answer"] == {"ok": True, "unread": heard["unread"]}
    assert heard["read"][-1]["unread"] == 0
    assert heard["listed"] == []


async def test_a_name_of_before_is_not_told_after_the_new_one(
    service: Service, anna: Person, room: str, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = live_notifications.look

    async def slowly(reads: Any, changes: Any) -> Any:
        seen = await look(reads, changes)
        if seen.rooms:
            await anna.patch("/users/me", {"nickname": "Anya"})
        return seen

    monkeypatch.setattr(live_notifications, "look", slowly)
    await say(anna, room)
    assert (await bell.heard("notification_created"))["actor"]["nickname"] == "Anya"
