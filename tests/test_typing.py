"""Who is typing: heard by the others of the room and by nobody else, and always ended by the server."""

from typing import Any
from uuid import UUID

import pytest

from src.services.throttle import POLICIES
from src.services.typing import ROOMS_AT_ONCE

from .cast import Cast, Person, Service, Socket, draft
from .conftest import StartService


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
    await anna.post(f"/rooms/{room_id}/messages", draft(), expect=201)
    return room_id


async def set_typing(socket: Socket, room_id: str, on: bool) -> None:
    assert await socket.call("set_typing", {"room_id": room_id, "on": on}) == {"ok": True}


def typing(socket: Socket) -> list[tuple[str, bool]]:
    """Who began and ended to type, as this socket heard it."""
    return [(payload["user_id"], payload["on"]) for name, payload in socket.events if name == "typing_changed"]


async def heard_all(socket: Socket) -> None:
    """Wait until everything that the server has sent to this socket is here."""
    await socket.call("nothing_of_that_name")


def nobody_types(service: Service) -> bool:
    return not service.parts.typing._typing


async def test_the_other_hears_that_somebody_begins_and_ends(anna: Person, boris: Person, room_id: str) -> None:
    annas, other, boriss = await anna.connect(), await anna.connect(), await boris.connect()
    await set_typing(annas, room_id, True)
    assert await boriss.heard("typing_changed") == {"room_id": room_id, "user_id": anna.id, "on": True}
    await set_typing(annas, room_id, False)
    assert await boriss.heard("typing_changed") == {"room_id": room_id, "user_id": anna.id, "on": False}
    await heard_all(other)
    assert typing(annas) == typing(other) == []


async def test_who_goes_on_is_announced_once_and_ends_once(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    for on in (False, True, True, True, False, False):
        await set_typing(annas, room_id, on)
    await heard_all(boriss)
    assert typing(boriss) == [(anna.id, True), (anna.id, False)]
    assert nobody_types(service)


async def test_it_ends_by_itself_and_later_if_it_is_said_again(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    assert service.parts.typing._lasts_seconds == 6
    service.parts.typing._lasts_seconds = 1.5
    annas, boriss = await anna.connect(), await boris.connect()
    await set_typing(annas, room_id, True)
    begun = service.parts.typing._typing[UUID(anna.id)][UUID(room_id)]
    first = begun.ends
    await set_typing(annas, room_id, True)
    assert first.cancelled()
    assert begun.ends is not first and begun.ends.when() >= first.when()  # in milliseconds
    while typing(boriss) != [(anna.id, True), (anna.id, False)]:
        await boriss.heard("typing_changed")
    assert nobody_types(service)


async def test_a_message_ends_the_typing_of_its_sender_there_alone(
    cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    elsewhere = await cast.direct_room(boris, anna)
    vera = await cast.join("Vera")
    other = await cast.direct_room(anna, vera)
    await anna.post(f"/rooms/{other}/messages", draft(), expect=201)
    annas, boriss, veras = await anna.connect(), await boris.connect(), await vera.connect()
    assert elsewhere == room_id
    await set_typing(boriss, room_id, True)
    await set_typing(annas, room_id, True)
    await set_typing(annas, other, True)
    await annas.call("send_message", draft(room_id=room_id))
    await heard_all(boriss)
    assert typing(boriss) == [(anna.id, True), (anna.id, False)]
    names = [name for name, _ in boriss.events if name in ("message_sent", "typing_changed")]
    assert names == ["typing_changed", "message_sent", "typing_changed"]
    await heard_all(veras)
    assert typing(veras) == [(anna.id, True)]
    assert typing(annas) == [(boris.id, True)]


async def test_it_ends_with_the_last_socket(service: Service, anna: Person, boris: Person, room_id: str) -> None:
    annas, other, boriss = await anna.connect(), await anna.connect(), await boris.connect()
    await set_typing(annas, room_id, True)
    await annas.close()
    await heard_all(boriss)
    assert typing(boriss) == [(anna.id, True)]
    await other.close()
    while typing(boriss) != [(anna.id, True), (anna.id, False)]:
        await boriss.heard("typing_changed")
    assert nobody_types(service)


async def test_to_a_stranger_the_room_is_not_there_and_nothing_is_heard(
    cast: Cast, anna: Person, boris: Person, room_id: str
) -> None:
    mallory = await cast.join("Mallory")
    annas, boriss, mallorys = await anna.connect(), await boris.connect(), await mallory.connect()
    for on in (True, False):
        answer = await mallorys.call("set_typing", {"room_id": room_id, "on": on})
        assert answer["error"]["code"] == "not_found"
    await set_typing(annas, room_id, True)
    for socket in (mallorys, boriss):
        await heard_all(socket)
    assert typing(boriss) == [(anna.id, True)]
    assert typing(mallorys) == []


async def test_who_has_not_the_room_in_their_list_hears_nothing(cast: Cast, anna: Person, boris: Person) -> None:
    room_id = await cast.direct_room(anna, boris)
    annas, boriss = await anna.connect(), await boris.connect()
    await set_typing(annas, room_id, True)
    await heard_all(boriss)
    assert typing(boriss) == []


async def test_across_a_block_neither_hears_the_other(anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    await anna.put(f"/blocks/{boris.id}", expect=204)
    for socket in (annas, boriss):
        await set_typing(socket, room_id, True)
    for socket in (annas, boriss):
        await heard_all(socket)
    assert typing(annas) == typing(boriss) == []


async def test_a_block_silences_who_types_already(service: Service, anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    for socket in (annas, boriss):
        await set_typing(socket, room_id, True)
    await anna.put(f"/blocks/{boris.id}", expect=204)
    assert nobody_types(service)
    for socket in (annas, boriss):
        await set_typing(socket, room_id, False)
        await heard_all(socket)
    assert (typing(annas), typing(boriss)) == ([(boris.id, True)], [(anna.id, True)])


async def test_who_is_removed_stops_typing_and_hears_nothing_of_it(
    service: Service, cast: Cast, anna: Person, boris: Person
) -> None:
    vera = await cast.join("Vera")
    await cast.befriend(anna, vera)
    body = {"kind": "group", "member_ids": [boris.id, vera.id]}
    group = (await anna.post("/rooms", body, expect=201))["id"]
    annas, boriss, veras = await anna.connect(), await boris.connect(), await vera.connect()
    await set_typing(boriss, group, True)
    await set_typing(veras, group, True)
    await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)
    await set_typing(veras, group, False)
    for socket in (annas, boriss, veras):
        await heard_all(socket)
    assert typing(annas) == [(boris.id, True), (vera.id, True), (boris.id, False), (vera.id, False)]
    assert typing(boriss) == [(vera.id, True)]
    assert typing(veras) == [(boris.id, True), (boris.id, False)]
    assert nobody_types(service)
    answer = await boriss.call("set_typing", {"room_id": group, "on": True})
    assert answer["error"]["code"] == "not_found"


async def test_who_is_removed_while_the_members_are_asked_for_hears_nothing(
    monkeypatch: pytest.MonkeyPatch, service: Service, cast: Cast, anna: Person, boris: Person
) -> None:
    group = (await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]}, expect=201))["id"]
    annas, boriss = await anna.connect(), await boris.connect()
    single_read = service.parts.database.single_read
    asked: list[bool] = []

    class Late:
        """What was read is handed over after Boris was removed."""

        async def __aenter__(self) -> Any:
            self._reads = single_read()
            return await self._reads.__aenter__()

        async def __aexit__(self, *how: Any) -> None:
            await self._reads.__aexit__(*how)
            if not asked:
                asked.append(True)
                await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)

    monkeypatch.setattr(service.parts.typing, "_database", type("Database", (), {"single_read": lambda _: Late()})())
    await set_typing(annas, group, True)
    await heard_all(boriss)
    assert asked
    assert typing(boriss) == []


