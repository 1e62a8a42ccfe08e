"""How far somebody has read: forward only, never past the end, told to the room, and alike on every device."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from src.db.repositories.cursors import Cursors as Repository

from .cast import Cast, Person, Service, draft


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def room_id(cast: Cast, anna: Person, boris: Person) -> str:
    """A direct room in which Anna has written three lines."""
    room_id = await cast.direct_room(anna, boris)
    for number in range(3):
        await say(anna, room_id, f"line {number + 1}")
    return room_id


async def say(person: Person, room_id: str, words: str = "hello") -> dict[str, Any]:
    message: dict[str, Any] = (await person.post(f"/rooms/{room_id}/messages", draft(words)))["message"]
    return message


async def read(person: Person, room_id: str, seq: int) -> tuple[int, int, int]:
    answer = await person.post(f"/rooms/{room_id}/read", {"seq": seq}, expect=200)
    return answer["read_seq"], answer["unread_count"], answer["unread_total"]


async def marks(service: Service) -> list[tuple[int, ...]]:
    """What is written down of who has read what: the numbers of lines."""
    async with service.parts.database.snapshot() as reads:
        return [tuple(row) for row in await reads._connection.execute(text("SELECT seq FROM read_marks ORDER BY seq"))]


async def test_a_cursor_goes_forward_never_back_and_not_past_the_end(
    service: Service, cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    other = await cast.direct_room(anna, await cast.join("Vera"))
    await say(anna, other)
    assert await read(boris, room_id, 0) == (0, 3, 3)
    assert await read(boris, room_id, 2) == (2, 1, 1)
    assert await read(boris, room_id, 1) == (2, 1, 1)
    assert await read(boris, room_id, 2**53 - 1) == (3, 0, 0)
    assert await read(boris, room_id, 3) == (3, 0, 0)
    assert await marks(service) == [(2,), (3,)]


async def test_the_socket_answers_as_rest_does(boris: Person, room_id: str) -> None:
    socket = await boris.connect()
    answer = await socket.call("mark_read", {"room_id": room_id, "seq": 2})
    assert answer == {"ok": True, "read_seq": 2, "unread_count": 1, "unread_total": 1}
    assert (await boris.get(f"/rooms/{room_id}"))["me"]["read_seq"] == 2


async def test_the_room_hears_who_has_read_and_the_reader_on_every_device(
    anna: Person, boris: Person, room_id: str
) -> None:
    sockets = [await anna.connect(), await boris.connect()]
    await read(boris, room_id, 2)
    heard = {"room_id": room_id, "user_id": boris.id, "read_seq": 2}
    assert [await socket.heard("room_read") for socket in sockets] == [heard, heard]


async def test_a_cursor_that_does_not_move_is_told_to_nobody(anna: Person, boris: Person, room_id: str) -> None:
    await read(boris, room_id, 2)
    socket = await anna.connect()
    await read(boris, room_id, 2)
    await read(boris, room_id, 1)
    await read(anna, room_id, 3)
    await read(boris, room_id, 3)
    assert (await socket.heard("room_read"))["read_seq"] == 3


async def test_own_messages_are_read_and_say_so_without_an_event(anna: Person, boris: Person, room_id: str) -> None:
    socket = await anna.connect()
    await say(boris, room_id)
    assert await read(boris, room_id, 1) == (4, 0, 0)
    await socket.heard("message_sent")
    room = await anna.get(f"/rooms/{room_id}")
    assert {member["user"]["id"]: member["read_seq"] for member in room["members"]} == {anna.id: 3, boris.id: 4}
    assert [name for name, _ in socket.events if name == "room_read"] == []


async def test_lines_of_the_house_are_never_unread(cast: Cast, anna: Person, boris: Person) -> None:
    await cast.befriend(anna, boris)
    group = (await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]}, expect=201))["id"]
    await anna.patch(f"/rooms/{group}", {"name": "Hiking"}, expect=200)
    await say(anna, group)
    await anna.patch(f"/rooms/{group}", {"name": "Seoraksan"}, expect=200)
    me = (await boris.get(f"/rooms/{group}"))["me"]
    assert (me["read_seq"], me["unread_count"]) == (1, 1)
    assert await read(boris, group, 2) == (2, 1, 1)
    assert await read(boris, group, 3) == (3, 0, 0)


async def test_to_a_stranger_the_room_is_not_there(cast: Cast, room_id: str) -> None:
    mallory = await cast.join("Mallory")
    await mallory.post(f"/rooms/{room_id}/read", {"seq": 1}, expect=404)
    answer = await (await mallory.connect()).call("mark_read", {"room_id": room_id, "seq": 1})
    assert answer["error"]["code"] == "not_found"


@pytest.mark.one_database
@pytest.mark.parametrize("seq", [-1, "1", True, 1.0, 2**53, None])
async def test_what_is_no_number_of_a_line_is_refused(boris: Person, room_id: str, seq: Any) -> None:
    await boris.post(f"/rooms/{room_id}/read", {"seq": seq}, expect=422)
    answer = await (await boris.connect()).call("mark_read", {"room_id": room_id, "seq": seq})
    assert answer["error"]["code"] == "invalid"


async def test_many_devices_read_while_many_write_and_the_end_is_right(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    devices = [await boris.connect() for _ in range(3)]
    listening = await anna.connect()

    async def write(person: Person) -> None:
        for number in range(10):
            await say(person, room_id, f"{number}")

    async def mark(seq_of: int) -> None:
        for seq in range(seq_of, 24, 3):
            answer = await devices[seq_of].call("mark_read", {"room_id": room_id, "seq": seq})
            assert answer["ok"], answer
            assert 0 <= answer["unread_count"] == answer["unread_total"]
            assert answer["read_seq"] >= min(seq, 3)

    await asyncio.gather(write(anna), write(boris), *(mark(start) for start in range(3)))
    assert await read(boris, room_id, 1000) == (23, 0, 0)
    await say(anna, room_id)
    assert (await boris.get(f"/rooms/{room_id}"))["me"]["unread_count"] == 1
    assert await read(boris, room_id, 1000) == (24, 0, 0)
    moved = [seq for (seq,) in await marks(service)]
    assert moved == sorted(set(moved))
    while await listening.heard("room_read") != {"room_id": room_id, "user_id": boris.id, "read_seq": moved[-1]}:
        pass
    heard = [event["read_seq"] for name, event in listening.events if name == "room_read"]
    assert heard == moved


async def test_across_a_block_nobody_hears_that_somebody_reads(anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    await anna.put(f"/blocks/{boris.id}", expect=204)
    await read(boris, room_id, 3)
    assert (await boriss.heard("room_read"))["read_seq"] == 3
    await annas.call("nothing_of_that_name")
    assert "room_read" not in [name for name, _ in annas.events]


async def test_who_is_removed_meanwhile_does_not_hear_that_somebody_reads(
    service: Service, cast: Cast, anna: Person, boris: Person, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    if database == "sqlite":
        pytest.skip("one transaction at a time")
    vera = await cast.join("Vera")
    for friend in (boris, vera):
        await cast.befriend(anna, friend)
    body = {"kind": "group", "member_ids": [boris.id, vera.id]}
    group = (await anna.post("/rooms", body, expect=201))["id"]
    await say(anna, group)
    veras, boriss = await vera.connect(), await boris.connect()
    state_of = Repository.state_of

    async def late(self: Repository, user_id: UUID, room_id: UUID) -> Any:
        await anna.delete(f"/rooms/{group}/members/{vera.id}", expect=204)
        return await state_of(self, user_id, room_id)

    monkeypatch.setattr(Repository, "state_of", late)
    await read(boris, group, 2)
    await boriss.heard("room_read")
    await veras.call("nothing_of_that_name")
    assert "room_read" not in [name for name, _ in veras.events]


async def test_who_left_a_direct_room_reads_nothing_of_what_was_before(
    anna: Person, boris: Person, room_id: str
) -> None:
    assert await read(boris, room_id, 1) == (1, 2, 2)
    await boris.post(f"/rooms/{room_id}/leave", expect=204)
    await say(anna, room_id, "are you there?")
    assert await read(boris, room_id, 2) == (1, 1, 1), "a late answer of a device that was away"
    assert await read(boris, room_id, 4) == (4, 0, 0)
