"""The faults of the system whose features these are, and that are about rooms and sockets: none of them is here.

The numbers are those of the review of its source. Those about tokens are in test_auth.py, about people in
test_people.py and test_friends.py, about other providers in test_predecessor_sign_in.py; those about files and groups
come with these features.
"""

import asyncio
from uuid import uuid4

import pytest

from src.app import CONTROLLERS
from src.controllers.api import PUBLIC, routes_of

from .cast import Cast, Person, Refused
from .test_rooms import open_room, send


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def mallory(cast: Cast) -> Person:
    return await cast.join("Mallory")


async def test_predecessor_01_nobody_connects_without_a_token(cast: Cast) -> None:
    for auth in ({"token": None}, {"token": ""}, {"token": "guess"}, {"token": 7}):
        with pytest.raises(Refused) as refusal:
            await cast.anonymous.connect(**auth)
        assert refusal.value.data["code"] == "unauthorized"


async def test_predecessor_02_no_client_joins_a_room_by_naming_it(anna: Person, boris: Person, mallory: Person) -> None:
    room = await open_room(anna, boris)
    socket = await mallory.connect()
    for event in ("join_room", "join", "enter_room", "subscribe"):
        answer = await socket.call(event, {"room_id": room["id"]})
        assert (answer["ok"], answer["error"]["code"]) == (False, "unknown_event")
    await send(anna, room["id"], "between us")
    await asyncio.sleep(0.2)
    assert [name for name, _ in socket.events] == ["ready"]


async def test_predecessor_03_a_message_goes_to_its_room_and_to_nobody_else(
    anna: Person, boris: Person, mallory: Person
) -> None:
    room = await open_room(anna, boris)
    boriss, mallorys = await boris.connect(), await mallory.connect()
    await send(anna, room["id"], "between us")
    await boriss.heard("message_sent")
    await asyncio.sleep(0.2)
    assert [name for name, _ in mallorys.events] == ["ready"]


async def test_predecessor_04_a_client_names_neither_the_sender_nor_the_time(anna: Person, boris: Person) -> None:
    room, socket = await open_room(anna, boris), await anna.connect()
    draft = {"room_id": room["id"], "client_id": str(uuid4()), "text": "hello"}
    for forged in ({"sender": {"id": boris.id}}, {"sender_id": boris.id}, {"created_at": "2020-01-01T00:00:00.000Z"}):
        assert (await socket.call("send_message", draft | forged))["error"]["code"] == "invalid"
    assert (await socket.call("send_message", draft))["message"]["sender"]["id"] == anna.id


async def test_predecessor_05_nobody_is_told_who_opens_which_room(anna: Person, boris: Person, mallory: Person) -> None:
    sockets = [await boris.connect(), await mallory.connect()]
    await open_room(anna, boris)
    await asyncio.sleep(0.2)
    assert [[name for name, _ in socket.events] for socket in sockets] == [["ready"], ["ready"]]


async def test_predecessor_06_a_missing_field_stops_nothing(anna: Person, boris: Person) -> None:
    room, socket = await open_room(anna, boris), await anna.connect()
    for payload in ({}, {"room_id": None}, {"room_id": 7, "client_id": {}}, None, "text", [[]]):
        assert (await socket.call("send_message", payload))["error"]["code"] == "invalid"
    await send(anna, room["id"], "still here")


async def test_predecessor_07_what_is_shown_is_what_is_stored(anna: Person, boris: Person) -> None:
    room = await open_room(anna, boris)
    annas, boriss = await anna.connect(), await boris.connect()
    answer = await annas.call("send_message", {"room_id": room["id"], "client_id": str(uuid4()), "text": "once"})
    shown = await boriss.heard("message_sent")
    assert [answer["message"]] == [shown] == (await boris.get(f"/rooms/{room['id']}/messages"))["items"]


async def test_predecessor_08_a_numeric_id_is_refused_and_not_lost_silently(anna: Person) -> None:
    answer = await (await anna.connect()).call("send_message", {"room_id": 1, "client_id": str(uuid4()), "text": "x"})
    assert answer["error"]["errors"][0]["field"] == "room_id"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9000"])
async def test_predecessor_09_pages_of_other_origins_open_no_socket(cast: Cast, origin: str) -> None:
    url = f"{cast.service.url}/socket.io/?EIO=4&transport=polling"
    async with cast.service.http.get(url, headers={"Origin": origin}) as answer:
        assert answer.status == 400
    async with cast.service.http.get(url, headers={"Origin": cast.service.url}) as answer:
        assert answer.status == 200


async def test_predecessor_29_the_history_of_a_strangers_room_is_not_found(
    anna: Person, boris: Person, mallory: Person
) -> None:
    room = await open_room(anna, boris)
    await send(anna, room["id"], "between us")
    await mallory.get(f"/rooms/{room['id']}/messages", expect=404)


async def test_predecessor_30_nobody_writes_into_a_strangers_room(anna: Person, boris: Person, mallory: Person) -> None:
    room = await open_room(anna, boris)
    await mallory.post(f"/rooms/{room['id']}/messages", {"client_id": str(uuid4()), "text": "boo"}, expect=404)
    assert (await anna.get(f"/rooms/{room['id']}/messages"))["items"] == []


async def test_predecessor_35_a_route_is_closed_unless_it_says_that_it_is_open(cast: Cast) -> None:
    for route in (route for controller in CONTROLLERS for route in routes_of(controller)):
        if route.access == PUBLIC:
            continue
        path = route.path.replace("{", "").replace("}", "")
        answer = await cast.anonymous.raw(route.method, path)
        assert answer.status == 401, route


async def test_predecessor_41_two_messages_at_once_have_two_numbers(anna: Person, boris: Person) -> None:
    room = await open_room(anna, boris)
    sent = await asyncio.gather(*(send(person, room["id"], "now") for person in (anna, boris) * 10))
    assert sorted(message["seq"] for message in sent) == list(range(1, 21))


async def test_predecessor_42_an_impossible_request_is_refused_and_leaves_nothing_behind(anna: Person) -> None:
    await anna.post("/rooms", {"kind": "direct", "user_id": str(uuid4())}, expect=404)
    await anna.patch("/users/me", {"nickname": "ㄱ" * 51}, expect=422)
    assert (await anna.get("/users/me"))["nickname"] == "Anna"


async def test_predecessor_43_the_room_of_two_is_theirs_and_no_other(
    anna: Person, boris: Person, mallory: Person
) -> None:
    rooms = [await open_room(anna, other) for other in (boris, mallory)]
    again = [await open_room(anna, other) for other in (boris, mallory)]
    assert [room["id"] for room in rooms] == [room["id"] for room in again]
    assert rooms[0]["id"] != rooms[1]["id"]


async def test_predecessor_46_a_history_comes_in_pages(anna: Person, boris: Person) -> None:
    room = await open_room(anna, boris)
    for number in range(3):
        await send(anna, room["id"], str(number))
    page = await anna.get(f"/rooms/{room['id']}/messages", params={"limit": 2})
    assert (len(page["items"]), page["has_before"]) == (2, True)
    await anna.get(f"/rooms/{room['id']}/messages", params={"limit": 101}, expect=422)
