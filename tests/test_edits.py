"""Editing and deleting: one's own, within the window, told to all who may read it (contract §5, §9)."""

import asyncio
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from src.clock import now

from .cast import Cast, Person, Socket, draft
from .conftest import StartService
from .test_groups import make, say
from .test_rooms import open_room, send


@pytest.fixture
async def people(cast: Cast) -> list[Person]:
    """Anna, and her friends Boris and 홍길동."""
    anna, *friends = [await cast.join(name) for name in ("Anna", "Boris", "홍길동")]
    for friend in friends:
        await cast.befriend(anna, friend)
    return [anna, *friends]


@pytest.fixture
async def room(people: list[Person]) -> dict[str, Any]:
    """A group of the three."""
    return await make(people[0], *people[1:])


async def history(person: Person, room_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await person.get(f"/rooms/{room_id}/messages"))["items"]
    return items


async def quiet_until(socket: Socket, person: Person, room_id: str) -> list[str]:
    """The names of what a socket heard of messages and rooms, up to a line that is sent now."""
    mark = await send(person, room_id, "mark")
    while (await socket.heard("message_sent"))["id"] != mark["id"]:
        pass
    return [name for name, _ in socket.events if name in ("message_changed", "room_changed")]


async def test_an_edit_is_answered_heard_by_every_device_and_found_in_the_history(
    people: list[Person], room: dict[str, Any]
) -> None:
    anna = people[0]
    sent = await say(anna, room, "점심 어때?")
    sockets = [await person.connect() for person in people]
    changed = await anna.patch(f"/messages/{sent['id']}", {"text": "  저녁 어때?  "}, expect=200)
    assert (changed["text"], changed["seq"], changed["rev"]) == ("저녁 어때?", sent["seq"], sent["rev"] + 1)
    assert changed["edited_at"] and changed["deleted_at"] is None
    assert changed | {"text": "", "rev": 0, "edited_at": ""} == sent | {"text": "", "rev": 0, "edited_at": ""}
    assert [await socket.heard("message_changed") for socket in sockets] == [changed] * 3
    for person in people:
        assert (await history(person, room["id"]))[-1] == changed
        assert (await person.get(f"/rooms/{room['id']}"))["rev"] == changed["rev"]


