"""Kills of a real `chatty serve` while people write and the ladder tells who has not read: nobody may be forgotten.

Half of the kills come at any moment, half while a worker holds a room. In the end each acknowledged message has one
outcome on each rung for each member who has not read it, and where that is `pending`, work in the outbox.

`.venv/bin/python -m tests.ladder_kills --kills 50 --database sqlite --seed 7`
"""

import asyncio
import contextlib
import json
import random
import sqlite3
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg

from src.services.notices import DIGEST, PUSH

from .delivery.command import main
from .delivery.stage import Stage

PEOPLE, WRITERS, READERS = 8, 3, 1
SETTLE_SECONDS = 30.0
SECONDS_BEFORE_A_KILL = (0.2, 2.0)
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
SETTINGS = {"CHATTY_NOTIFICATIONS__PUSH_AFTER_SECONDS": "0.2", "CHATTY_NOTIFICATIONS__EMAIL_AFTER_MINUTES": "600"}
SUBSCRIBED = (
    "INSERT INTO push_subscriptions (id, user_id, session_id, endpoint, endpoint_hash, p256dh, auth, created_at)"
    " SELECT id, user_id, id, 'https://push.invalid/' || {id}, {id}, '', '', created_at FROM sessions"
)


class Tables:
    """The database, read and written without the service's help."""

    def __init__(self, url: str, postgres: Any = None) -> None:
        self.postgres = postgres
        self._path = url.partition(":///")[2]

    @classmethod
    async def open(cls, url: str) -> "Tables":
        return cls(url, None if url.startswith("sqlite") else await asyncpg.connect(url))

    async def __call__(self, statement: str) -> list[tuple[Any, ...]]:
        if self.postgres:
            return [tuple(row) for row in await self.postgres.fetch(statement)]
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
            return connection.execute(statement).fetchall()

    async def leased(self) -> bool:
        """Does a worker hold any room?"""
        soon = datetime.now(UTC) + timedelta(seconds=20)
        return any(_moment(at) > soon for (at,) in await self("SELECT tell_at FROM rooms WHERE tell_at IS NOT NULL"))


def _moment(at: Any) -> datetime:
    return at if isinstance(at, datetime) else datetime.fromisoformat(at).replace(tzinfo=UTC)


