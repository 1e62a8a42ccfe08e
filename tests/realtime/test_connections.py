"""Whose connection it is, for how long, and how many a person may have."""

import asyncio
import json
from ipaddress import ip_network
from uuid import uuid4

import pytest

from src.realtime.connections import Connections, Letter
from src.realtime.limits import Limits
from src.realtime.packets import event_frame

from .conftest import StartStage
from .stage import Stage, person

QUICK = Limits(per_user=None, per_address=None, sweep_seconds=0.02)


async def test_a_session_is_warned_once_and_ends_with_its_token(start_stage: StartStage) -> None:
    stage = await start_stage(limits=QUICK)
    wire = await stage.join("anna/1/0.6")
    name, payload = json.loads((await wire.read()).partition(",")[2])
    assert name == "session_expiring"
    assert 0 < payload["in_ms"] <= 300
    assert await wire.ended() == ["41/chat,"]
    await stage.until_empty()


async def test_a_refreshed_session_lives_on_and_is_warned_again(start_stage: StartStage) -> None:
    stage = await start_stage(limits=QUICK)
    wire = await stage.join("anna/1/0.6")
    assert "session_expiring" in await wire.read()
    assert await wire.call("refresh_session", {"token": "anna/1/1"}) == {"ok": True}
    assert "session_expiring" in await wire.read()
    assert await wire.call("refresh_session", {"token": "anna/1/900"}) == {"ok": True}
    await asyncio.sleep(0.7)
    assert (await wire.call("echo", {"text": "alive"}))["ok"] is True


async def test_a_token_of_another_session_does_not_extend_a_connection(stage: Stage) -> None:
    wire = await stage.join("anna/1/60")
    for token in ("anna/2/900", "boris/1/900"):
        assert (await wire.call("refresh_session", {"token": token}))["error"]["code"] == "unauthorized"
    (connection,) = stage.connections.of_user(person("anna"))
    assert connection.viewer is not None
    assert connection.viewer.session_id == person("anna/1")


async def test_an_older_token_does_not_shorten_a_connection(stage: Stage) -> None:
    wire = await stage.join("anna/1/900")
    (connection,) = stage.connections.of_user(person("anna"))
    expires = connection.expires
    assert (await wire.call("refresh_session", {"token": "anna/1/1"}))["ok"] is True
    assert connection.expires == expires


async def test_an_event_after_the_token_s_end_is_refused_though_the_sweep_is_late(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(sweep_seconds=60))
    wire = await stage.join("anna/1/0.2")
    await asyncio.sleep(0.3)
    await wire.send('42/chat,1["echo",{"text":"late"}]')
    refused, bye = await wire.ended()
    assert '"code":"token_expired"' in refused
    assert bye == "41/chat,"
    assert stage.chat.log == []


async def test_a_broadcast_reaches_every_connection_of_its_people_but_the_one_named(stage: Stage) -> None:
    first, second = await stage.join("anna/1"), await stage.join("anna/2")
    boris, mallory = await stage.join("boris"), await stage.join("mallory")
    origin = stage.connections.of_user(person("anna"))[0]
    frame_to = [person("anna"), person("boris")]
    stage.connections.send(frame_to, "/chat", [Letter(event_frame("/chat", "news", b'"hello"'), origin.id)])
    stage.broadcast("last", "anna")
    stage.broadcast("last", "mallory", to="mallory")
    assert await second.read() == '42/chat,["news","hello"]'
    assert await boris.read() == '42/chat,["news","hello"]'
    assert await first.read() == '42/chat,["last","anna"]'
    assert await mallory.read() == '42/chat,["last","mallory"]'