async def test_a_deletion_leaves_a_tombstone_without_content(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    first = await say(boris, room, "first")
    body = draft("never mind", reply_to=first["id"], mentions=[boris.id])
    sent = (await anna.post(f"/rooms/{room['id']}/messages", body))["message"]
    await boris.put(f"/messages/{sent['id']}/reactions/👍")
    socket = await boris.connect()
    gone = await anna.delete(f"/messages/{sent['id']}", expect=200)
    assert (gone["text"], gone["mentions"], gone["reactions"], gone["reply_to"]) == (None, [], [], None)
    assert gone["deleted_at"] and gone["seq"] == sent["seq"] and gone["rev"] == sent["rev"] + 2
    assert await socket.heard("message_changed") == gone
    assert (await history(boris, room["id"]))[-1] == gone
    assert (await boris.get(f"/messages/{sent['id']}/reactions"))["items"] == []


async def test_the_same_over_a_socket(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    annas, boriss = await anna.connect(), await boris.connect()
    edited = await annas.call("edit_message", {"message_id": sent["id"], "text": "bye"})
    assert edited == {"ok": True, "message": await boriss.heard("message_changed")}
    deleted = await annas.call("delete_message", {"message_id": sent["id"]})
    assert deleted == {"ok": True, "message": await boriss.heard("message_changed")}
    assert deleted["message"]["deleted_at"]


async def test_what_is_already_so_changes_nothing_and_tells_nobody(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    kept, gone = await say(anna, room, "kept"), await say(anna, room, "gone")
    tombstone = await anna.delete(f"/messages/{gone['id']}")
    socket = await boris.connect()
    assert await anna.patch(f"/messages/{kept['id']}", {"text": " kept\n"}, expect=200) == kept
    assert await anna.delete(f"/messages/{gone['id']}", expect=200) == tombstone
    assert await quiet_until(socket, anna, room["id"]) == []
    assert (await anna.get(f"/rooms/{room['id']}"))["rev"] == tombstone["rev"] + 1


async def test_two_edits_at_once_get_two_revs(people: list[Person], room: dict[str, Any]) -> None:
    anna, _, _ = people
    sent = await say(anna, room)
    edits = [anna.patch(f"/messages/{sent['id']}", {"text": f"version {n}"}, expect=200) for n in range(10)]
    answers = await asyncio.gather(*edits)
    assert sorted(each["rev"] for each in answers) == [sent["rev"] + n for n in range(1, 11)]
    assert (await history(anna, room["id"]))[-1] == max(answers, key=lambda each: each["rev"])


async def test_a_deletion_twice_at_once_is_one(people: list[Person], room: dict[str, Any]) -> None:
    anna, _, _ = people
    sent = await say(anna, room)
    answers = await asyncio.gather(*(anna.delete(f"/messages/{sent['id']}", expect=200) for _ in range(5)))
    assert [each["rev"] for each in answers] == [sent["rev"] + 1] * 5


async def test_a_deleted_message_cannot_be_edited(people: list[Person], room: dict[str, Any]) -> None:
    anna, _, _ = people
    sent = await say(anna, room)
    await anna.delete(f"/messages/{sent['id']}")
    refused = await anna.raw("PATCH", f"/messages/{sent['id']}", {"text": "back again"})
    assert (refused.status, refused.json["code"]) == (410, "gone")


async def test_nobody_changes_anothers_message_nor_a_line_of_the_house(
    people: list[Person], room: dict[str, Any]
) -> None:
    anna, boris, _ = people
    theirs = await say(boris, room)
    house = (await history(anna, room["id"]))[0]
    assert house["kind"] == "system"
    for line in (theirs, house):
        edited = await anna.raw("PATCH", f"/messages/{line['id']}", {"text": "words in your mouth"})
        deleted = await anna.raw("DELETE", f"/messages/{line['id']}")
        assert [(each.status, each.json["code"]) for each in (edited, deleted)] == [(403, "forbidden")] * 2
    assert (await history(boris, room["id"])) == [house, theirs]


async def test_after_the_window_a_message_stays_as_it_is(people: list[Person], room: dict[str, Any]) -> None:
    anna, _, _ = people
    sent = await say(anna, room, "carved in stone")
    with patch("src.services.edits.now", lambda: now() + timedelta(hours=24, seconds=1)):
        for method, body in (("PATCH", {"text": "carved in sand"}), ("DELETE", None)):
            refused = await anna.raw(method, f"/messages/{sent['id']}", body)
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
        await anna.patch(f"/messages/{sent['id']}", {"text": "carved in stone"}, expect=200)
    with patch("src.services.edits.now", lambda: now() + timedelta(hours=23, minutes=59)):
        await anna.patch(f"/messages/{sent['id']}", {"text": "carved in sand"}, expect=200)


async def test_a_window_of_zero_never_closes(start_service: StartService) -> None:
    cast = Cast(await start_service(edit_window_hours=0))
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    sent = await send(anna, (await open_room(anna, boris))["id"], "x")
    with patch("src.services.edits.now", lambda: now() + timedelta(days=4000)):
        await anna.patch(f"/messages/{sent['id']}", {"text": "y"}, expect=200)


async def test_across_a_block_one_may_delete_but_not_edit(people: list[Person]) -> None:
    anna, boris, _ = people
    room_id = (await open_room(anna, boris))["id"]
    mine, theirs = await send(anna, room_id, "mine"), await send(boris, room_id, "theirs")
    await anna.put(f"/blocks/{boris.id}", expect=204)
    for person, line in ((anna, mine), (boris, theirs)):
        refused = await person.raw("PATCH", f"/messages/{line['id']}", {"text": "insult"})
        assert (refused.status, refused.json["code"]) == (403, "blocked")
        await person.delete(f"/messages/{line['id']}", expect=200)


async def test_a_stranger_cannot_tell_whether_a_message_exists(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    sent, mallory = await say(people[0], room), await cast.join("Mallory")
    calls = [
        ("PATCH", "", {"text": "mine now"}), ("DELETE", "", None), ("PUT", "/reactions/👍", None),
        ("DELETE", "/reactions/👍", None), ("GET", "/reactions", None), ("GET", "/receipts", None),
    ]  # fmt: skip
    for method, path, body in calls:
        theirs = await mallory.raw(method, f"/messages/{sent['id']}{path}", body)
        nobodys = await mallory.raw(method, f"/messages/{uuid4()}{path}", body)
        assert theirs.status == nobodys.status == 404
        assert theirs.json | {"request_id": ""} == nobodys.json | {"request_id": ""}
    socket = await mallory.connect()
    for event, more in (
        ("edit_message", {"text": "x"}),
        ("delete_message", {}),
        ("react_to_message", {"emoji": "👍", "on": True}),
    ):
        assert (await socket.call(event, {"message_id": sent["id"], **more}))["error"]["code"] == "not_found"
    assert [name for name, _ in socket.events] == ["ready"]


async def test_who_left_reaches_their_own_messages_no_more(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(boris, room)
    await boris.post(f"/rooms/{room['id']}/leave", expect=204)
    for method, body in (("PATCH", {"text": "x"}), ("DELETE", None)):
        assert (await boris.raw(method, f"/messages/{sent['id']}", body)).status == 404
    assert (await history(anna, room["id"]))[1] == sent


async def test_a_newcomer_neither_reaches_nor_hears_of_what_was_before(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    anna, _, _ = people
    old, newcomer = await say(anna, room, "old secret"), await cast.join("Nina")
    await cast.befriend(anna, newcomer)
    await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [newcomer.id]}, expect=200)
    socket = await newcomer.connect()
    for path in ("reactions", "receipts"):
        assert (await newcomer.raw("GET", f"/messages/{old['id']}/{path}")).status == 404
    assert (await newcomer.raw("PUT", f"/messages/{old['id']}/reactions/👍")).status == 404
    await anna.patch(f"/messages/{old['id']}", {"text": "old secret, edited"}, expect=200)
    assert await quiet_until(socket, anna, room["id"]) == []


async def test_what_a_reply_quotes_stays_hidden_from_who_came_after_it(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    anna, boris, _ = people
    secret, newcomer = await say(anna, room, "the secret"), await cast.join("Nina")
    await cast.befriend(anna, newcomer)
    await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [newcomer.id]})
    reply = (await boris.post(f"/rooms/{room['id']}/messages", draft("Oh!", reply_to=secret["id"])))["message"]
    boriss, ninas = await boris.connect(), await newcomer.connect()
    await boris.patch(f"/messages/{reply['id']}", {"text": "Oh, that!"}, expect=200)
    assert (await boriss.heard("message_changed"))["reply_to"]["text"] == "the secret"
    heard = await ninas.heard("message_changed")
    assert (heard["text"], heard["reply_to"]) == ("Oh, that!", None)
    answer = await newcomer.put(f"/messages/{reply['id']}/reactions/👍", expect=200)
    assert answer["reply_to"] is None
    assert "secret" not in str(ninas.events)


async def test_deleting_the_notice_clears_it_with_a_rev_of_its_own(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room, "Bring water")
    await anna.patch(f"/rooms/{room['id']}", {"notice_id": sent["id"]}, expect=200)
    socket = await boris.connect()
    before = (await boris.get(f"/rooms/{room['id']}"))["rev"]
    gone = await anna.delete(f"/messages/{sent['id']}", expect=200)
    assert await socket.heard("message_changed") == gone
    assert await socket.heard("room_changed") == {"room_id": room["id"], "rev": before + 2, "notice": None}
    assert gone["rev"] == before + 1
    shown = await boris.get(f"/rooms/{room['id']}")
    assert (shown["notice"], shown["rev"]) == (None, before + 2)


async def test_mentions_stay_when_a_text_is_edited(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = (await anna.post(f"/rooms/{room['id']}/messages", draft("@Boris?", mentions=[boris.id])))["message"]
    edited = await anna.patch(f"/messages/{sent['id']}", {"text": "anybody?"})
    assert edited["mentions"] == sent["mentions"] == [boris.id]


@pytest.mark.parametrize("text", ["", "  ", "각" * 5001, "nul \x00", "\u3164", None, 7])
async def test_a_text_is_refused_as_when_it_is_sent(people: list[Person], room: dict[str, Any], text: object) -> None:
    anna, _, _ = people
    sent = await say(anna, room)
    refused = await anna.raw("PATCH", f"/messages/{sent['id']}", {"text": text})
    assert refused.status == 422, refused
    answer = await (await anna.connect()).call("edit_message", {"message_id": sent["id"], "text": text})
    assert answer["error"]["code"] in ("invalid", "malformed")
    assert (await history(anna, room["id"]))[-1] == sent


async def test_a_room_left_and_come_back_to_gives_no_old_line_to_change(people: list[Person]) -> None:
    anna, boris, _ = people
    room_id = (await open_room(anna, boris))["id"]
    sent = await send(anna, room_id, "before")
    await anna.post(f"/rooms/{room_id}/leave", expect=204)
    await send(boris, room_id, "come back")
    assert (await anna.raw("DELETE", f"/messages/{sent['id']}")).status == 404
