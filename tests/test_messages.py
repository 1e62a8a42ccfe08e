"""A first conversation: stored once, numbered without holes, acknowledged after the commit, heard by the other."""

import asyncio
import json
import unicodedata
from typing import Any
from uuid import UUID, uuid4

import pytest

from src.clock import now

from .cast import Cast, Person, Service
from .conftest import Node, StartService
from .test_rooms import open_room, send


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def room_id(anna: Person, boris: Person) -> str:
    return (await open_room(anna, boris))["id"]


def draft(room_id: str, text: str = "hello", client_id: str | None = None) -> dict[str, Any]:
    return {"room_id": room_id, "client_id": client_id or str(uuid4()), "text": text}


async def test_what_one_sends_over_a_socket_the_other_hears(anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    answer = await annas.call("send_message", draft(room_id, "안녕하세요"))
    assert (answer["ok"], answer["replayed"]) == (True, False)
    heard = await boriss.heard("message_sent")
    assert heard == answer["message"]
    assert (heard["seq"], heard["rev"], heard["kind"], heard["text"]) == (1, 1, "text", "안녕하세요")
    assert heard["sender"] == {"id": anna.id, "nickname": "Anna", "intro": "", "avatar_url": None}
    assert (await boris.get(f"/rooms/{room_id}/messages"))["items"] == [heard]


async def test_the_sending_socket_hears_no_echo_but_the_senders_other_device_does(anna: Person, room_id: str) -> None:
    sending, other = await anna.connect(), await (await anna.another_device()).connect()
    await sending.call("send_message", draft(room_id))
    await other.heard("message_sent")
    assert [name for name, _ in sending.events] == ["ready"]


async def test_a_message_sent_over_rest_is_heard_by_every_device(anna: Person, boris: Person, room_id: str) -> None:
    sockets = [await anna.connect(), await boris.connect()]
    sent = await send(anna, room_id, "over REST")
    assert [await socket.heard("message_sent") for socket in sockets] == [sent, sent]


async def test_a_client_id_is_stored_once_from_twenty_callers_over_both_doors(
    anna: Person, boris: Person, room_id: str
) -> None:
    socket, body = await anna.connect(), draft(room_id, "once")
    rest = {"client_id": body["client_id"], "text": "once"}
    answers = await asyncio.gather(
        *(socket.call("send_message", body) for _ in range(10)),
        *(anna.post(f"/rooms/{room_id}/messages", rest) for _ in range(10)),
    )
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 19
    assert len({answer["message"]["id"] for answer in answers}) == 1
    assert len((await boris.get(f"/rooms/{room_id}/messages"))["items"]) == 1


async def test_a_repeat_answers_the_original_and_tells_nobody(anna: Person, boris: Person, room_id: str) -> None:
    listening, body = await boris.connect(), {"client_id": str(uuid4()), "text": "first"}
    first = await anna.raw("POST", f"/rooms/{room_id}/messages", body)
    await listening.heard("message_sent")
    again = await anna.raw("POST", f"/rooms/{room_id}/messages", body | {"text": "second"})
    assert (first.status, again.status) == (201, 200)
    assert again.json == {"message": first.json["message"], "replayed": True}
    await send(anna, room_id, "next")
    assert (await listening.heard("message_sent"))["seq"] == 2


async def test_two_people_may_use_the_same_client_id(anna: Person, boris: Person, room_id: str) -> None:
    body = {"client_id": str(uuid4()), "text": "mine"}
    for person in (anna, boris):
        assert not (await person.post(f"/rooms/{room_id}/messages", body))["replayed"]


async def test_numbers_have_no_holes_however_many_send_at_once(anna: Person, boris: Person, room_id: str) -> None:
    await asyncio.gather(*(send(person, room_id, str(number)) for number in range(20) for person in (anna, boris)))
    lines = (await anna.get(f"/rooms/{room_id}/messages", params={"limit": 100}))["items"]
    assert [line["seq"] for line in lines] == list(range(1, 41))
    assert sorted(line["rev"] for line in lines) == list(range(1, 41))


async def test_sends_of_one_socket_commit_in_the_order_emitted(anna: Person, room_id: str) -> None:
    socket = await anna.connect()
    await asyncio.gather(*(socket.call("send_message", draft(room_id, str(number))) for number in range(20)))
    lines = (await anna.get(f"/rooms/{room_id}/messages"))["items"]
    assert [line["text"] for line in lines] == [str(number) for number in range(20)]


async def test_history_pages_both_ways_and_around(anna: Person, room_id: str) -> None:
    for number in range(1, 11):
        await send(anna, room_id, str(number))

    async def page(**query: int) -> tuple[list[int], bool, bool]:
        answer = await anna.get(f"/rooms/{room_id}/messages", params=query)
        return [line["seq"] for line in answer["items"]], answer["has_before"], answer["has_after"]

    assert await page(limit=3) == ([8, 9, 10], True, False)
    assert await page(before_seq=8, limit=3) == ([5, 6, 7], True, True)
    assert await page(before_seq=3) == ([1, 2], False, True)
    assert await page(after_seq=7, limit=2) == ([8, 9], True, True)
    assert await page(after_seq=10) == ([], True, False)
    assert await page(around_seq=5, limit=3) == ([4, 5, 6], True, True)
    assert await page(after_seq=99) == ([], True, False)
    assert await page(before_seq=99, limit=2) == ([9, 10], True, False)
    assert await page(before_seq=1) == ([], False, True)
    assert await page(before_seq=0) == ([], False, True)
    assert await page(after_seq=0) == (list(range(1, 11)), False, False)


async def test_an_empty_room_has_neither_before_nor_after(anna: Person, room_id: str) -> None:
    for query in ({}, {"before_seq": 10}, {"before_seq": 0}, {"after_seq": 10}, {"around_seq": 10}):
        answer = await anna.get(f"/rooms/{room_id}/messages", params=query)
        assert answer == {"items": [], "has_before": False, "has_after": False}, query


async def test_what_i_send_i_have_read_and_what_i_hear_is_unread(anna: Person, boris: Person, room_id: str) -> None:
    await send(boris, room_id, "one")
    await send(boris, room_id, "two")
    assert (await anna.get(f"/rooms/{room_id}"))["me"]["unread_count"] == 2
    assert (await boris.get(f"/rooms/{room_id}"))["me"] | {"unread_count": 0, "read_seq": 2} == (
        await boris.get(f"/rooms/{room_id}")
    )["me"]
    ready = await (await anna.connect()).heard("ready")
    assert ready["unread_total"] == 2
    await send(anna, room_id, "three")
    assert (await anna.get(f"/rooms/{room_id}"))["me"]["unread_count"] == 0


async def test_text_is_trimmed_and_composed(anna: Person, room_id: str) -> None:
    sent = await send(anna, room_id, "  " + unicodedata.normalize("NFD", "점심 어때요?") + "\n")
    assert sent["text"] == "점심 어때요?"


async def test_five_thousand_characters_fit_also_decomposed(anna: Person, room_id: str) -> None:
    body = json.dumps(
        {"client_id": str(uuid4()), "text": unicodedata.normalize("NFD", "각" * 5000)}, ensure_ascii=False
    )
    headers = {"Content-Type": "application/json"}
    sent = await anna.post(f"/rooms/{room_id}/messages", data=body.encode(), headers=headers, expect=201)
    assert sent["message"]["text"] == "각" * 5000


@pytest.mark.parametrize(
    "text", ["", "  \n\t ", "각" * 5001, "\u3164\u2800\u200b", "nul \x00", "lone \ud800", None, 7, ["a"]]
)
async def test_what_is_no_text_is_refused_over_both_doors(anna: Person, room_id: str, text: object) -> None:
    body = {"client_id": str(uuid4()), "text": text}
    answer = await anna.raw("POST", f"/rooms/{room_id}/messages", body)
    assert answer.status in (400, 422), answer
    refused = await (await anna.connect()).call("send_message", {"room_id": room_id, **body})
    assert (refused["ok"], refused["error"]["code"]) in ((False, "invalid"), (False, "malformed"))
    assert (await anna.get(f"/rooms/{room_id}/messages"))["items"] == []


@pytest.mark.parametrize("spelling", ["{{{}}}", "urn:uuid:{}", "no-hyphens", " {}"])
async def test_an_id_has_one_spelling(anna: Person, room_id: str, spelling: str) -> None:
    client_id = uuid4().hex if spelling == "no-hyphens" else spelling.format(uuid4())
    answer = await anna.raw("POST", f"/rooms/{room_id}/messages", {"client_id": client_id, "text": "hello"})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "client_id")