class Talk:
    """People in some rooms, of whom a few write, and one reads now and then."""

    def __init__(self, on: Stage, seed: int) -> None:
        self.sent: list[tuple[str, int, str]] = []  # room, seq, sender: acknowledged
        self._dice = random.Random(seed)
        self._url = on.service.url
        self._people: list[dict[str, Any]] = []
        self._rooms: list[str] = []

    async def begin(self) -> None:
        async with self._http() as http:
            for number in range(PEOPLE):
                body = {"email": f"p{number}@example.com", "password": "a cold morning", "nickname": f"P{number}"}
                self._people.append(await self._call(http, "/auth/register", None, body | {"session": "token"}))
            first, *others = self._people
            for other in others:
                await self._call(http, "/friends/requests", first, {"user_id": other["user"]["id"]})
                await self._call(http, f"/friends/requests/{first['user']['id']}/accept", other, {})
            ids = [other["user"]["id"] for other in others]
            for number in range(5):
                body = {"kind": "group", "name": f"room {number}", "member_ids": ids}
                self._rooms.append((await self._call(http, "/rooms", first, body))["id"])

    @contextlib.asynccontextmanager
    async def going_on(self) -> Any:
        """They write while the context lasts, to whatever end."""
        stop = asyncio.Event()
        talking = [asyncio.create_task(self._write(person, stop)) for person in self._people[:WRITERS]]
        talking += [asyncio.create_task(self._read(person, stop)) for person in self._people[-READERS:]]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*talking)

    async def _write(self, person: dict[str, Any], stop: asyncio.Event) -> None:
        async with self._http() as http:
            while not stop.is_set():
                room = self._dice.choice(self._rooms)
                body = {"client_id": str(uuid4()), "text": "hello"}
                try:
                    answer = await self._call(http, f"/rooms/{room}/messages", person, body)
                except BROKEN:
                    return
                self.sent.append((room, answer["message"]["seq"], person["user"]["id"]))
                await asyncio.sleep(self._dice.uniform(0, 0.05))

    async def _read(self, person: dict[str, Any], stop: asyncio.Event) -> None:
        async with self._http() as http:
            while not stop.is_set():
                await asyncio.sleep(self._dice.uniform(0, 0.5))
                with contextlib.suppress(*BROKEN):
                    path = f"/rooms/{self._dice.choice(self._rooms)}/read"
                    await self._call(http, path, person, {"seq": self._dice.choice(self.sent or [("", 0, "")])[1]})

    def _http(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(force_close=True)  # connections do not survive kills
        return aiohttp.ClientSession(self._url, connector=connector, timeout=aiohttp.ClientTimeout(30))

    async def _call(self, http: aiohttp.ClientSession, path: str, person: Any, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {person['access_token']}"} if person else {}
        async with http.post(f"/api/v1{path}", json=body, headers=headers) as answer:
            return await answer.json(content_type=None) if answer.status != 204 else None


async def campaign(on: Stage, kills: int, seed: int) -> Counter[str]:
    """Kill so often, and look in the end; what was done. Raises AssertionError for a promise that was broken."""
    dice, counts = random.Random(seed), Counter[str]()
    on.service.environment.update(SETTINGS)
    await on.service.start()
    talk, tables = Talk(on, seed), await Tables.open(on.database_url)
    await talk.begin()
    await tables("UPDATE users SET email_verified_at = created_at")
    await tables(SUBSCRIBED.format(id="id::text" if tables.postgres else "id"))
    for number in range(kills):
        async with talk.going_on():
            await asyncio.sleep(dice.uniform(*SECONDS_BEFORE_A_KILL))
            if number % 2:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        while not await tables.leased():
                            await asyncio.sleep(0.001)
            on.service.kill()
        counts["kills"] += 1
        counts["left_in_work"] += await tables.leased()
        await _hurry(tables)
        await on.service.start()
    await _settled(tables)
    await _inspect(tables, talk, counts)
    if tables.postgres:
        await tables.postgres.close()
    traces = on.service.log.read_text().count("Traceback") + on.service.log.read_text().count('"exception"')
    assert not traces, on.service.log.read_text()[-3000:]
    return counts


async def _hurry(tables: Tables) -> None:
    """Let leases be over."""
    await tables("UPDATE rooms SET tell_at = created_at WHERE tell_at IS NOT NULL")


async def _settled(tables: Tables) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while await tables("SELECT 1 FROM rooms WHERE tell_at IS NOT NULL"):
        assert time.monotonic() < deadline, "a room is never told to its end"
        await asyncio.sleep(0.2)


async def _inspect(tables: Tables, talk: Talk, counts: Counter[str]) -> None:
    """Hold what was acknowledged against what became of it."""
    members = [(_id(room), _id(user), seq) for room, user, seq in await tables(
        "SELECT room_id, user_id, read_seq FROM members")]  # fmt: skip
    work = [(kind, json.loads(payload) if isinstance(payload, str) else payload) for kind, payload in await tables(
        "SELECT kind, payload FROM outbox WHERE failed_at IS NULL")]  # fmt: skip
    waiting = {(kind, _id(of["user_id"]), _id(of["room_id"]) if "room_id" in of else None) for kind, of in work
               if "user_id" in of}  # fmt: skip
    spans = [(_id(room), _id(user), *rest) for room, user, *rest in await tables(
        "SELECT room_id, user_id, channel, first_seq, last_seq, status FROM deliveries")]  # fmt: skip
    keys = Counter(key for (key,) in await tables("SELECT key FROM outbox WHERE key IS NOT NULL"))
    assert max(keys.values(), default=1) == 1
    outcomes: Counter[tuple[str, str, str, int]] = Counter()
    for room, user, channel, first, last, status in spans:
        for seq in range(first, last + 1):
            outcomes[room, user, channel, seq] += 1
        if status == "pending":
            work_for = (PUSH, user, room) if channel == "push" else (DIGEST, user, None)
            assert work_for in waiting, f"nothing waits to tell of {room} {first}-{last} by {channel}"
            counts[f"pending_{channel}"] += 1
    assert max(outcomes.values(), default=1) == 1, "a line has two outcomes"
    for room, seq, sender in talk.sent:
        for place, user, read_seq in members:
            if place == _id(room) and user != _id(sender) and read_seq < seq:
                for channel in ("push", "email"):
                    assert outcomes[place, user, channel, seq], f"{user} was forgotten: line {seq} of {room}, {channel}"
                    counts["told"] += 1
    counts["sent"], counts["spans"] = len(talk.sent), len(spans)


def _id(value: Any) -> str:
    return UUID(str(value)).hex


if __name__ == "__main__":
    sys.exit(main("tests.ladder_kills", "Kill while the ladder works.", campaign))
