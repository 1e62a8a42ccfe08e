"""What people do all the time: mostly talk, also in bursts, and edit, delete, react, read, come and go."""

import asyncio
import itertools
import random
from collections.abc import Awaitable

from .crew import Crew, Person, RoomPlan
from .device import Device
from .history import Journal, Line

EMOJI = ("👍", "❤️", "😂")
DEEDS = {"say": 0.66, "burst": 0.04, "repeat": 0.05, "edit": 0.05, "delete": 0.02, "react": 0.08, "read": 0.10}
BURST = 12
PATIENCE_SECONDS = 120


class Load:
    """`rate` deeds a second, chosen by the seed; each runs as long as it takes."""

    def __init__(self, crew: Crew, journal: Journal, rate: float, seed: int) -> None:
        self._crew = crew
        self._journal = journal
        self._rate = rate
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Act for so long, then wait until every answer is known. Raises TimeoutError."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        comings = asyncio.create_task(self._come_and_go(until))
        while loop.time() < until:
            self._begin(self._deed())
            await asyncio.sleep(self._random.expovariate(self._rate))
        await comings
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._running:
                await asyncio.wait(self._running)

    async def say_everywhere(self) -> None:
        """One more line in every room: whoever missed the last one sees it now."""
        for room in self._crew.rooms:
            await room.owner.devices[0].say(room.id, self._text(), steady=True)

    def _begin(self, deed: Awaitable[None]) -> None:
        task = asyncio.ensure_future(deed)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deed(self) -> None:
        (what,) = self._random.choices(list(DEEDS), [*DEEDS.values()])
        room = self._random.choice(self._crew.rooms)
        person = self._random.choice(room.everybody)
        device = self._random.choice(person.devices)
        match what:
            case "say":
                await device.say(room.id, self._text(), steady=person in room.steady)
            case "burst":
                steady = person in room.steady
                await asyncio.gather(*(device.say(room.id, self._text(), steady=steady) for _ in range(BURST)))
            case "repeat":
                send = await device.say(room.id, self._text(), steady=person in room.steady)
                await device.repeat(send, self._random.randint(2, 20))
            case "edit" | "delete" | "react":
                await self._change(what, device, room)
            case "read":
                await device.read(room.id, self._some_seq(device, room))

    async def _change(self, what: str, device: Device, room: RoomPlan) -> None:
        line = self._some_line(device, room, mine=what != "react")
        if line is None:
            return
        if what == "react":
            deed = {"message_id": line.id, "emoji": self._random.choice(EMOJI), "on": self._random.random() < 0.7}
            await device.change(room.id, "react_to_message", deed)
        elif what == "delete":
            await device.change(room.id, "delete_message", {"message_id": line.id})
        elif line.client_id:
            text = self._text()
            self._journal.edits[line.client_id].add(text)
            await device.change(room.id, "edit_message", {"message_id": line.id, "text": text})

    def _some_line(self, device: Device, room: RoomPlan, mine: bool) -> Line | None:
        copy = device.copies.rooms.get(room.id)
        if copy is None:
            return None
        lines = [
            line
            for line in [*copy.lines.values()][-100:]
            if line.kind == "text" and not line.deleted and (not mine or line.sender == device.user_id)
        ]
        return self._random.choice(lines) if lines else None

    def _some_seq(self, device: Device, room: RoomPlan) -> int:
        copy = device.copies.rooms.get(room.id)
        newest = max(copy.lines, default=0) if copy else 0
        return max(0, newest - self._random.choice((-5, 0, 0, 0, 1, 3, 10)))

    def _text(self) -> str:
        return f"{next(self._numbers)} 안녕하세요, 오늘은 어때요?"

    async def _come_and_go(self, until: float) -> None:
        """Visitors leave or are removed, and are invited again. One at a time: the system lines tell the rest."""
        loop = asyncio.get_running_loop()
        groups = [room for room in self._crew.rooms if room.visitors]
        away: list[tuple[RoomPlan, Person]] = []
        while groups and loop.time() < until:
            await asyncio.sleep(self._random.uniform(0.3, 1.0))
            if away and self._random.random() < 0.6:
                room, person = away.pop(self._random.randrange(len(away)))
                await room.owner.devices[0].rest("POST", f"/rooms/{room.id}/members", {"user_ids": [person.id]})
                continue
            room = self._random.choice(groups)
            person = self._random.choice(room.visitors)
            if self._random.random() < 0.5:
                await person.devices[0].rest("POST", f"/rooms/{room.id}/leave", {})
            else:
                await room.owner.devices[0].rest("DELETE", f"/rooms/{room.id}/members/{person.id}")
            away.append((room, person))
