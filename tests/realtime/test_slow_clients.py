"""E6: a client that does not read is cut, and keeps neither task nor TCP nor queue."""

import asyncio
import gc
import json
import weakref
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from src.realtime.frames import Frame
from src.realtime.limits import UNCAPPED, Limits
from src.realtime.send_queue import CHUNK_BYTES, SendQueue

from .conftest import StartStage
from .stage import Stage, Wire, person

LARGE = "x" * 30000


def stop_reading(wire: Wire) -> None:
    transport = wire.socket._response.connection.transport
    transport.pause_reading()


def waiting_bytes(stage: Stage) -> int:
    """What the server keeps for its clients, in its queues and in its sockets' buffers."""
    total = 0
    for transport in stage.server.eio.sockets.values():
        total += transport._queue._bytes
        if transport._tcp:
            total += transport._tcp.get_write_buffer_size()
    return total


async def test_e6_a_client_that_stops_reading_is_cut_and_its_memory_is_bounded(stage: Stage) -> None:
    wire, reader = await stage.join("anna"), await stage.join("boris")
    stop_reading(wire)
    most = 0
    async with asyncio.timeout(10):
        while stage.connections.of_user(person("anna")):
            stage.broadcast("news", LARGE)
            most = max(most, waiting_bytes(stage))
            await asyncio.sleep(0)
    limits = UNCAPPED
    assert limits.queue_bytes / 2 < most < limits.queue_bytes + 4 * CHUNK_BYTES
    await asyncio.sleep(0)
    assert waiting_bytes(stage) == 0
    assert stage.open_transports == 1
    assert (await reader.call("echo", {"text": "still served"}))["ok"] is True
    assert stage.chat.gone == [stage.chat.here[0]]


async def test_e6_many_small_frames_overflow_too(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(queue_frames=50))
    wire = await stage.join("anna")
    stop_reading(wire)
    async with asyncio.timeout(10):
        while stage.connections.of_user(person("anna")):
            stage.broadcast("news", "x" * 5000)
            await asyncio.sleep(0)
    assert stage.open_transports == 0


async def test_a_client_that_reads_slowly_gets_everything_in_order(stage: Stage) -> None:
    wire = await stage.join("anna")
    stop_reading(wire)
    sent = []
    while len(sent) < 40 or not any(transport._queue._frames for transport in stage.server.eio.sockets.values()):
        sent.append(f"{len(sent)} {LARGE}")
        stage.broadcast("news", sent[-1])
        await asyncio.sleep(0)
    stage.broadcast("news", "last")
    wire.socket._response.connection.transport.resume_reading()
    heard = [json.loads((await wire.read()).partition(",")[2])[1] for _ in sent]
    assert heard == sent
    assert await wire.read() == '42/chat,["news","last"]'
    stage.broadcast("news", "and directly again")
    assert await wire.read() == '42/chat,["news","and directly again"]'
    assert all(transport._queue._flushing is None for transport in stage.server.eio.sockets.values())


async def test_e6_a_polling_client_that_does_not_poll_is_cut(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(queue_frames=20))
    poller = await stage.poller()
    await poller.enter("anna")
    for _ in range(20):
        stage.broadcast("news", "kept")
    assert stage.open_transports == 1
    stage.broadcast("news", "one too many")
    assert stage.open_transports == 0
    with pytest.raises(ConnectionError):
        await poller.get()


async def test_what_waited_goes_before_what_comes_now() -> None:
    written: list[bytes] = []

    async def drain() -> None:
        pass

    tcp = SimpleNamespace(write=written.append, is_closing=lambda: False)
    request = SimpleNamespace(transport=tcp, protocol=SimpleNamespace(writing_paused=False))
    queue = SendQueue(UNCAPPED, lambda: None)
    queue.push(Frame(b"first"))
    queue.attach(cast(web.Request, request), cast(AbstractStreamWriter, SimpleNamespace(drain=drain)))
    queue.push(Frame(b"second"))
    await asyncio.sleep(0.01)
    queue.push(Frame(b"third"))
    assert b"".join(written) == b"\x81\x05first\x81\x06second\x81\x05third"


async def test_a_single_large_frame_is_no_overflow(stage: Stage) -> None:
    poller, wire = await stage.poller(), await stage.join("boris")
    await poller.enter("anna")
    huge = "x" * 3_000_000
    for who in ("anna", "boris"):
        stage.broadcast("news", huge, to=who)
    assert len(await poller.read()) > len(huge)
    assert len(await wire.read()) > len(huge)


async def test_around_a_large_frame_small_ones_have_room(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter("anna")
    huge = "x" * 3_000_000
    for news in ("before", huge, "after"):
        stage.broadcast("news", news, to="anna")
    heard = [await poller.read() for _ in range(3)]
    assert [json.loads(packet[len("42/chat,") :])[1] for packet in heard] == ["before", huge, "after"]


async def test_large_frames_without_end_overflow(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter("anna")
    for _ in range(3):
        stage.broadcast("news", "x" * 3_000_000, to="anna")
    await stage.until_empty()


async def test_a_flood_of_pings_from_a_client_that_does_not_read_is_held_back(stage: Stage) -> None:
    wire = await stage.join("anna")
    stop_reading(wire)
    flood = asyncio.create_task(_ping_for_ever(wire))
    for _ in range(50):
        await asyncio.sleep(0.01)
        assert waiting_bytes(stage) < 1024 * 1024
    flood.cancel()
    stage.connections.close_session(person("anna/"))
    await stage.until_empty()


async def _ping_for_ever(wire: Wire) -> None:
    while True:
        await wire.socket.ping(b"x" * 125)


async def test_a_closed_connection_is_freed(stage: Stage) -> None:
    await stage.join("anna")
    await (await stage.poller()).enter("boris")
    kept = [weakref.ref(transport) for transport in stage.server.eio.sockets.values()]
    assert len(kept) == 2
    stage.connections.close_session(person("anna/"))
    stage.connections.close_session(person("boris/"))
    await stage.until_empty()
    await asyncio.sleep(0.05)
    gc.collect()
    assert [transport() for transport in kept] == [None, None]