async def test_who_has_left_a_direct_room_is_not_heard_typing(anna: Person, boris: Person, room_id: str) -> None:
    annas, boriss = await anna.connect(), await boris.connect()
    await anna.post(f"/rooms/{room_id}/leave", expect=204)
    await set_typing(annas, room_id, True)
    await boris.post(f"/rooms/{room_id}/messages", draft(), expect=201)
    await boriss.heard("message_sent")
    assert typing(boriss) == []


async def test_nobody_types_in_more_rooms_than_that(service: Service, cast: Cast, anna: Person) -> None:
    annas = await anna.connect()
    rooms = []
    for number in range(ROOMS_AT_ONCE + 1):
        rooms.append(await cast.direct_room(anna, await cast.join(f"Friend{number}")))
        await set_typing(annas, rooms[-1], True)
    assert [str(room_id) for room_id in service.parts.typing._typing[UUID(anna.id)]] == rooms[1:]


@pytest.mark.one_database
async def test_who_types_too_often_is_told_to_wait(start_service: StartService) -> None:
    cast = Cast(await start_service(rate_limits="on"))
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    room_id, socket = await cast.direct_room(anna, boris), await anna.connect()
    amount, seconds = POLICIES["typing"]
    assert amount <= seconds
    answers = [await socket.call("set_typing", {"room_id": room_id, "on": True}) for _ in range(amount + 1)]
    assert [answer["ok"] for answer in answers] == [True] * amount + [False]
    assert answers[-1]["error"]["code"] == "rate_limited"
    await cast.leave()


@pytest.mark.one_database
@pytest.mark.parametrize("payload", [{"on": 1}, {"on": "true"}, {"on": None}, {}, {"on": True, "for": 60}])
async def test_what_is_no_typing_is_refused(anna: Person, room_id: str, payload: dict[str, Any]) -> None:
    answer = await (await anna.connect()).call("set_typing", payload | {"room_id": room_id})
    assert answer["error"]["code"] == "invalid"


async def test_a_message_that_some_hear_without_its_quotation_ends_it_for_all(
    cast: Cast, anna: Person, boris: Person
) -> None:
    nina = await cast.join("Nina")
    await cast.befriend(anna, nina)
    group = (await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]}, expect=201))["id"]
    quoted = (await anna.post(f"/rooms/{group}/messages", draft(), expect=201))["message"]["id"]
    await anna.post(f"/rooms/{group}/members", {"user_ids": [nina.id]}, expect=200)
    annas, boriss, ninas = await anna.connect(), await boris.connect(), await nina.connect()
    await set_typing(annas, group, True)
    await annas.call("send_message", draft(room_id=group, reply_to=quoted))
    for socket in (boriss, ninas):
        await heard_all(socket)
        assert typing(socket) == [(anna.id, True), (anna.id, False)]
