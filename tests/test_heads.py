"""The beacon: who lost an event that nobody announced notices by the heads of the rooms, and catches up."""

import asyncio
from datetime import timedelta

import pytest

from src.clock import now
from src.services.heads import Heads

from .cast import Cast, Person, Service, Socket, draft
from .replica import Replica, fresh, settle


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def room_id(cast: Cast, anna: Person, boris: Person) -> str:
    room_id = await cast.direct_room(anna, boris)
    await anna.post(f"/rooms/{room_id}/messages", draft(), expect=201)
    return room_id


async def heads(socket: Socket) -> list[tuple[str, int]]:
    """The heads that a socket was told so far."""
    await socket.call("nothing_of_that_name")
    return [(payload["room_id"], payload["rev"]) for name, payload in socket.events if name == "room_head"]


async def test_a_lost_broadcast_is_noticed_by_the_beacon(
    service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    device = await Replica(boris).connect()
    listeners = service.parts.bus._listeners
    whole, listeners[:] = listeners[:], []
    for _ in range(2):
        await anna.post(f"/rooms/{room_id}/messages", draft("lost"), expect=201)
    listeners[:] = whole
    await device.listen()
    assert (device.rooms[room_id].rev, device.syncs) == (1, 0)
    await service.parts.heads.tell()
    await device.listen()
    assert (device.rooms[room_id].rev, device.syncs) == (3, 1)
    await settle(device, await fresh(boris))


async def test_it_shines_by_itself(service: Service, boris: Person, room_id: str) -> None:
    assert service.parts.heads._every_seconds == 20
    socket = await boris.connect()
    beacon = Heads(
        service.parts.database, service.parts.bus.publish, service.parts.connections.people, every_seconds=0.05
    )
    beacon._told_at -= timedelta(seconds=5)
    running = asyncio.create_task(beacon.run())
    assert await socket.heard("room_head") == {"room_id": room_id, "rev": 1}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_only_members_hear_of_a_room(cast: Cast, service: Service, anna: Person, boris: Person) -> None:
    mallory = await cast.join("Mallory")
    shared, silent = await cast.direct_room(anna, boris), await cast.direct_room(anna, mallory)
    await anna.post(f"/rooms/{shared}/messages", draft(), expect=201)
    annas, boriss, mallorys = await anna.connect(), await boris.connect(), await mallory.connect()
    await service.parts.heads.tell()
    assert sorted(await heads(annas)) == sorted([(shared, 1), (silent, 0)])
    assert await heads(boriss) == [(shared, 1)]
    assert await heads(mallorys) == []


async def test_a_room_that_was_left_has_no_beacon(service: Service, boris: Person, room_id: str) -> None:
    socket = await boris.connect()
    await boris.post(f"/rooms/{room_id}/leave", {}, expect=204)
    await service.parts.heads.tell()
    assert await heads(socket) == []


async def test_it_tells_of_a_change_twice_and_then_is_silent(service: Service, boris: Person, room_id: str) -> None:
    socket, parts = await boris.connect(), service.parts
    for times in (1, 2):
        await parts.heads.tell()
        assert await heads(socket) == [(room_id, 1)] * times
    beacon = Heads(parts.database, parts.bus.publish, parts.connections.people, every_seconds=0.01)
    beacon._told_at -= timedelta(seconds=5)
    for _ in range(2):
        await asyncio.sleep(0.05)
        await beacon.tell()
    told = await heads(socket)
    await beacon.tell()
    assert await heads(socket) == told


async def test_what_changed_while_the_database_was_away_is_told_after(
    monkeypatch: pytest.MonkeyPatch, service: Service, boris: Person, room_id: str
) -> None:
    socket, beacon = await boris.connect(), service.parts.heads
    beacon._told_at = long_ago = now() - timedelta(minutes=10)
    with monkeypatch.context() as away:
        away.setattr(beacon, "_here", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await beacon.tell()
    assert beacon._told_at == long_ago
    await beacon.tell()
    assert await heads(socket) == [(room_id, 1)]


async def test_many_people_are_told_some_at_a_time(
    monkeypatch: pytest.MonkeyPatch, service: Service, anna: Person, boris: Person, room_id: str
) -> None:
    monkeypatch.setattr("src.services.heads._PEOPLE_AT_ONCE", 1)
    sockets = [await anna.connect(), await boris.connect()]
    await service.parts.heads.tell()
    assert [await heads(socket) for socket in sockets] == [[(room_id, 1)]] * 2
