"""Sends that come together share a transaction: each is stored or refused by itself, acknowledged once it is sure."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from src.clock import now
from src.config import Settings
from src.db import postgres_sends
from src.db.database import Transaction
from src.db.ids import new_id
from src.errors import Unavailable
from src.services import lanes, sending
from src.services.batches import Batch, Outcome, Send
from src.services.system_lines import add_system_line

from .cast import Answer, Cast, Person, Service, draft
from .conftest import StartService
from .test_rooms import open_room, send

Commit = Callable[..., Awaitable[None]]


@pytest.fixture
async def service(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service with one lane, so that all sends meet in it."""
    monkeypatch.setattr(postgres_sends, "LANES", 1)
    return await start_service()


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def room_id(anna: Person, boris: Person) -> str:
    """The room of Anna and Boris, in both their lists."""
    room = await open_room(anna, boris)
    await send(anna, room["id"], "first")
    return str(room["id"])


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sends each transaction had."""
    sizes: list[int] = []
    store = Batch.store

    async def counted(self: Batch, sends: Sequence[Send]) -> Outcome:
        sizes.append(len(sends))
        return await store(self, sends)

    monkeypatch.setattr(Batch, "store", counted)
    return sizes


@contextlib.asynccontextmanager
async def held(service: Service, person: Person, room_id: str) -> AsyncIterator[Transaction]:
    """A transaction that has the room, so that the lane waits for it, and more and more wait for the lane."""
    async with service.parts.database.transaction() as tx:
        await tx.rooms.joined_by_and_locked(UUID(person.id), UUID(room_id))
        yield tx


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.005)


def waiting(service: Service) -> int:
    """How many sends wait for the next batch."""
    return sum(len(lane._waiting) for lane in service.parts.sending._lanes)


def post(person: Person, room_id: str, **fields: Any) -> "asyncio.Task[Answer]":
    return asyncio.create_task(person.raw("POST", f"/rooms/{room_id}/messages", draft(**fields)))


async def lines(person: Person, room_id: str) -> list[Any]:
    return list((await person.get(f"/rooms/{room_id}/messages", params={"limit": 100}))["items"])


class TestABatch:
    async def test_is_what_has_come_while_the_last_one_was_stored(
        self, service: Service, anna: Person, room_id: str, sizes: list[int]
    ) -> None:
        async with held(service, anna, room_id):
            sends = [post(anna, room_id)]
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            sends += [post(anna, room_id) for _ in range(20)]
            await until(lambda: waiting(service) == 20)
        assert [answer.status for answer in await asyncio.gather(*sends)] == [201] * 21
        assert sizes == [1, 20]
        assert [line["seq"] for line in await lines(anna, room_id)] == list(range(1, 23))

    async def test_is_one_send_where_nobody_else_sends(self, anna: Person, room_id: str, sizes: list[int]) -> None:
        for _ in range(3):
            await send(anna, room_id, "alone")
        assert sizes == [1, 1, 1]

    async def test_has_one_line_for_one_client_id(self, service: Service, anna: Person, room_id: str) -> None:
        socket, client_id = await anna.connect(), str(uuid4())
        async with held(service, anna, room_id):
            rest = [post(anna, room_id, client_id=client_id) for _ in range(5)]
            emitted = asyncio.create_task(
                socket.call("send_message", {"room_id": room_id, **draft(client_id=client_id)})
            )
            await until(lambda: waiting(service) == 5)
        answers = [answer.json for answer in await asyncio.gather(*rest)] + [await emitted]
        assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 5
        assert len({answer["message"]["id"] for answer in answers}) == 1
        assert len(await lines(anna, room_id)) == 2

    async def test_goes_on_although_a_caller_has_gone(self, service: Service, anna: Person, room_id: str) -> None:
        async with held(service, anna, room_id):
            first = post(anna, room_id)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            sends = [asyncio.create_task(_straight(service, anna, room_id)) for _ in range(5)]
            await until(lambda: waiting(service) == 5)
            sends[2].cancel()
            await asyncio.sleep(0)
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers] == ["Sent", "Sent", "CancelledError", "Sent", "Sent"]
        assert (await first).status == 201
        assert [line["seq"] for line in await lines(anna, room_id)] == list(range(1, 7))

    async def test_takes_no_more_than_can_wait(
        self, service: Service, anna: Person, room_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lanes, "MAX_WAITING", 3)
        async with held(service, anna, room_id):
            sends = [post(anna, room_id)]
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            sends += [post(anna, room_id) for _ in range(5)]
            await until(lambda: sum(each.done() for each in sends) == 2)
        answers = [await each for each in sends]
        assert sorted(answer.status for answer in answers) == [201] * 4 + [503] * 2
        assert len(await lines(anna, room_id)) == 5

    async def test_stores_nothing_for_who_has_waited_too_long(
        self, service: Service, anna: Person, room_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with held(service, anna, room_id):
            first = post(anna, room_id)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            second = post(anna, room_id)
            await until(lambda: waiting(service) == 1)
            monkeypatch.setattr(lanes, "MAX_WAIT_SECONDS", -1)
        assert ((await first).status, (await second).status) == (201, 503)
        assert len(await lines(anna, room_id)) == 2


async def _straight(service: Service, person: Person, room_id: str) -> Any:
    from src.schemas.drafts import MessageDraft

    return await service.parts.sending.send(
        UUID(person.id), UUID(room_id), MessageDraft.model_validate_json(f'{{"client_id":"{uuid4()}","text":"x"}}')
    )


class TestABadOne:
    async def test_fails_alone(
        self, service: Service, cast: Cast, anna: Person, boris: Person, room_id: str, sizes: list[int]
    ) -> None:
        mallory = await cast.join("Mallory")
        blocked = (await open_room(anna, mallory))["id"]
        await send(anna, blocked, "first")
        elsewhere = await send(anna, blocked, "elsewhere")
        await anna.put(f"/blocks/{mallory.id}")
        first = (await lines(anna, room_id))[0]
        sizes.clear()
        async with held(service, anna, room_id):
            blocker = post(anna, room_id)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            sends = {
                "good": post(anna, room_id, text="good"),
                "stranger": post(mallory, room_id),
                "nowhere": post(anna, str(uuid4())),
                "blocked": post(anna, blocked),
                "blocked too": post(mallory, blocked),
                "quotes another room": post(anna, room_id, reply_to=elsewhere["id"]),
                "quotes nothing": post(anna, room_id, reply_to=str(uuid4())),
                "mentions a stranger": post(anna, room_id, mentions=[boris.id, mallory.id]),
                "also good": post(boris, room_id, text="also good", reply_to=first["id"], mentions=[anna.id]),
            }
            await until(lambda: waiting(service) == len(sends))
        await blocker
        answers = {name: await each for name, each in sends.items()}
        assert sizes == [1, len(sends)]
        assert {name: (answer.status, answer.json.get("code")) for name, answer in answers.items()} == {
            "good": (201, None),
            "stranger": (404, "not_found"),
            "nowhere": (404, "not_found"),
            "blocked": (403, "blocked"),
            "blocked too": (403, "blocked"),
            "quotes another room": (422, "invalid"),
            "quotes nothing": (422, "invalid"),
            "mentions a stranger": (422, "invalid"),
            "also good": (201, None),
        }
        fields = [answers[name].json["errors"][0]["field"] for name in ("quotes nothing", "mentions a stranger")]
        assert fields == ["reply_to", "mentions"]
        stored = await lines(anna, room_id)
        assert [line["seq"] for line in stored] == [1, 2, 3, 4]
        assert {line["text"] for line in stored} >= {"good", "also good"}

    async def test_that_the_database_refuses_fails_alone(
        self, service: Service, anna: Person, room_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        taken = UUID((await lines(anna, room_id))[0]["id"])
        async with held(service, anna, room_id):
            first = post(anna, room_id)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            ids = iter([taken])
            monkeypatch.setattr(sending, "new_id", lambda: next(ids, None) or new_id())
            bad = post(anna, room_id, text="its id is taken")
            await until(lambda: waiting(service) == 1)
            good = [post(anna, room_id, text="good") for _ in range(3)]
            await until(lambda: waiting(service) == 4)
        assert (await first).status == 201
        assert [answer.status for answer in await asyncio.gather(*good)] == [201] * 3
        assert (await bad).status in (409, 500)
        assert [line["text"] for line in await lines(anna, room_id)][2:] == ["good"] * 3
        await send(anna, room_id, "and the lane goes on")

    async def test_is_who_was_blocked_while_it_waited(
        self, service: Service, anna: Person, boris: Person, room_id: str
    ) -> None:
        async with held(service, anna, room_id) as tx:
            waiting_one = post(anna, room_id)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            await tx.blocks.add(UUID(boris.id), UUID(anna.id), now())
            await tx.rooms.change_roster_of_pair([UUID(anna.id), UUID(boris.id)])
        assert (await waiting_one).json["code"] == "blocked"
        assert len(await lines(anna, room_id)) == 1

    async def test_is_who_was_removed_while_it_waited(
        self, service: Service, cast: Cast, anna: Person, boris: Person
    ) -> None:
        await cast.befriend(anna, boris)
        group = (await anna.post("/rooms", {"kind": "group", "name": "Hill", "member_ids": [boris.id]}))["id"]
        await send(boris, group, "I am in")
        listening = await boris.connect()
        async with held(service, anna, group) as tx:
            waiting_one = post(boris, group)
            await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
            of_anna = post(anna, group, text="without him")
            await until(lambda: waiting(service) == 1)
            await tx.members.remove(UUID(group), UUID(boris.id))
            await tx.rooms.change_roster(UUID(group))
        assert ((await waiting_one).status, (await of_anna).status) == (404, 201)
        assert [line["text"] for line in await lines(anna, group)][1:] == ["I am in", "without him"]
        await listening.call("no_such_event")
        assert _heard(listening.events) == []


class TestTheAcknowledgement:
    async def test_comes_after_the_commit_and_so_does_the_event(
        self, service: Service, anna: Person, boris: Person, room_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sending_, listening = await anna.connect(), await boris.connect()
        committing, go_on = asyncio.Event(), asyncio.Event()

        async def slow(commit: Commit, *args: Any) -> None:
            committing.set()
            await go_on.wait()
            await commit(*args)

        with _commit_is(service, monkeypatch, slow):
            answer = asyncio.create_task(sending_.call("send_message", {"room_id": room_id, **draft()}))
            await committing.wait()
            for socket in (await anna.connect(), listening):
                await socket.call("no_such_event")  # what was sent before it would be here
            early = answer.done(), _heard(listening.events), len(await lines(boris, room_id))
            go_on.set()
            message = (await answer)["message"]
        assert early == (False, [], 1)
        assert await listening.heard("message_sent") == message
        assert (await lines(boris, room_id))[-1] == message

    @pytest.mark.parametrize("committed", [False, True])
    async def test_tells_the_truth_when_the_answer_to_the_commit_is_lost(
        self,
        service: Service,
        anna: Person,
        boris: Person,
        room_id: str,
        monkeypatch: pytest.MonkeyPatch,
        committed: bool,
    ) -> None:
        listening, losses = await boris.connect(), iter([False, True, True])

        async def lossy(commit: Commit, *args: Any) -> None:
            lost = next(losses, False)
            if committed or not lost:
                await commit(*args)
            if lost:
                raise ConnectionResetError("the server is gone")

        with _commit_is(service, monkeypatch, lossy):
            async with held(service, anna, room_id):
                sends = [post(anna, room_id)]
                await until(lambda: service.parts.sending._lanes[0]._worker and not waiting(service))
                sends += [post(anna, room_id) for _ in range(3)]
                await until(lambda: waiting(service) == 3)
            answers = await asyncio.gather(*sends)
        assert [(answer.status, answer.json["replayed"]) for answer in answers] == [(201, False)] * 4
        heard = [await listening.heard("message_sent") for _ in range(4)]
        assert sorted(line["seq"] for line in heard) == [2, 3, 4, 5]
        assert {line["id"] for line in heard} == {answer.json["message"]["id"] for answer in answers}
        assert (await lines(anna, room_id))[1:] == sorted(heard, key=lambda line: line["seq"])
        await send(anna, room_id, "last")
        assert (await listening.heard("message_sent"))["text"] == "last"

    async def test_is_honest_when_the_database_stays_away(
        self, service: Service, anna: Person, room_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lanes, "RETRY_SECONDS", 0.1)
        socket, away = await anna.connect(), True
        store = Batch.store

        async def unreachable(self: Batch, sends: Sequence[Send]) -> Outcome:
            if away:
                raise Unavailable
            return await store(self, sends)

        monkeypatch.setattr(Batch, "store", unreachable)
        body = {"room_id": room_id, **draft()}
        refused = (await socket.call("send_message", body))["error"]
        assert (refused["code"], refused["retry_after_ms"]) == ("unavailable", 1000)
        assert "unknown" in refused["detail"]
        away = False
        again = await socket.call("send_message", body)
        assert (again["ok"], again["replayed"], again["message"]["seq"]) == (True, False, 2)


@contextlib.contextmanager
def _commit_is(
    service: Service, monkeypatch: pytest.MonkeyPatch, strange: Callable[..., Awaitable[None]]
) -> Iterator[None]:
    """`strange(commit, …)` in the place of the COMMIT of batches."""
    owner: Any = type(service.parts.database.sends[0])
    commit = owner._commit

    async def patched(self: Any, *args: Any) -> None:
        await strange(commit, self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(owner, "_commit", patched)
        yield


class TestNumbers:
    async def test_have_no_holes_however_sends_and_other_changes_mix(
        self, service: Service, cast: Cast, anna: Person
    ) -> None:
        people = [await cast.join(f"Person{number}") for number in range(5)]
        rooms = [(await open_room(anna, person))["id"] for person in people]
        database = service.parts.database

        async def talk(person: Person, room_id: str) -> None:
            for _ in range(5):
                await send(person, room_id, "hello")

        async def change(room_id: str) -> None:
            for number in range(8):
                async with database.transaction() as tx:
                    room = await tx.rooms.joined_by_and_locked(UUID(anna.id), UUID(room_id))
                    assert room is not None
                    if number % 2:
                        await add_system_line(tx, room, now(), "renamed", UUID(anna.id), name="Hill")
                    else:
                        await tx.rooms.next_rev(room.id, now())

        pairs = list(zip(people, rooms, strict=True))
        await asyncio.gather(
            *(talk(person, room_id) for person, room_id in pairs for _ in range(3)),
            *(talk(anna, room_id) for room_id in rooms for _ in range(3)),
            *(change(room_id) for room_id in rooms),
        )
        for room_id in rooms:
            room, stored = await anna.get(f"/rooms/{room_id}"), await lines(anna, room_id)
            assert [line["seq"] for line in stored] == list(range(1, 35))
            assert [line["rev"] for line in stored] == sorted({line["rev"] for line in stored})
            assert (room["last_seq"], room["rev"], room["me"]["unread_count"]) == (34, 38, room["me"]["unread_count"])
            assert [line["created_at"] for line in stored] == sorted(line["created_at"] for line in stored)

    async def test_of_one_socket_are_in_the_order_emitted_over_several_rooms(
        self, cast: Cast, anna: Person, boris: Person
    ) -> None:
        rooms = [(await open_room(anna, person))["id"] for person in (boris, await cast.join("Mallory"))]
        socket = await anna.connect()
        calls = [
            socket.call("send_message", {"room_id": rooms[number % 2], **draft(str(number))}) for number in range(200)
        ]
        answers = await asyncio.gather(*calls)
        assert [answer["message"]["text"] for answer in answers] == [str(number) for number in range(200)]
        for each in (0, 1):
            texts = [line["text"] for line in await lines(anna, rooms[each])]
            assert texts == [str(number) for number in range(each, 200, 2)]
        ids = [answer["message"]["id"] for answer in answers]
        assert ids == sorted(ids)


@pytest.fixture
def postgres_only(database: str) -> None:
    if database == "sqlite":
        pytest.skip("SQLite has no connection to lose")


@pytest.mark.usefixtures("postgres_only")
class TestAServerThatFails:
    async def test_loses_no_acknowledged_send_and_stores_none_twice(
        self, service: Service, cast: Cast, anna: Person, settings: Settings
    ) -> None:
        people = [await cast.join(f"Person{number}") for number in range(6)]
        rooms = [(await open_room(anna, person))["id"] for person in people]
        sockets, listening = [await person.connect() for person in people], await anna.connect()
        acknowledged: list[Any] = []
        unknown: set[str] = set()
        database = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))

        async def kill() -> None:
            for _ in range(6):
                enough = len(acknowledged) + 15
                while len(acknowledged) < enough:
                    await asyncio.sleep(0.005)
                drivers = [sends._driver for sends in service.parts.database.sends]  # type: ignore[attr-defined]
                pids = [driver.get_server_pid() for driver in drivers if not driver.is_closed()]
                await database.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", pids)

        async def talk(number: int) -> None:
            while not killing.done():
                body = {"room_id": rooms[number], **draft()}
                emit = sockets[number].client.call
                while not (answer := await emit("send_message", body, namespace="/chat", timeout=30))["ok"]:
                    assert answer["error"]["code"] == "unavailable", answer
                    unknown.add(body["client_id"])
                acknowledged.append(answer)

        killing = asyncio.create_task(kill())
        await asyncio.gather(*(talk(number) for number in range(6)))
        rows = await database.fetch("SELECT room_id, id, seq FROM messages ORDER BY room_id, seq")
        await database.close()
        ids = sorted(answer["message"]["id"] for answer in acknowledged)
        assert sorted(str(row["id"]) for row in rows) == ids
        for room_id in rooms:
            seqs = [row["seq"] for row in rows if str(row["room_id"]) == room_id]
            assert seqs == list(range(1, len(seqs) + 1))
        certain = {answer["message"]["id"] for answer in acknowledged if answer["message"]["client_id"] not in unknown}
        assert not any(answer["replayed"] for answer in acknowledged if answer["message"]["id"] in certain)
        await until(lambda: certain <= set(_heard(listening.events)))
        assert len(_heard(listening.events)) == len(set(_heard(listening.events)))
        assert len(certain) > len(unknown)

    async def test_may_be_another_one_when_it_is_back_so_members_are_asked_anew(
        self, service: Service, anna: Person, boris: Person, settings: Settings
    ) -> None:
        room_id = (await open_room(anna, boris))["id"]
        await send(anna, room_id, "first")
        await send(anna, room_id, "second")
        (sends,) = service.parts.database.sends
        driver = sends._driver  # type: ignore[attr-defined]
        database = await asyncpg.connect(settings.database_url.replace("+asyncpg", ""))
        # What a restore may bring: another membership under the same number of the roster.
        await database.execute("DELETE FROM members WHERE user_id = $1", UUID(boris.id))
        await database.execute("SELECT pg_terminate_backend($1)", driver.get_server_pid())
        await database.close()
        boriss = await boris.connect()
        await until(driver.is_closed)
        await send(anna, room_id, "not for Boris")
        assert (await boriss.call("nonsense", {}))["ok"] is False
        assert _heard(boriss.events) == []


def _heard(events: list[tuple[str, Any]]) -> list[str]:
    return [payload["id"] for name, payload in events if name == "message_sent"]
