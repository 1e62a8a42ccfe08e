"""The whole service under faulty frames and requests: it answers as before."""

import asyncio
import contextlib
import json
import socket
import struct
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pytest

from src.controllers import http

from ..cast import Cast, Service
from . import garbage


async def rave(service: Service, frames: list[bytes], token: str) -> None:
    websocket = await service.http.ws_connect("/socket.io/?EIO=4&transport=websocket")
    await websocket.send_str("40/chat," + json.dumps({"token": token}))
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for frame in frames:
            await websocket.send_frame(frame, aiohttp.WSMsgType.TEXT)
        await asyncio.wait_for(websocket.receive(), 0.05)
    if connection := websocket._response.connection:
        connection.transport.abort()


async def shout(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(request)
        await asyncio.wait_for(reader.read(200), 0.05)
    writer.transport.abort()


@pytest.mark.one_database
async def test_the_service_answers_as_before(service: Service, cast: Cast) -> None:
    anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
    room = await anna.post("/rooms", {"kind": "direct", "user_id": boris.id})
    annas, boriss = await anna.connect("/chat"), await boris.connect("/chat")
    tasks = len(asyncio.all_tasks())
    made, requests = garbage.frames(7), garbage.requests(7, "nobody")
    for _ in range(50):
        await rave(service, [next(made) for _ in range(30)], str(mallory.token))
    for _ in range(50):
        await asyncio.gather(*(shout(service.settings.port, next(requests)) for _ in range(10)))
    draft = {"room_id": room["id"], "client_id": str(uuid4()), "text": "still here"}
    assert (await annas.call("send_message", draft))["ok"] is True
    assert (await boriss.heard("message_sent"))["text"] == "still here"
    assert (await mallory.get("/users/me"))["id"] == mallory.id
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > tasks + 2:
            await asyncio.sleep(0.1)


@pytest.mark.one_database
async def test_clients_that_hang_up_in_the_middle_are_no_failure_of_ours(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    log = SimpleNamespace(error=lambda what, **_: failures.append(what), info=print, debug=lambda *_, **__: None)
    monkeypatch.setattr(http, "log", log)
    upgrade = (
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    address = urlsplit(service.url)
    for _ in range(50):
        with socket.create_connection((address.hostname, address.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a goodbye
            client.sendall(upgrade)
    await asyncio.sleep(0.5)
    assert failures == []
