"""2,000 faulty frames and requests, after which the server answers as before and has its memory back."""

import asyncio
import contextlib
import gc
import logging
import tracemalloc

import aiohttp
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from src.realtime.limits import Limits
from src.realtime.packets import MalformedFrame, Packet, decode

from . import garbage
from .conftest import StartStage
from .stage import Stage

FRAMES = 1400
REQUESTS = 600
PER_CONNECTION = 25
QUICK = Limits(per_user=None, per_address=None, kick_seconds=0.01, sweep_seconds=0.02, body_seconds=0.2)


async def rave(stage: Stage, frames: list[bytes], number: int) -> None:
    """Send frames until cut, as text, as binary or in fragments."""
    wire = await stage.websocket()
    if number % 3:
        await wire.enter()
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for index, frame in enumerate(frames):
            kind = aiohttp.WSMsgType.BINARY if (number + index) % 11 == 0 else aiohttp.WSMsgType.TEXT
            await wire.socket.send_frame(frame, kind)
        if number % 4 == 0:
            await wire.close()
    if connection := wire.socket._response.connection:
        connection.transport.abort()


async def shout(stage: Stage, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(request)
        await asyncio.wait_for(reader.read(200), 0.05)
    writer.transport.abort()


async def all_of_it(stage: Stage, seed: int) -> None:
    made = garbage.frames(seed)
    for number in range(FRAMES // PER_CONNECTION):
        await rave(stage, [next(made) for _ in range(PER_CONNECTION)], number)
    poller = await stage.poller()
    requests = garbage.requests(seed, poller.sid)
    for _ in range(0, REQUESTS, 10):
        await asyncio.gather(*(shout(stage, next(requests)) for _ in range(10)))
    for transport in tuple(stage.server.eio.sockets.values()):
        if not transport.connection.namespaces:
            transport.end()
    stage.wires.clear()


@pytest.mark.parametrize("seed", [1, 2026])
async def test_the_server_answers_as_before_and_nothing_is_left(
    start_stage: StartStage, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    stage = await start_stage(limits=QUICK)
    caplog.set_level(logging.INFO)
    witness = await stage.join("boris")
    tasks = len(asyncio.all_tasks())
    await all_of_it(stage, seed)
    assert await witness.call("echo", {"text": "as before"}) == {"ok": True, "text": "as before"}
    async with asyncio.timeout(5):
        while stage.open_transports > 1 or len(stage.connections) > 1 or len(stage.runner.server.connections) > 1:
            await asyncio.sleep(0.02)
    assert len(stage.server.eio.sockets) == len(stage.connections) == len(stage.runner.server.connections) == 1
    assert dict(stage.server.eio.addresses) == {"127.0.0.1": 1}
    assert stage.server.environ == {}
    assert len(asyncio.all_tasks()) <= tasks + 1
    ours = [record for record in caplog.records if record.name.startswith("src.")]
    assert {record.getMessage() for record in ours if record.exc_info} <= {"A socket event failed."}  # the event `fail`
    assert sorted(stage.chat.here[1:]) == sorted(stage.chat.gone)


async def test_the_memory_is_back(start_stage: StartStage) -> None:
    stage = await start_stage(limits=QUICK)
    logging.disable(logging.CRITICAL)  # pytest keeps the records
    await all_of_it(stage, 1)
    await stage.until_empty()
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await all_of_it(stage, 2)
        await stage.until_empty()
        stage.chat.log.clear()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 300_000
    finally:
        tracemalloc.stop()
        logging.disable(logging.NOTSET)


@given(st.binary(max_size=200) | st.builds(bytes.__add__, st.sampled_from(garbage.GOOD), st.binary(max_size=50)))
@hypothesis_settings(max_examples=2000, deadline=None)
def test_any_bytes_are_a_packet_or_malformed(data: bytes) -> None:
    try:
        packet = decode(data)
    except MalformedFrame as fault:
        assert fault.namespace is None or fault.namespace.startswith("/")
    else:
        assert isinstance(packet, Packet)
        assert packet.namespace.startswith("/")
