"""Each fault of the stock library, by its number in the table of pitfalls (§3.1), shown gone."""

import asyncio
import json
import logging
import socket as sockets
import struct

import pytest

from src.errors import Blocked
from src.realtime.limits import Limits

from .conftest import StartStage
from .stage import Stage, person


@pytest.mark.parametrize("event", ["connect", "disconnect", "message", "connect_error", "*", "greet", "left", "answer"])
async def test_e1_a_client_cannot_emit_a_lifecycle_event(stage: Stage, event: str) -> None:
    wire = await stage.join()
    forged = {"REMOTE_ADDR": "10.0.0.1", "token": "boris"}
    answer = await wire.call(event, forged, forged)
    assert answer["error"]["code"] == "unknown_event"
    assert stage.chat.gone == []
    assert len(stage.chat.here) == 1
    assert await wire.call("echo", {"text": "still me"}) == {"ok": True, "text": "still me"}


async def test_e20_a_cancelled_authentication_admits_nobody(stage: Stage) -> None:
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"cancelled"}')
    assert '"code":"unavailable"' in await wire.read()
    assert len(stage.connections) == 0
    await wire.send('42/chat,1["echo",{"text":"hello"}]')
    assert (await wire.acknowledged(1))["error"]["code"] == "unauthorized"
    assert stage.chat.log == []


async def test_e20_an_authentication_that_takes_too_long_admits_nobody(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(event_seconds=0.1, sweep_seconds=0.02))
    stage.sessions.gate.clear()
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna"}')
    assert '"code":"unavailable"' in await wire.read()
    assert len(stage.connections) == 0


async def test_e21_a_handler_cancelled_from_within_is_answered_as_unknown_outcome(stage: Stage) -> None:
    wire = await stage.join()
    answer = await wire.call("cancel", {})
    assert answer["ok"] is False
    assert answer["error"]["code"] == "unavailable"
    assert "client_id" in answer["error"]["detail"]


async def test_e12_what_raises_and_what_is_unknown_is_answered(stage: Stage) -> None:
    wire = await stage.join()
    failed = await wire.call("fail", {})
    assert failed["error"]["code"] == "internal"
    assert "secret" not in json.dumps(failed)
    assert (await wire.call("no_such_event", {}))["error"]["code"] == "unknown_event"
    assert (await wire.call("echo", {"text": "hello"}))["ok"] is True


@pytest.mark.parametrize("arguments", [["text"], [None], [{}, {}], [[]], [5], [{"text": 5}], [{"text": "a", "x": 1}]])
async def test_e12_a_wrong_payload_is_answered(stage: Stage, arguments: list[object]) -> None:
    wire = await stage.join()
    assert (await wire.call("echo", *arguments))["error"]["code"] == "invalid"


async def test_e12_an_event_without_an_argument_counts_as_an_empty_object(stage: Stage) -> None:
    wire = await stage.join()
    assert await wire.call("echo") == {"ok": True, "text": ""}


async def test_e2_e3_nobody_hears_a_broadcast_before_they_are_authenticated(stage: Stage) -> None:
    stage.sessions.gate.clear()
    waiting, broken = await stage.websocket(), await stage.websocket()
    await waiting.send('40/chat,{"token":"anna"}')
    while not stage.sessions.asked:
        await asyncio.sleep(0.01)
    stage.broadcast("secret", "for anna")
    assert stage.connections.of_user(person("anna")) == ()
    stage.sessions.gate.set()
    await broken.send('40/chat,{"token":"broken"}')
    assert (await broken.read()).startswith("44/chat,")
    assert (await waiting.read()).startswith("40/chat,")
    assert (await waiting.read()).startswith('42/chat,["ready"')
    stage.broadcast("secret", "for anna", to="anna")
    assert "for anna" in await waiting.read()
    await broken.send("41/notifications,")
    await broken.send('42/chat,1["echo",{}]')
    assert (await broken.read()).startswith("43/chat,1[")


@pytest.mark.parametrize("failure", [TypeError("no auth"), RuntimeError("broken"), Blocked(), TimeoutError()])
async def test_e3_a_greeting_that_fails_ends_the_connection_and_is_not_tried_twice(
    stage: Stage, failure: Exception
) -> None:
    stage.chat.failure = failure
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna"}')
    await wire.send('42/chat,1["echo",{"text":"hello"}]')
    packets = await wire.ended()
    assert len(packets) <= 1  # the CONNECT, unless the end overtook it
    assert stage.chat.asked_to_greet == 1
    assert stage.chat.log == stage.chat.gone == []
    await stage.until_empty()


