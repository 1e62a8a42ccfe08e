"""Long-polling: bodies that arrive in pieces, many packets at once, and polls that nobody waits for."""

import asyncio
import json

import pytest

from src.realtime.limits import Limits

from .conftest import StartStage
from .stage import Poller, Stage, person


async def in_pieces(poller: Poller, body: bytes, sizes: int, *, chunked: bool = False) -> bytes:
    """POST over a bare TCP connection, in pieces that arrive one by one; the head of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", poller.stage.port)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    writer.write(f"POST {poller.path} HTTP/1.1\r\nHost: x\r\n{length}\r\nConnection: close\r\n\r\n".encode())
    for start in range(0, len(body), sizes):
        piece = body[start : start + sizes]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    if chunked:
        writer.write(b"0\r\n\r\n")
    response = await reader.read()
    writer.close()
    return response


async def acknowledgements(poller: Poller, count: int) -> list[str]:
    return [await poller.read() for _ in range(count)]


@pytest.mark.parametrize("chunked", [False, True])
async def test_e7_a_body_that_arrives_in_pieces_is_not_lost(stage: Stage, chunked: bool) -> None:
    poller = await stage.poller()
    await poller.enter()
    text = "가" * 20000
    body = ("42/chat,1" + json.dumps(["echo", {"text": text}], ensure_ascii=False)).encode()
    assert (await in_pieces(poller, body, 7001, chunked=chunked)).startswith(b"HTTP/1.1 200")
    assert await acknowledgements(poller, 1) == [
        "43/chat,1" + json.dumps([{"ok": True, "text": text}], ensure_ascii=False, separators=(",", ":"))
    ]


async def test_e7b_many_packets_in_one_post_are_all_handled_in_order(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    body = "\x1e".join(f'42/chat,{id}["echo",{{"text":"{id}"}}]' for id in range(200))
    assert await poller.post(body) == 200
    assert await acknowledgements(poller, 200) == [f'43/chat,{id}[{{"ok":true,"text":"{id}"}}]' for id in range(200)]
    assert stage.chat.log == [str(id) for id in range(200)]


async def test_a_body_that_is_too_large_ends_the_connection(stage: Stage) -> None:
    for declared in (True, False):
        poller = await stage.poller()
        await poller.enter()
        assert b" 400 " in await in_pieces(poller, b"4" * 65537, 65537, chunked=not declared)
        with pytest.raises(ConnectionError):
            await poller.get()
    await stage.until_empty()


async def test_a_body_that_never_ends_ends_the_connection(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(body_seconds=0.1))
    poller = await stage.poller()
    await poller.enter()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(f"POST {poller.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n42/chat".encode())
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await stage.until_empty()


async def test_two_posts_at_once_end_the_connection_since_their_order_is_lost(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    first = asyncio.create_task(poller.post('42/chat,1["wait",{"seconds":0.2}]'))
    await asyncio.sleep(0.05)
    assert await poller.post('42/chat,2["echo",{"text":"overtaking"}]') == 400
    await first
    assert stage.chat.log == ["waited 0.2"]
    await stage.until_empty()


async def test_two_polls_at_once_end_the_connection_since_one_would_swallow_events(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    first = asyncio.create_task(poller.get())
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionError):
        await poller.get()
    assert await first == ["1"]
    await stage.until_empty()


async def test_a_poll_that_its_client_gave_up_ends_the_connection(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(sweep_seconds=0.02))
    poller = await stage.poller()
    await poller.enter()
    poll = asyncio.create_task(poller.get())
    await asyncio.sleep(0.05)
    poll.cancel()
    await stage.until_empty()
    assert stage.chat.gone == stage.chat.here


async def test_a_polling_client_hears_what_others_hear_and_is_pinged(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(ping_interval=0.1, ping_timeout=0.3, sweep_seconds=0.02))
    poller = await stage.poller()
    await poller.enter()
    stage.broadcast("news", "hello")
    packets = []
    while packets.count("2") < 5:
        packets.append(await poller.read())
        if packets[-1] == "2":
            await poller.post("3")
    assert '42/chat,["news","hello"]' in packets


async def test_a_polling_client_that_stays_away_is_let_go(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(ping_interval=0.1, ping_timeout=0.1, sweep_seconds=0.02))
    poller = await stage.poller()
    await poller.enter()
    await stage.until_empty()
    assert await poller.post("3") == 400


async def test_a_client_may_close_by_polling(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    assert await poller.post("1") == 200
    await stage.until_empty()


async def test_a_kicked_polling_client_is_told(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    poll = asyncio.create_task(poller.get())
    await asyncio.sleep(0.05)
    stage.connections.of_user(person("anna"))[0].kick()
    assert await poll == ["41/chat,"]
    await stage.until_empty()
    with pytest.raises(ConnectionError):
        await poller.get()


async def test_a_large_poll_that_is_not_read_does_not_stay(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(ping_timeout=0.2, sweep_seconds=0.02, queue_bytes=32 * 1024 * 1024))
    poller = await stage.poller()
    await poller.enter()
    for _ in range(400):
        stage.broadcast("news", "x" * 50000)
    _, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.transport.pause_reading()
    writer.write(f"GET {poller.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await poller.post("1")
    await stage.until_empty()
    writer.close()
