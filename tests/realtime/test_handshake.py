"""Coming in: by WebSocket, by polling, upgrading; who may, and what they hear first."""

import asyncio
import json

import pytest

from .stage import ORIGIN, PATIENCE, Stage, person


async def test_a_socket_joins_a_namespace_and_hears_ready_first(stage: Stage) -> None:
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna"}')
    assert (await wire.read()).startswith('40/chat,{"sid":')
    assert (await wire.read()).startswith('42/chat,["ready",')
    assert await wire.call("echo", {"text": "안녕"}) == {"ok": True, "text": "안녕"}


async def test_polling_becomes_a_websocket_and_loses_nothing(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    poll = asyncio.create_task(poller.get())
    socket = await stage.http.ws_connect(f"/socket.io/?EIO=4&transport=websocket&sid={poller.sid}")
    await socket.send_str("2probe")
    assert await socket.receive_str() == "3probe"
    assert await poll == ["6"]
    stage.broadcast("news", "while upgrading")
    await socket.send_str("5")
    assert await socket.receive_str() == '42/chat,["news","while upgrading"]'
    stage.broadcast("news", "after")
    assert await socket.receive_str() == '42/chat,["news","after"]'
    async with stage.http.get(poller.path) as response:
        assert response.status == 400


async def test_an_upgrade_that_fails_leaves_polling_alive(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.enter()
    socket = await stage.http.ws_connect(f"/socket.io/?EIO=4&transport=websocket&sid={poller.sid}")
    await socket.send_str("nonsense")
    assert (await socket.receive()).type.name in {"CLOSE", "CLOSED"}
    stage.broadcast("news", "still here")
    assert await poller.read() == '42/chat,["news","still here"]'


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        ("", "unauthorized"),
        ("{}", "unauthorized"),
        ('"anna"', "unauthorized"),
        ('["anna"]', "unauthorized"),
        ('{"token":5}', "unauthorized"),
        ('{"token":""}', "unauthorized"),
        (json.dumps({"token": "a" * 4097}), "unauthorized"),
        ('{"token":"안나"}', "unauthorized"),
        ('{"token":"nobody"}', "unauthorized"),
        ('{"token":"late"}', "token_expired"),
        ('{"token":"broken"}', "internal"),
    ],
)
async def test_a_refused_connection_is_told_code_and_detail(stage: Stage, auth: str, code: str) -> None:
    wire = await stage.websocket()
    await wire.send("40/chat," + auth)
    refusal = await wire.read()
    assert refusal.startswith("44/chat,")
    error = json.loads(refusal.partition(",")[2])
    assert error["data"]["code"] == code
    assert error["message"] == error["data"]["detail"]
    assert len(stage.connections) == 0


async def test_an_unknown_namespace_is_refused(stage: Stage) -> None:
    wire = await stage.websocket()
    for packet in ('40{"token":"anna"}', '40/admin,{"token":"anna"}'):
        await wire.send(packet)
        assert '"code":"not_found"' in await wire.read()
    assert stage.sessions.asked == 0


async def test_two_namespaces_share_a_transport_if_they_are_of_one_session(stage: Stage) -> None:
    wire = await stage.join("anna/1")
    await wire.send('40/notifications,{"token":"anna/2"}')
    assert '"code":"unauthorized"' in await wire.read()
    await wire.send('40/notifications,{"token":"boris"}')
    assert '"code":"unauthorized"' in await wire.read()
    await wire.enter("anna/1", "/notifications")
    stage.broadcast("news", "to both", "/notifications")
    assert await wire.read() == '42/notifications,["news","to both"]'
    assert stage.open_transports == len(stage.connections) == 1


async def test_the_sid_that_a_client_is_told_does_not_open_its_transport(stage: Stage) -> None:
    poller = await stage.poller()
    await poller.post('40/chat,{"token":"anna"}')
    sid = json.loads((await poller.read()).partition(",")[2])["sid"]
    assert sid != poller.sid
    async with stage.http.get(f"/socket.io/?EIO=4&transport=polling&sid={sid}") as response:
        assert response.status == 400


async def test_leaving_a_namespace_and_coming_back_on_the_same_transport_is_fine(stage: Stage) -> None:
    wire = await stage.join("anna")
    await wire.send("41/chat,")
    await wire.enter("boris")
    stage.broadcast("news", "for anna", to="anna")
    stage.broadcast("news", "for boris", to="boris")
    assert await wire.read() == '42/chat,["news","for boris"]'
    assert len(stage.chat.gone) == 1