async def test_frames_for_the_same_people_are_joined_and_each_origin_gets_the_others(stage: Stage) -> None:
    first, second = await stage.join("anna/1"), await stage.join("anna/2")
    poller = await stage.poller()
    await poller.enter("anna/3")
    one, other, _ = stage.connections.of_user(person("anna"))
    news = [event_frame("/chat", "news", b"%d" % number) for number in range(3)]
    origins = one.id, None, other.id
    letters = [Letter(frame, origin) for frame, origin in zip(news, origins, strict=True)]
    stage.connections.send([person("anna")], "/chat", letters)
    said = [f'42/chat,["news",{number}]' for number in range(3)]
    assert [await first.read() for _ in range(2)] == said[1:]
    assert [await second.read() for _ in range(2)] == said[:2]
    assert [await poller.read() for _ in range(3)] == said


async def test_a_namespace_that_is_not_open_hears_nothing(stage: Stage) -> None:
    wire = await stage.join("anna")
    stage.broadcast("news", "elsewhere", "/notifications")
    stage.broadcast("news", "here")
    assert await wire.read() == '42/chat,["news","here"]'


async def test_who_is_here_is_known_by_person_and_session(stage: Stage) -> None:
    wire = await stage.join("anna/1")
    await stage.join("anna/2")
    assert stage.connections.sessions() == {person("anna/1"), person("anna/2")}
    assert len(stage.connections) == 2
    await wire.close()
    async with asyncio.timeout(5):
        while len(stage.connections) > 1:
            await asyncio.sleep(0.01)
    assert stage.connections.sessions() == {person("anna/2")}


class Counted(float):
    """A number that knows how often it was compared."""

    times = 0

    def __gt__(self, other: float) -> bool:
        Counted.times += 1
        return float(self) > other

    def __le__(self, other: float) -> bool:
        Counted.times += 1
        return float(self) <= other


def test_to_end_many_sessions_looks_at_each_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.realtime.connections.REMEMBER_ENDED_SECONDS", Counted(60))
    monkeypatch.setattr(Counted, "times", 0)
    connections = Connections()
    for _ in range(1000):
        connections.close_session(uuid4())
    assert 0 < Counted.times <= 2000


async def test_a_person_may_have_so_many_connections(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(per_user=2, per_address=None))
    first = await stage.join("anna")
    await stage.join("anna")
    third = await stage.websocket()
    await third.send('40/chat,{"token":"anna"}')
    assert '"code":"rate_limited"' in await third.read()
    await stage.join("boris")
    await first.close()
    async with asyncio.timeout(5):
        while len(stage.connections.of_user(person("anna"))) > 1:
            await asyncio.sleep(0.01)
    await third.enter("anna")


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_address_may_have_so_many_connections_and_cannot_invent_others(
    start_stage: StartStage, trusted: bool
) -> None:
    networks = [ip_network("127.0.0.0/8")] if trusted else []
    stage = await start_stage(limits=Limits(per_user=None, per_address=2), networks=networks)
    for name in ("anna", "boris"):
        await stage.join(name, **{"X-Forwarded-For": "1.1.1.1, 203.0.113.7"})
    third = await stage.websocket(**{"X-Forwarded-For": "8.8.8.8, 203.0.113.7"})
    await third.send('40/chat,{"token":"mallory"}')
    assert '"code":"rate_limited"' in await third.read()
    elsewhere = await stage.websocket(**{"X-Forwarded-For": "203.0.113.8"})
    await elsewhere.send('40/chat,{"token":"mallory"}')
    assert (await elsewhere.read()).startswith("40/chat," if trusted else "44/chat,")
    (connection,) = stage.connections.of_user(person("anna"))
    assert connection.address == ("203.0.113.7" if trusted else "127.0.0.1")


async def test_an_address_with_far_too_many_connections_is_refused_at_the_door(start_stage: StartStage) -> None:
    stage = await start_stage(limits=Limits(per_address=1))
    for _ in range(2):
        await stage.poller()
    async with stage.http.get("/socket.io/?EIO=4&transport=polling") as response:
        assert response.status == 429
    assert stage.open_transports == 2
