"""The people, their devices and their rooms: 30 of them in 8 rooms of 2 to 30, and one who is in none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from .device import Device
from .history import Journal

PEOPLE = 30
PASSWORD = "a cold morning in Gangneung"
GROUP_SIZES = (3, 5, 8, 12, 20, 30)
PAIRS = ((0, 1), (2, 3))
STEADY_SHARE = 0.5


@dataclass(frozen=True)
class Person:
    id: str
    devices: tuple[Device, ...]


@dataclass
class RoomPlan:
    """A room and who is to be in it: the owner first. `visitors` come and go, the others stay."""

    id: str
    owner: Person
    steady: tuple[Person, ...]
    visitors: tuple[Person, ...] = ()

    @property
    def everybody(self) -> tuple[Person, ...]:
        return (*self.steady, *self.visitors)


@dataclass(frozen=True)
class Crew:
    people: Sequence[Person]
    outsider: Person
    rooms: Sequence[RoomPlan]

    @property
    def devices(self) -> list[Device]:
        return [device for person in (*self.people, self.outsider) for device in person.devices]


class Assembly:
    """Registers everybody over REST and makes the rooms."""

    def __init__(self, url: str, http: aiohttp.ClientSession, journal: Journal) -> None:
        self._url = url
        self._http = http
        self._journal = journal
        self._friends: set[frozenset[str]] = set()
        self._tokens: dict[str, str] = {}

    async def gather(self) -> Crew:
        """Everybody and every room, while nothing is broken yet."""
        people = [await self._person(number) for number in range(PEOPLE)]
        outsider = await self._person(PEOPLE)
        rooms = [await self._pair(people[one], people[other]) for one, other in PAIRS]
        for number, size in enumerate(GROUP_SIZES):
            members = [people[(number * 4 + place) % PEOPLE] for place in range(size)]
            rooms.append(await self._group(f"모임 {number}", members))
        return Crew(people, outsider, rooms)

    async def _person(self, number: int) -> Person:
        body = {"email": f"p{number}@example.com", "password": PASSWORD, "session": "token"}
        first = await self._post("/auth/register", {**body, "nickname": f"사람 {number}"})
        second = await self._post("/auth/login", body)
        user_id = first["user"]["id"]
        self._tokens[user_id] = first["access_token"]
        devices = tuple(
            Device(f"p{number}.{place}", user_id, session["access_token"], self._url, self._http, self._journal)
            for place, session in enumerate((first, second))
        )
        for device in devices:
            device.others = list(devices)
        return Person(user_id, devices)

    async def _pair(self, one: Person, other: Person) -> RoomPlan:
        room = await self._post("/rooms", {"kind": "direct", "user_id": other.id}, one)
        return RoomPlan(room["id"], one, (one, other))

    async def _group(self, name: str, members: Sequence[Person]) -> RoomPlan:
        owner, *others = members
        await asyncio.gather(*(self._befriend(owner, other) for other in others))
        body = {"kind": "group", "name": name, "member_ids": [other.id for other in others]}
        room = await self._post("/rooms", body, owner)
        steady = max(2, round(len(members) * STEADY_SHARE))
        return RoomPlan(room["id"], owner, tuple(members[:steady]), tuple(members[steady:]))

    async def _befriend(self, one: Person, other: Person) -> None:
        pair = frozenset({one.id, other.id})
        if pair not in self._friends:
            self._friends.add(pair)
            await self._post("/friends/requests", {"user_id": other.id}, one)
            await self._post(f"/friends/requests/{one.id}/accept", None, other)

    async def _post(self, path: str, body: Any, who: Person | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._tokens[who.id]}"} if who else {}
        async with self._http.post(f"{self._url}/api/v1{path}", json=body, headers=headers) as answer:
            said = await answer.json(content_type=None) if answer.status != 204 else None
            if answer.status >= 400:
                raise RuntimeError(f"{path}: {answer.status} {said}")
            return said