async def test_who_is_gone_before_the_greeting_ends_does_not_stay_as_a_ghost(stage: Stage) -> None:
    stage.chat.greeting.clear()
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna"}')
    assert (await wire.read()).startswith("40/chat,")
    (connection,) = stage.connections.of_user(person("anna"))
    stage.connections.close_session(person("anna/"))
    async with asyncio.timeout(PATIENCE):
        while not connection.transport.closed:
            await asyncio.sleep(0.01)
    assert (stage.chat.here, stage.chat.gone) == ([], [])
    stage.chat.greeting.set()
    await stage.until_empty()
    assert stage.chat.here == stage.chat.gone == [connection.id]


async def test_broadcasts_during_the_greeting_follow_it(stage: Stage) -> None:
    stage.chat.greeting.clear()
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna"}')
    assert (await wire.read()).startswith("40/chat,")
    stage.broadcast("news", "meanwhile")
    stage.chat.greeting.set()
    assert (await wire.read()).startswith('42/chat,["ready"')
    assert await wire.read() == '42/chat,["news","meanwhile"]'


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (ORIGIN, 200),
        (None, 200),
        ("null", 400),
        ("https://chat.example.evil.com", 400),
        ("https://sub.chat.example", 400),
        ("http://chat.example", 400),
        ("http://127.0.0.1", 400),
    ],
)
async def test_only_listed_origins_may_connect_whatever_the_host_header_says(
    stage: Stage, origin: str | None, status: int
) -> None:
    headers = {"Host": "127.0.0.1", "X-Forwarded-Host": "127.0.0.1"} | ({"Origin": origin} if origin else {})
    async with stage.http.get("/socket.io/?EIO=4&transport=polling", headers=headers) as response:
        assert response.status == status


async def test_jsonp_old_protocols_and_encoded_bodies_are_refused(stage: Stage) -> None:
    for query in ("EIO=4&transport=polling&j=0", "EIO=3&transport=polling", "EIO=4&transport=flash", ""):
        async with stage.http.get(f"/socket.io/?{query}") as response:
            assert response.status == 400
    poller = await stage.poller()
    async with stage.http.post(poller.path, data=b"3", headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 415


async def test_a_websocket_is_never_compressed(stage: Stage) -> None:
    path = "/socket.io/?EIO=4&transport=websocket"
    socket = await stage.http.ws_connect(path, compress=15)
    assert socket.compress == 0
    assert socket._response.headers.get("Sec-WebSocket-Extensions") is None


async def test_a_message_may_have_64_kib_and_no_more(stage: Stage) -> None:
    wire = await stage.join()
    frame = '42/chat,1["echo",{"text":"%s"}]'
    await wire.send(frame % ("x" * (65536 - len(frame) + 2)))
    assert (await wire.acknowledged(1))["ok"] is True
    await wire.send(frame % ("x" * (65536 - len(frame) + 3)))
    assert await wire.ended() == []
    assert wire.socket.close_code == 1009
    assert len(stage.chat.log) == 1
    await stage.until_empty()


async def test_a_message_may_come_in_fragments_with_pings_in_between(stage: Stage) -> None:
    wire = await stage.join()
    tcp = wire.socket._response.connection.transport
    first, rest = b'42/chat,1["ec', b'ho",{"text":"whole"}]'
    tcp.write(b"\x01" + bytes([0x80 | len(first)]) + b"\0\0\0\0" + first)
    await wire.socket.ping()
    tcp.write(b"\x80" + bytes([0x80 | len(rest)]) + b"\0\0\0\0" + rest)
    assert await wire.acknowledged(1) == {"ok": True, "text": "whole"}


async def test_a_connection_cut_in_the_middle_of_a_frame_is_let_go(stage: Stage) -> None:
    wire = await stage.join()
    tcp = wire.socket._response.connection.transport
    tcp.write(b"\x81\xfe\xff\xff\0\0\0\0" + b'42/chat,1["echo"')
    await asyncio.sleep(0.05)
    tcp.abort()
    await stage.until_empty()
    assert stage.chat.gone == stage.chat.here
