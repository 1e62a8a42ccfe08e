# ruff: noqa: F401, F811 - fixtures of another file
"""Receipts: who has read a message, and when (contract §5, §9)."""

from typing import Any
from uuid import UUID

from src.clock import now
from src.schemas.common import rfc3339

from .cast import Cast, Person, Service
from .test_edits import people, room
from .test_groups import say


async def readers(person: Person, message: dict[str, Any]) -> dict[str, str]:
    """Who has read it, and when, in the order of the answer."""
    items = (await person.get(f"/messages/{message['id']}/receipts", expect=200))["items"]
    return {item["user"]["nickname"]: item["read_at"] for item in items}


async def read(person: Person, room: dict[str, Any], seq: int) -> None:
    await person.post(f"/rooms/{room['id']}/read", {"seq": seq}, expect=200)


async def test_who_marks_it_read_is_told_with_the_time(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, gildong = people
    sent = await say(anna, room)
    assert await readers(anna, sent) == {}
    begun = rfc3339(now())
    await read(boris, room, sent["seq"])
    told = await readers(anna, sent)
    assert list(told) == ["Boris"]
    assert begun <= told["Boris"] <= rfc3339(now())
    await read(gildong, room, sent["seq"])
    assert list(await readers(boris, sent)) == ["Boris", "홍길동"]


async def test_reading_further_on_does_not_move_the_time(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    await read(boris, room, sent["seq"])
    first = await readers(anna, sent)
    later = await say(anna, room)
    await read(boris, room, later["seq"])
    assert await readers(anna, sent) == first
    assert (await readers(anna, later))["Boris"] >= first["Boris"]


async def test_who_answers_has_read(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, gildong = people
    sent = await say(anna, room)
    answer = await say(boris, room)
    again = await say(boris, room)
    assert await readers(anna, sent) == {"Boris": answer["created_at"]}
    assert await readers(anna, answer) == {}
    await read(gildong, room, sent["seq"])
    assert list(await readers(anna, sent)) == ["Boris", "홍길동"]
    assert await readers(gildong, again) == {}


async def test_who_came_later_is_not_among_the_readers(cast: Cast, people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent, nina = await say(anna, room), await cast.join("Nina")
    await cast.befriend(anna, nina)
    await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [nina.id]}, expect=200)
    later = await say(anna, room)
    await read(nina, room, later["seq"])
    assert await readers(boris, sent) == {}
    assert list(await readers(boris, later)) == ["Nina"]


async def test_who_left_is_no_longer_named(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    await read(boris, room, sent["seq"])
    await boris.post(f"/rooms/{room['id']}/leave", expect=204)
    assert await readers(anna, sent) == {}


async def test_a_line_of_the_house_is_read_by_anybody(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    house = (await boris.get(f"/rooms/{room['id']}/messages"))["items"][0]
    await read(boris, room, house["seq"])
    assert "Boris" in await readers(anna, house)


async def test_a_reader_without_a_mark_is_told_with_a_time_that_is_not_before_the_message(
    service: Service,
    people: list[Person],
    room: dict[str, Any],
) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    await cursor_without_mark(service, room, boris, sent["seq"])
    assert (await readers(anna, sent))["Boris"] >= sent["created_at"]


async def test_who_takes_a_direct_room_out_of_their_list_has_still_read(cast: Cast, people: list[Person]) -> None:
    anna, boris, _ = people
    direct = {"id": await cast.direct_room(anna, boris)}
    sent = await say(anna, direct)
    await read(boris, direct, sent["seq"])
    before = await readers(anna, sent)
    await boris.post(f"/rooms/{direct['id']}/leave", expect=204)
    assert await readers(anna, sent) == before
    assert list(before) == ["Boris"]


async def test_the_time_of_a_reader_without_a_mark_tells_nothing_of_their_settings(
    service: Service, people: list[Person], room: dict[str, Any]
) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    await cursor_without_mark(service, room, boris, sent["seq"])
    await boris.patch(f"/rooms/{room['id']}/me", {"pinned": True}, expect=200)
    assert (await readers(anna, sent))["Boris"] == sent["created_at"]


async def cursor_without_mark(service: Service, room: dict[str, Any], person: Person, seq: int) -> None:
    """As from before there were marks."""
    async with service.parts.database.transaction() as tx:
        await tx.members.change(UUID(room["id"]), UUID(person.id), read_seq=seq, read_ordinal=1)