@pytest.mark.parametrize("namespace", ["/notifications", "/nowhere", "/"])
async def test_an_event_to_a_namespace_that_was_not_joined_is_refused(stage: Stage, namespace: str) -> None:
    wire = await stage.join("anna")
    head = "" if namespace == "/" else namespace + ","
    await wire.send(f'42{head}7["echo",{{"text":"hello"}}]')
    assert '"code":"unauthorized"' in await wire.read()
    assert stage.chat.log == []


async def test_e8_a_kicked_client_is_told_and_its_transport_aborted(stage: Stage) -> None:
    wire = await stage.join("anna/1")
    other = await stage.join("anna/2")
    stage.connections.close_session(person("anna/1"))
    stage.broadcast("secret", "for the other")
    await wire.send('40/chat,{"token":"anna/1"}')
    await wire.send('42/chat,1["echo",{"text":"too late"}]')
    assert await wire.ended() == ["41/chat,"]
    assert stage.chat.log == []
    assert (await other.call("echo", {"text": "mine"}))["ok"] is True
    stage.connections.close_session(person("anna/2"))
    assert await other.ended() == ["41/chat,"]
    await stage.until_empty()


async def test_e8_a_session_that_ends_while_it_is_being_admitted_is_not(stage: Stage) -> None:
    stage.sessions.gate.clear()
    wire = await stage.websocket()
    await wire.send('40/chat,{"token":"anna/1"}')
    while not stage.sessions.asked:
        await asyncio.sleep(0.01)
    stage.connections.close_session(person("anna/1"))
    stage.sessions.gate.set()
    assert '"code":"unauthorized"' in await wire.read()


async def test_e8_a_second_connect_to_an_open_namespace_is_malformed(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(malformed=2))
    wire = await stage.join()
    await wire.send('40/chat,{"token":"anna"}')
    await wire.send('40/chat,{"token":"boris"}')
    assert await wire.ended() == ["41/chat,"]
    assert stage.sessions.asked == 1


async def test_e9_a_connection_without_a_namespace_is_ended(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(connect_seconds=0.1, sweep_seconds=0.02))
    silent, left, staying = await stage.websocket(), await stage.join(), await stage.join("boris")
    poller = await stage.poller()
    await left.send("41/chat,")
    assert await silent.ended() == []
    assert await left.ended() == []
    with pytest.raises(ConnectionError):
        await poller.get()
    assert (await staying.call("echo", {"text": "here"}))["ok"] is True
    assert stage.open_transports == len(stage.connections) == 1


async def test_e4_a_faulty_frame_does_not_leave_a_ghost(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(kick_seconds=0.01))
    wire = await stage.join()
    await wire.send("x")
    assert await wire.ended() == ["41/chat,"]
    await stage.until_empty()
    assert stage.chat.gone == stage.chat.here


async def test_e4_a_client_that_vanishes_leaves_no_ghost(stage: Stage) -> None:
    wire = await stage.join()
    transport = wire.socket.get_extra_info("socket")
    transport.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket._response.connection.transport.abort()
    await stage.until_empty()
    assert stage.chat.gone == stage.chat.here


async def test_e14_faulty_packets_are_answered_counted_and_cut_with_one_line_in_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await stage.join()
    with caplog.at_level(logging.DEBUG):
        for id in range(30):
            await wire.send(f'42/chat,{id}["echo",{{"text":"secret"')
        packets = await wire.ended()
    assert [packet for packet in packets if '"code":"malformed"' in packet] == packets[:10]
    assert packets[10:] == ["41/chat,"]
    ours = [record for record in caplog.records if record.name.startswith("src.")]
    assert len(ours) == 1
    assert "secret" not in ours[0].getMessage()
    assert ours[0].exc_info is None


@pytest.mark.parametrize(
    "json",
    ["NaN", "[NaN]", "[Infinity]", "[-Infinity]", "[1e999x]", '["\\ud800"]', "[" * 9 + "]" * 9, "[" * 30000],
    ids=["nan", "nan in a list", "infinity", "-infinity", "number", "surrogate", "nine deep", "very deep"],
)
async def test_nan_and_depth_are_refused_before_anything_sees_them(stage: Stage, json: str) -> None:
    wire = await stage.join()
    await wire.send(f'42/chat,7["echo",{{"text":{json}}}]')
    assert (await wire.acknowledged(7))["error"]["code"] == "malformed"
    assert stage.chat.log == []


