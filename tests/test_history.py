"""A page of history: what a member may read of a room, whole and in order (contract §5)."""

# ruff: noqa: F401, F811 - fixtures of another file
from typing import Any

from .cast import Cast, Person, draft
from .test_edits import history, people, room
from .test_groups import say
from .test_rooms import open_room, send


async def test_a_page_shows_every_kind_of_line_as_it_was_told(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, gildong = people
    path = f"/rooms/{room['id']}/messages"
    socket = await gildong.connect()
    for person, body in ((anna, draft("one")), (boris, draft("two", mentions=[anna.id]))):
        await person.post(path, body, expect=201)
    house, one, two = await history(anna, room["id"])
    await boris.post(path, draft("three", reply_to=one["id"]), expect=201)
    await gildong.put(f"/messages/{one['id']}/reactions/👍", expect=200)
    await boris.delete(f"/messages/{two['id']}", expect=200)
    heard = [await socket.heard("message_sent") for _ in range(3)]
    changed = [await socket.heard("message_changed") for _ in range(2)]
    page = await gildong.get(path)
    assert page == {"items": [house, changed[0], changed[1], heard[2]], "has_before": False, "has_after": False}
    assert [line["kind"] for line in page["items"]] == ["system", "text", "text", "text"]
    assert heard[2]["reply_to"]["text"] == "one"


async def test_a_newcomer_reads_from_their_joining_line_on_by_any_position(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    anna, *_ = people
    for number in range(5):
        await say(anna, room, f"before {number}")
    nina = await cast.join("Nina")
    await cast.befriend(anna, nina)
    joined = await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [nina.id]}, expect=200)
    await say(anna, room, "after")
    first_seq = (await nina.get(f"/rooms/{room['id']}"))["me"]["first_seq"]
    assert first_seq == joined["last_seq"]
    for query in (
        {},
        {"before_seq": 99},
        {"after_seq": 0},
        {"after_seq": 2},
        {"around_seq": 1},
        {"around_seq": first_seq},
    ):
        page = await nina.get(f"/rooms/{room['id']}/messages", params=query)
        assert [line["seq"] for line in page["items"]] == [first_seq, first_seq + 1] or query.get("around_seq") == 1, (
            query
        )
        assert all(line["seq"] >= first_seq for line in page["items"])
        assert page["has_before"] is False
    assert (await nina.get(f"/rooms/{room['id']}/messages", params={"before_seq": first_seq}))["items"] == []


async def test_a_quoted_line_is_shown_only_to_who_may_read_it_and_is_empty_once_deleted(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    anna, boris, _ = people
    secret, nina = await say(anna, room, "secret"), await cast.join("Nina")
    await cast.befriend(anna, nina)
    await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [nina.id]}, expect=200)
    await boris.post(f"/rooms/{room['id']}/messages", draft("Oh!", reply_to=secret["id"]), expect=201)
    assert (await history(nina, room["id"]))[-1]["reply_to"] is None
    assert (await history(anna, room["id"]))[-1]["reply_to"]["text"] == "secret"
    await anna.delete(f"/messages/{secret['id']}", expect=200)
    assert (await history(anna, room["id"]))[-1]["reply_to"] | {"sender": None} == {
        "id": secret["id"], "seq": secret["seq"], "sender": None, "text": None,
    }  # fmt: skip


async def test_a_direct_room_that_was_left_is_empty_by_its_id(people: list[Person]) -> None:
    anna, boris, _ = people
    room_id = (await open_room(anna, boris))["id"]
    await send(boris, room_id, "before")
    await anna.post(f"/rooms/{room_id}/leave", expect=204)
    for query in ({}, {"before_seq": 2}, {"after_seq": 0}, {"around_seq": 1}):
        page = await anna.get(f"/rooms/{room_id}/messages", params=query)
        assert page == {"items": [], "has_before": False, "has_after": False}
    await send(boris, room_id, "after")
    assert [line["text"] for line in await history(anna, room_id)] == ["after"]
