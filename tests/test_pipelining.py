"""One socket may send on before it is acknowledged: what it sent is committed in the order in which it was emitted."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from src.events import Event, MessageSent
from src.services.batches import Batch, Outcome, Send

from .cast import Cast, Person, Service, draft
from .test_rooms import open_room, send

SENDS = 240


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def rooms(cast: Cast, anna: Person) -> list[str]:
    """Direct rooms of Anna's in both lanes; the last two have no line yet, and so are in nobody else's list."""
    partners = [await cast.join(f"Boris{number}") for number in range(6)]
    rooms = [str((await open_room(anna, partner))["id"]) for partner in partners]
    for room_id in rooms[:-2]:
        await send(anna, room_id, "first")
    return rooms


@pytest.fixture
def committed(service: Service) -> list[UUID | None]:
    """The client ids of lines, in the order in which they were committed."""
    seen: list[UUID | None] = []

    def hear(events: Sequence[Event]) -> None:
        seen.extend(event.message.client_id for event in events if isinstance(event, MessageSent))

    service.parts.bus.subscribe(hear)
    return seen


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each transaction take a while, so that sends meet in it."""
    store = Batch.store

    async def slowly(self: Batch, sends: Sequence[Send]) -> Outcome:
        await asyncio.sleep(0.01)
        return await store(self, sends)

    monkeypatch.setattr(Batch, "store", slowly)


@pytest.mark.usefixtures("unhurried")
async def test_over_all_rooms_the_order_is_the_one_emitted(
    anna: Person, rooms: list[str], committed: list[UUID | None]
) -> None:
    socket = await anna.connect()
    drafts = [{"room_id": rooms[number % (6 if number > 30 else 4)], **draft()} for number in range(SENDS)]
    answers = await asyncio.gather(*(socket.call("send_message", each) for each in drafts))
    assert all(answer["ok"] and not answer["replayed"] for answer in answers)
    assert [str(each) for each in committed] == [each["client_id"] for each in drafts]


async def test_the_next_event_is_taken_before_a_send_is_acknowledged(
    anna: Person, rooms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, let_go = Batch.store, asyncio.Event()

    async def hold(self: Batch, sends: Sequence[Send]) -> Outcome:
        await let_go.wait()
        return await stored(self, sends)

    monkeypatch.setattr(Batch, "store", hold)
    socket = await anna.connect()
    sending = asyncio.create_task(socket.call("send_message", {"room_id": rooms[0], **draft()}))
    await asyncio.sleep(0)
    assert (await socket.call("nonsense", {}))["error"]["code"] == "unknown_event"
    assert not sending.done()
    let_go.set()
    assert (await sending)["ok"]


async def test_a_socket_is_not_read_on_while_too_much_of_it_is_under_way(
    service: Service, anna: Person, rooms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, let_go = Batch.store, asyncio.Event()

    async def hold(self: Batch, sends: Sequence[Send]) -> Outcome:
        await let_go.wait()
        return await stored(self, sends)

    monkeypatch.setattr(Batch, "store", hold)
    socket = await anna.connect()
    calls = [asyncio.create_task(socket.call("send_message", {"room_id": rooms[0], **draft()})) for _ in range(100)]
    (connection,) = service.parts.connections.of_user(UUID(anna.id))
    while connection.underway < 64:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    assert connection.underway == 64
    let_go.set()
    assert all(answer["ok"] for answer in await asyncio.gather(*calls))
    assert connection.underway == 0


async def test_a_refused_send_does_not_hold_up_the_others(anna: Person, rooms: list[str]) -> None:
    socket = await anna.connect()
    nowhere = "00000000-0000-7000-8000-000000000000"

    async def call(number: int) -> Any:
        where = nowhere if number % 3 == 0 else rooms[number % 4]
        return await socket.call("send_message", {"room_id": where, **draft()})

    answers = await asyncio.gather(*map(call, range(60)))
    assert [answer["ok"] for answer in answers] == [number % 3 != 0 for number in range(60)]


async def test_who_hangs_up_has_sent_what_was_taken(cast: Cast, anna: Person, rooms: list[str]) -> None:
    socket = await anna.connect()
    calls = [asyncio.create_task(socket.call("send_message", {"room_id": rooms[0], **draft()})) for _ in range(50)]
    await calls[0]
    await socket.close()
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    line = await send(anna, rooms[0], "after")
    history = await anna.get(f"/rooms/{rooms[0]}/messages?limit=100")
    assert [each["seq"] for each in history["items"]] == list(range(1, line["seq"] + 1))


async def test_one_that_must_be_alone_does_not_leave_the_others_alone(
    service: Service, anna: Person, rooms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    store = Batch.store

    async def counted(self: Batch, sends: Sequence[Send]) -> Outcome:
        sizes.append(len(sends))
        await asyncio.sleep(0.01)
        return await store(self, sends)

    monkeypatch.setattr(Batch, "store", counted)
    (lane,) = {id(service.parts.sending._lane(UUID(each))) for each in rooms[:1]}
    first_line = next((each for each in rooms[-2:] if id(service.parts.sending._lane(UUID(each))) == lane), rooms[-1])
    socket = await anna.connect()
    wheres = [rooms[0], rooms[0], first_line, *[rooms[0]] * 300]
    await asyncio.gather(*(socket.call("send_message", {"room_id": where, **draft()}) for where in wheres))
    assert len(sizes) < 40


async def test_a_refusal_of_the_database_does_not_last(
    anna: Person, rooms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    store = Batch.store

    async def refuse_one_batch(self: Batch, sends: Sequence[Send]) -> Outcome:
        sizes.append(len(sends))
        await asyncio.sleep(0.01)
        if len(sends) > 1 and max(sizes[:-1]) == 1:
            raise ValueError("a row that the database refuses")
        return await store(self, sends)

    monkeypatch.setattr(Batch, "store", refuse_one_batch)
    socket = await anna.connect()
    calls = (socket.call("send_message", {"room_id": rooms[0], **draft()}) for _ in range(300))
    assert all(answer["ok"] for answer in await asyncio.gather(*calls))
    assert sum(size == 1 for size in sizes) < 80
    assert max(sizes[-5:]) > 1


async def test_what_is_under_way_at_shutdown_is_acknowledged_first(
    cast: Cast, anna: Person, rooms: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Batch.store

    async def slowly(self: Batch, sends: Sequence[Send]) -> Outcome:
        await asyncio.sleep(0.3)
        return await store(self, sends)

    monkeypatch.setattr(Batch, "store", slowly)
    socket = await anna.connect()
    sending = asyncio.create_task(socket.call("send_message", {"room_id": rooms[0], **draft()}))
    (connection,) = cast.service.parts.connections.of_user(UUID(anna.id))
    while not connection.underway:
        await asyncio.sleep(0.005)
    await connection.transport.server.listener.drain()
    assert (await sending)["ok"]