async def test_a_client_cannot_choose_what_the_server_decides(anna: Person, boris: Person, room_id: str) -> None:
    for field, value in {"seq": 99, "rev": 99, "sender_id": boris.id, "id": str(uuid4()), "kind": "system"}.items():
        answer = await anna.raw(
            "POST", f"/rooms/{room_id}/messages", {"client_id": str(uuid4()), "text": "x", field: value}
        )
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_a_block_stops_messages_both_ways(anna: Person, boris: Person, room_id: str) -> None:
    await anna.put(f"/blocks/{boris.id}", expect=204)
    for person in (anna, boris):
        socket = await person.connect()
        assert (await socket.call("send_message", draft(room_id)))["error"]["code"] == "blocked"
    await anna.delete(f"/blocks/{boris.id}", expect=204)
    await send(boris, room_id, "again")


async def test_nobody_writes_to_a_deleted_account(service: Service, anna: Person, boris: Person, room_id: str) -> None:
    sent = await send(boris, room_id, "goodbye")
    async with service.parts.database.transaction() as tx:  # deletion itself comes with a later issue
        await tx.people.change(UUID(boris.id), {"deleted_at": now(), "nickname": None})
        await tx.rooms.change_roster(UUID(room_id))
    answer = await anna.raw("POST", f"/rooms/{room_id}/messages", {"client_id": str(uuid4()), "text": "still there?"})
    assert (answer.status, answer.json["code"]) == (410, "gone")
    (kept,) = (await anna.get(f"/rooms/{room_id}/messages"))["items"]
    assert kept["text"] == "goodbye"
    assert kept["sender"] == sent["sender"] | {"nickname": None}


async def test_nothing_acknowledged_is_lost_by_a_restart(start_service: StartService) -> None:
    first = await start_service()
    anna, boris = await Cast(first).join("Anna"), await Cast(first).join("Boris")
    room = await open_room(anna, boris)
    sent = await send(anna, room["id"], "remember me")
    second = await start_service(public_url=first.settings.public_url)
    again = Cast(second).anonymous
    again.token = boris.token
    assert (await again.get(f"/rooms/{room['id']}/messages"))["items"] == [sent]


async def test_two_people_talk_through_the_stock_javascript_client(service: Service, node: Node) -> None:
    (heard,) = await node("conversation.mjs", service.url)
    assert [line["text"] for line in heard["boris"]] == ["Hello, Boris!"]
    assert [line["text"] for line in heard["anna"]] == ["반가워요, Anna!"]
    assert heard["history"] == [*heard["boris"], *heard["anna"]]
    assert heard["transports"] == ["polling", "websocket"]