async def test_e5_binary_is_refused_and_its_attachments_are_not_kept(stage: Stage) -> None:
    wire = await stage.join()
    await wire.send('4520-/chat,3["echo",{"_placeholder":true,"num":0}]')
    for _ in range(20):
        await wire.socket.send_bytes(b"\x00" * 60000)
    assert (await wire.acknowledged(3))["error"]["code"] == "unsupported_type"
    assert (await wire.call("echo", {"text": "fine"}))["ok"] is True
    await wire.send('459999999999-/chat,4["echo"]')
    for _ in range(10):
        await wire.socket.send_bytes(b"\x00" * 60000)
    assert "41/chat," in await wire.ended()


async def test_e10_events_of_one_socket_are_handled_in_their_order(stage: Stage) -> None:
    wire = await stage.join()
    for packet in (
        '42/chat,1["wait",{"seconds":0.1}]',
        '42/chat,2["echo",{"text":"two"}]',
        '42/chat,3["wait",{"seconds":0.05}]',
        '42/chat,4["echo",{"text":"four"}]',
    ):
        await wire.send(packet)
    answered = [(await wire.read()).partition("[")[0] for _ in range(4)]
    assert answered == ["43/chat,1", "43/chat,2", "43/chat,3", "43/chat,4"]
    assert stage.chat.log == ["waited 0.1", "two", "waited 0.05", "four"]


async def test_e10b_a_slow_handler_does_not_cost_the_connection(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(ping_interval=0.3, ping_timeout=0.3, sweep_seconds=0.05))
    wire = await stage.join()
    await wire.send('42/chat,1["wait",{"seconds":0.4}]')
    packets = []
    while not packets or not packets[-1].startswith("43/chat,1["):
        packets.append(await wire.read())
        if packets[-1] == "2":
            await wire.send("3")
    assert "2" in packets
    assert (await wire.call("echo", {"text": "still"}))["ok"] is True


async def test_a_handler_that_takes_too_long_is_ended_and_answered(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(event_seconds=0.1, sweep_seconds=0.02))
    wire = await stage.join()
    answer = await wire.call("wait", {"seconds": 60})
    assert answer["error"]["code"] == "unavailable"
    assert answer["error"]["retry_after_ms"] > 0
    assert stage.chat.cancelled == 1
    assert (await wire.call("echo", {"text": "next"}))["ok"] is True


async def test_a_client_that_does_not_answer_pings_is_let_go(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(ping_interval=0.1, ping_timeout=0.1, sweep_seconds=0.02))
    wire = await stage.join()
    assert set(await wire.ended()) == {"2"}
    await stage.until_empty()


async def test_e6b_the_server_stops_in_time_although_a_client_does_not_read(stage: Stage) -> None:
    wire = await stage.join()
    wire.socket._response.connection.transport.pause_reading()
    for _ in range(30):
        stage.broadcast("news", "x" * 30000)
    async with asyncio.timeout(5):
        await stage.server.drain()
        await stage.runner.cleanup()
    assert stage.open_transports == 0


async def test_a_shutdown_lets_an_event_be_answered_and_tells_the_client_to_come_back(stage: Stage) -> None:
    wire = await stage.join()
    await wire.send('42/chat,1["wait",{"seconds":0.2}]')
    await asyncio.sleep(0.05)
    drain = asyncio.create_task(stage.server.drain())
    await asyncio.sleep(0)
    await wire.send('42/chat,2["echo",{"text":"too late, and not acknowledged"}]')
    packets = await wire.ended()
    await drain
    assert packets == ['43/chat,1[{"ok":true}]']
    assert stage.chat.log == ["waited 0.2"]
    assert wire.socket.close_code == 1001
    async with stage.http.get("/socket.io/?EIO=4&transport=polling") as response:
        assert response.status == 503


async def test_stopping_without_a_connection_is_fine(stage: Stage) -> None:
    await stage.server.drain()
    assert stage.open_transports == 0


async def test_nothing_of_a_client_reaches_the_library_s_rooms_or_handlers(stage: Stage) -> None:
    wire = await stage.join()
    await wire.call("echo", {"text": "hello"})
    assert stage.server.manager.rooms == {}
    assert stage.server.handlers == {}
    assert stage.server.environ == {}
    with pytest.raises(NotImplementedError):
        await stage.server.emit("secret", "to everyone")


async def test_the_client_s_own_acknowledgements_are_ignored(stage: Stage) -> None:
    wire = await stage.join()
    for _ in range(20):
        await wire.send("43/chat,1[]")
    assert (await wire.call("echo", {"text": "hello"}))["ok"] is True
