"""A direct room: one per pair, theirs alone."""

import asyncio
from uuid import uuid4

from .cast import Cast, Person


async def test_two_people_have_one_direct_room_whoever_opens_it(cast: Cast) -> None:
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    made = await anna.raw("POST", "/rooms", {"kind": "direct", "user_id": boris.id})
    again = await boris.raw("POST", "/rooms", {"kind": "direct", "user_id": anna.id})
    assert (made.status, again.status) == (201, 200)
    assert made.json["id"] == again.json["id"]


async def test_a_room_opened_by_both_at_once_is_made_once(cast: Cast) -> None:
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    answers = await asyncio.gather(
        *(
            one.raw("POST", "/rooms", {"kind": "direct", "user_id": other.id})
            for one, other in [(anna, boris), (boris, anna)] * 10
        )
    )
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


async def test_a_room_shows_who_is_in_it_and_what_is_mine(cast: Cast) -> None:
    anna, gildong = await cast.join("Anna"), await cast.join("홍길동")
    room = await open_room(anna, gildong)
    assert room["kind"] == "direct"
    assert room["name"] is None
    assert room["display_name"] == "홍길동"
    assert {member["user"]["id"] for member in room["members"]} == {anna.id, gildong.id}
    assert room["member_count"] == 2
    assert (room["last_seq"], room["rev"], room["last_message"], room["notice"]) == (0, 0, None, None)
    assert room["me"] == {
        "role": "member",
        "read_seq": 0,
        "unread_count": 0,
        "muted_until": None,
        "pinned": False,
        "alias": None,
        "first_seq": 1,
    }


async def test_a_stranger_cannot_tell_that_the_room_exists(cast: Cast) -> None:
    anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
    room = await open_room(anna, boris)
    await send(anna, room["id"], "between us")
    for path in ("/rooms/{}", "/rooms/{}/messages"):
        theirs = await mallory.raw("GET", path.format(room["id"]))
        nobodys = await mallory.raw("GET", path.format(uuid4()))
        assert theirs.status == nobodys.status == 404
        assert {**theirs.json, "request_id": ""} == {**nobodys.json, "request_id": ""}
    refused = await mallory.raw("POST", f"/rooms/{room['id']}/messages", {"client_id": str(uuid4()), "text": "hello?"})
    assert (refused.status, refused.json["code"]) == (404, "not_found")
    assert [line["text"] for line in (await anna.get(f"/rooms/{room['id']}/messages"))["items"]] == ["between us"]


async def test_a_stranger_cannot_send_over_a_socket_either(cast: Cast) -> None:
    anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
    room = await open_room(anna, boris)
    listening, socket = await boris.connect(), await mallory.connect()
    answer = await socket.call("send_message", {"room_id": room["id"], "client_id": str(uuid4()), "text": "boo"})
    assert (answer["ok"], answer["error"]["code"]) == (False, "not_found")
    assert "message_sent" not in [name for name, _ in listening.events]
    assert (await anna.get(f"/rooms/{room['id']}/messages"))["items"] == []


async def test_nobody_opens_a_room_with_themselves_or_with_nobody(cast: Cast) -> None:
    anna = await cast.join("Anna")
    await anna.post("/rooms", {"kind": "direct", "user_id": anna.id}, expect=422)
    await anna.post("/rooms", {"kind": "direct", "user_id": str(uuid4())}, expect=404)


async def test_the_other_one_sees_the_room_with_its_first_message(cast: Cast) -> None:
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    annas, boriss = await anna.connect(), await boris.connect()
    room = await open_room(anna, boris)
    assert (await annas.heard("room_added"))["id"] == room["id"]
    assert "room_added" not in [name for name, _ in boriss.events]
    await send(anna, room["id"], "hello")
    added = await boriss.heard("room_added")
    assert (added["id"], added["display_name"], added["last_message"]["text"]) == (room["id"], "Anna", "hello")
    assert added["me"]["unread_count"] == 1
    assert (await boriss.heard("message_sent"))["text"] == "hello"


async def test_who_was_blocked_cannot_open_the_room_and_who_blocked_can_read_it(cast: Cast) -> None:
    anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
    room = await open_room(mallory, anna)
    await anna.put(f"/blocks/{mallory.id}", expect=204)
    refused = await mallory.raw("POST", "/rooms", {"kind": "direct", "user_id": anna.id})
    assert (refused.status, refused.json["code"]) == (403, "blocked")
    opened = await anna.raw("POST", "/rooms", {"kind": "direct", "user_id": mallory.id})
    assert (opened.status, opened.json["id"]) == (200, room["id"])
    body = {"client_id": str(uuid4()), "text": "hello"}
    answer = await anna.raw("POST", f"/rooms/{room['id']}/messages", body)
    assert (answer.status, answer.json["code"]) == (403, "blocked")


async def open_room(one: Person, other: Person) -> dict:
    return await one.post("/rooms", {"kind": "direct", "user_id": other.id})


async def send(sender: Person, room_id: str, text: str) -> dict:
    body = {"client_id": str(uuid4()), "text": text}
    return (await sender.post(f"/rooms/{room_id}/messages", body, expect=201))["message"]
