"""Catching up: what a device that was away gets, and nothing else (contract §7)."""

from collections import namedtuple
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from src.clock import now
from src.services import sync as service_sync
from src.services.sync import _wanted

from .cast import Cast, Person, Service, draft
from .replica import Replica, fresh, settle

SOME_ROOM = "019aa5b0-7d3e-7000-8000-000000000000"


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
    """A direct room with one line."""
    room_id = await cast.direct_room(anna, boris)
    await say(anna, room_id, "first")
    return room_id


async def say(person: Person, room_id: str, text: str) -> dict[str, Any]:
    message: dict[str, Any] = (await person.post(f"/rooms/{room_id}/messages", draft(text)))["message"]
    return message


async def ask(person: Person, rooms: dict[str, int], **fields: Any) -> dict[str, Any]:
    socket = await person.connect()
    answer: dict[str, Any] = await socket.call("sync", {"rooms": rooms} | fields)
    await socket.close()
    return answer


async def test_a_new_device_gets_every_room_with_its_latest_fifty_lines(
    monkeypatch: pytest.MonkeyPatch, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr(service_sync, "LATEST", 3)
    for number in range(4):
        await say(boris, room_id, f"line {number}")
    answer = await ask(anna, {})
    (entry,) = answer["rooms"]
    assert answer["ok"] is True
    assert [message["seq"] for message in entry["messages"]] == [3, 4, 5]
    assert (entry["rev"], entry["reset"], entry["has_more"]) == (5, False, False)
    assert entry["room"] == await anna.get(f"/rooms/{room_id}")
    assert (answer["removed"], answer["unread_total"]) == ([], 4)


async def test_the_latest_are_fifty_and_the_missed_two_hundred() -> None:
    assert (service_sync.LATEST, service_sync.AT_MOST) == (50, 200)


async def test_who_holds_everything_gets_nothing(anna: Person, room_id: str) -> None:
    answer = await ask(anna, {room_id: 1})
    assert (answer["rooms"], answer["removed"]) == ([], [])


async def test_who_was_away_gets_what_is_higher_ascending_by_rev_in_portions(
    monkeypatch: pytest.MonkeyPatch, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr(service_sync, "AT_MOST", 3)
    for number in range(5):
        await say(boris, room_id, f"line {number}")
    first = (await ask(anna, {room_id: 1}))["rooms"][0]
    assert [message["rev"] for message in first["messages"]] == [2, 3, 4]
    assert (first["rev"], first["has_more"], first["reset"]) == (4, True, False)
    assert first["room"]["rev"] == 6
    second = (await ask(anna, {room_id: first["rev"]}))["rooms"][0]
    assert [message["rev"] for message in second["messages"]] == [5, 6]
    assert (second["rev"], second["has_more"]) == (6, False)


async def test_exactly_as_many_as_come_at_once_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr(service_sync, "AT_MOST", 3)
    for number in range(3):
        await say(boris, room_id, f"line {number}")
    (entry,) = (await ask(anna, {room_id: 1}))["rooms"]
    assert (len(entry["messages"]), entry["rev"], entry["has_more"]) == (3, 4, False)


async def test_another_epoch_or_a_client_that_is_ahead_begins_anew(anna: Person, boris: Person, room_id: str) -> None:
    await say(boris, room_id, "second")
    epoch = (await ask(anna, {}))["epoch"]
    for given in ({"rooms": {room_id: 2}, "epoch": "another"}, {"rooms": {room_id: 3}, "epoch": epoch}):
        answer = await ask(anna, given.pop("rooms"), **given)  # type: ignore[arg-type]
        (entry,) = answer["rooms"]
        assert (entry["reset"], entry["rev"], answer["epoch"]) == (True, 2, epoch)
        assert [message["seq"] for message in entry["messages"]] == [1, 2]
    assert (await ask(anna, {room_id: 2}, epoch=epoch))["rooms"] == []


async def test_ready_names_the_epoch_that_sync_does(anna: Person, room_id: str) -> None:
    socket = await anna.connect()
    assert (await socket.heard("ready"))["epoch"] == (await socket.call("sync", {"rooms": {}}))["epoch"]


async def test_rooms_of_others_and_rooms_that_are_not_look_alike(
    cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    mallory, nowhere = await cast.join("Mallory"), str(uuid4())
    answer = await ask(mallory, {room_id: 0, nowhere: 5})
    assert (answer["rooms"], answer["removed"], answer["unread_total"]) == ([], sorted([room_id, nowhere]), 0)
    unlisted = await cast.direct_room(anna, mallory)
    assert (await ask(mallory, {unlisted: 0}))["removed"] == [unlisted]


async def test_a_room_that_was_left_while_away_comes_back_empty_but_for_the_new_line(
    anna: Person, boris: Person, room_id: str
) -> None:
    away = await Replica(anna).connect()
    await away.close()
    await anna.post(f"/rooms/{room_id}/leave", {}, expect=204)
    gone = await ask(anna, {room_id: 1})
    assert (gone["rooms"], gone["removed"]) == ([], [room_id])
    line = await say(boris, room_id, "are you there?")
    (entry,) = (await ask(anna, {room_id: 1}))["rooms"]
    assert (entry["reset"], entry["messages"]) == (True, [line])
    await away.connect()
    await settle(away, await fresh(anna))


async def test_a_room_left_and_opened_again_while_away_is_empty(anna: Person, boris: Person, room_id: str) -> None:
    away = await Replica(anna).connect()
    await away.close()
    await anna.post(f"/rooms/{room_id}/leave", {}, expect=204)
    await anna.post("/rooms", {"kind": "direct", "user_id": boris.id}, expect=200)
    await away.connect()
    assert away.rooms[room_id].lines == {}
    await settle(away, await fresh(anna))


async def test_what_was_read_on_another_device_while_away_arrives(anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await Replica(anna).connect(), await Replica(boris).connect()
    await annas.close()
    await boriss.close()
    await boris.post(f"/rooms/{room_id}/read", {"seq": 1}, expect=200)
    for device in (annas, boriss):
        await device.connect()
        await settle(device, await fresh(device.person))
    assert boriss.rooms[room_id].room["me"]["unread_count"] == 0
    assert {each["read_seq"] for each in annas.rooms[room_id].room["members"]} == {1}


async def test_of_quiet_rooms_none_comes_again_because_of_old_cursors(
    monkeypatch: pytest.MonkeyPatch, cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr(service_sync, "OVERLAP", timedelta())
    await boris.post(f"/rooms/{room_id}/read", {"seq": 1}, expect=200)
    later = await cast.direct_room(anna, await cast.join("Vera"))
    await say(anna, later, "after that")
    assert (await ask(anna, {room_id: 1, later: 1}))["rooms"] == []


async def test_a_lost_broadcast_is_noticed_by_the_next_event(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    device = await Replica(boris).connect()
    listeners = service.parts.bus._listeners
    heard, listeners[:] = listeners[:], []
    await say(anna, room_id, "lost")
    listeners[:] = heard
    await say(anna, room_id, "heard")
    await settle(device, await fresh(boris))
    assert device.syncs == 1


@pytest.mark.one_database
@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"rooms": []},
        {"rooms": {"no id": 1}},
        {"rooms": {SOME_ROOM: -1}},
        {"rooms": {SOME_ROOM: "1"}},
        {"rooms": {SOME_ROOM: True}},
        {"rooms": {SOME_ROOM: 1.0}},
        {"rooms": {SOME_ROOM: 2**53}},
        {"rooms": {SOME_ROOM: None}},
        {"rooms": {}, "epoch": 1},
        {"rooms": {}, "epoch": "x" * 65},
        {"rooms": {}, "limit": 1},
        {"rooms": {str(UUID(int=number)): 1 for number in range(1001)}},
    ],
    ids=lambda payload: str(payload)[:60],
)
async def test_what_is_no_request_is_refused(anna: Person, payload: Any) -> None:
    answer = await (await anna.connect()).call("sync", payload)
    assert (answer["ok"], answer["error"]["code"]) == (False, "invalid")


@pytest.mark.one_database
async def test_a_thousand_rooms_can_be_named(anna: Person) -> None:
    answer = await ask(anna, {str(uuid4()): 1 for _ in range(1000)})
    assert (answer["ok"], len(answer["removed"])) == (True, 1000)


def test_for_who_holds_nothing_what_was_before_them_is_not_looked_through() -> None:
    head = namedtuple("Head", "id rev changed_at first_rev")(UUID(int=1), 5000, now(), 4990)
    assert _wanted(head, 0, True, ()) == (head.id, 4990, False, 10)  # type: ignore[arg-type]


async def test_who_came_late_and_holds_nothing_gets_the_room_from_their_first_line(
    cast: Cast, anna: Person, boris: Person
) -> None:
    nina = await cast.join("Nina")
    await cast.befriend(anna, nina)
    group = (await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]}, expect=201))["id"]
    await anna.post(f"/rooms/{group}/messages", draft(), expect=201)
    rev = (await anna.post(f"/rooms/{group}/members", {"user_ids": [nina.id]}, expect=200))["rev"]
    ninas = await nina.connect()
    for held, seqs in ((0, [3]), (rev - 1, [])):  # the device that has just the joining line needs no reset
        (synced,) = (await ninas.call("sync", {"rooms": {group: held}}))["rooms"]
        assert (synced["reset"], [line["seq"] for line in synced["messages"]]) == (False, seqs)
