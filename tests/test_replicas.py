"""Whatever people do, in whatever order, and whoever is away meanwhile: after catching up every device holds the same.

Hypothesis makes up the days; what it finds it makes short.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from .cast import Cast, Person, draft
from .replica import Replica, fresh, settle

PEOPLE = ("anna", "boris", "gildong")
Step = tuple[str, str, int]


class Day:
    """A group of three friends, who write, change their minds, come and go; each with a device."""

    def __init__(self, people: dict[str, Person], group: str, devices: dict[str, Replica]) -> None:
        self.people = people
        self.group = group
        self.devices = devices
        self.here = set(people)
        self.sent: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def live(self, steps: list[Step]) -> None:
        for what, who, number in steps:
            act: Callable[[Person, str, int], Awaitable[Any]] = getattr(self, what)
            await act(self.people[who], who, number)

    async def send(self, person: Person, who: str, number: int) -> None:
        body = draft(f"{who} {number}")
        path = f"/rooms/{self.group}/messages"
        answer = await person.raw("POST", path, body)
        if answer.status == 201:
            self.sent.append((who, body, answer.json["message"]))

    async def retry(self, person: Person, who: str, number: int) -> None:
        if mine := [(body, message) for author, body, message in self.sent if author == who]:
            body, message = mine[number % len(mine)]
            answer = await person.raw("POST", f"/rooms/{self.group}/messages", body)
            assert answer.status in (200, 404)
            assert answer.status == 404 or answer.json["message"]["id"] == message["id"]

    async def edit(self, person: Person, who: str, number: int) -> None:
        await self._to_a_line(person, number, "PATCH", "", {"text": f"edited {number}"})

    async def delete(self, person: Person, who: str, number: int) -> None:
        await self._to_a_line(person, number, "DELETE", "")

    async def react(self, person: Person, who: str, number: int) -> None:
        await self._to_a_line(person, number, "DELETE" if number % 3 == 0 else "PUT", "/reactions/👍")

    async def _to_a_line(self, person: Person, number: int, method: str, path: str, body: Any = None) -> None:
        if self.sent:
            message_id = self.sent[number % len(self.sent)][2]["id"]
            answer = await person.raw(method, f"/messages/{message_id}{path}", body)
            assert answer.status in (200, 403, 404, 410), answer

    async def read(self, person: Person, who: str, number: int) -> None:
        answer = await person.raw("POST", f"/rooms/{self.group}/read", {"seq": number})
        assert answer.status in (200, 404)
        assert answer.status == 404 or answer.json["unread_count"] >= 0

    async def pin(self, person: Person, who: str, number: int) -> None:
        notice = self.sent[number % len(self.sent)][2]["id"] if self.sent and number % 3 else None
        answer = await person.raw("PATCH", f"/rooms/{self.group}", {"notice_id": notice})
        assert answer.status in (200, 403, 404, 422), answer

    async def name(self, person: Person, who: str, number: int) -> None:
        await person.raw("PATCH", f"/rooms/{self.group}/me", {"alias": f"ours {number}"})

    async def invite(self, person: Person, who: str, number: int) -> None:
        body = {"user_ids": [self.people[name].id for name in PEOPLE]}
        assert (await person.raw("POST", f"/rooms/{self.group}/members", body)).status in (200, 403, 404)

    async def leave(self, person: Person, who: str, number: int) -> None:
        if who != "anna":  # somebody stays who can invite the others
            answer = await person.raw("POST", f"/rooms/{self.group}/leave", {"quiet": number % 2 == 0})
            assert answer.status in (204, 404)

    async def disconnect(self, person: Person, who: str, number: int) -> None:
        if who in self.here:
            self.here.remove(who)
            await self.devices[who].listen()
            await self.devices[who].close()

    async def resume(self, person: Person, who: str, number: int) -> None:
        if who not in self.here:
            self.here.add(who)
            await self.devices[who].connect()


ACTS = [name for name in vars(Day) if not name.startswith("_") and name != "live"]
STEPS = st.lists(
    st.tuples(st.sampled_from([*ACTS, "send", "send", "invite"]), st.sampled_from(PEOPLE), st.integers(0, 20)),
    min_size=5,
    max_size=25,
)


@given(steps=STEPS)
@hypothesis_settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_after_any_day_every_device_holds_what_a_new_one_gets(cast: Cast, steps: list[Step]) -> None:
    day = await dawn(cast)
    await day.live(steps)
    for who, device in day.devices.items():
        await day.resume(device.person, who, 0)
        await device.listen()
        await device.sync()  # what somebody may not read is a gap without an event
        await settle(device, await fresh(device.person))
        await device.close()


async def dawn(cast: Cast) -> Day:
    number = len(cast.sockets)
    names = {name: f"{name}{number}" for name in PEOPLE}
    joined = await asyncio.gather(*(cast.join(name) for name in names.values()))
    people = dict(zip(names, joined, strict=True))
    anna, boris, gildong = joined
    for one, other in ((anna, boris), (anna, gildong), (boris, gildong)):
        await cast.befriend(one, other)
    body = {"kind": "group", "member_ids": [boris.id, gildong.id]}
    group = (await anna.post("/rooms", body, expect=201))["id"]
    devices = {name: await Replica(person).connect() for name, person in people.items()}
    return Day(people, group, devices)
