"""The nemesis: every few seconds something dies, by a seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from .device import Device
from .stage import Stage

FREEZE_SECONDS = 4.0
AWAY_SECONDS = 6.0
FIRST = ("cut", "restart_database", "kill")
"""What a short run must have seen, the last one first."""


class Nemesis:
    """Faults one after the other; `done` counts them."""

    def __init__(self, stage: Stage, devices: Sequence[Device], seed: int) -> None:
        self._stage = stage
        self._devices = devices
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self._faults = {
            "kill": self._kill,
            "freeze": self._freeze,
            "cut": self._cut,
        }
        if stage.postgres:
            self._faults |= {"restart_database": self._restart_database, "cut_database": self._cut_database}

    async def haunt(self, seconds: float, pause: tuple[float, float]) -> None:
        """Strike for so long, with pauses between; everything runs again at the end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        order = [fault for fault in FIRST if fault in self._faults]
        while True:
            await asyncio.sleep(self._random.uniform(*pause))
            if loop.time() >= until:
                return
            if not order:  # each kind once before any comes again: a short run sees all of them
                order = self._random.sample(sorted(self._faults), len(self._faults))
            fault = order.pop()
            await self._faults[fault]()
            self.done[fault] += 1

    async def _kill(self) -> None:
        self._stage.service.kill()
        await asyncio.sleep(self._random.uniform(0, 0.5))
        await self._stage.service.start()

    async def _freeze(self) -> None:
        await self._stage.service.freeze(self._random.uniform(0.5, FREEZE_SECONDS))

    async def _cut(self) -> None:
        for device in self._random.sample(list(self._devices), len(self._devices) // 3):
            device.cut(self._random.uniform(0, AWAY_SECONDS))

    async def _restart_database(self) -> None:
        assert self._stage.postgres
        await asyncio.to_thread(self._stage.postgres.restart_at_once)

    async def _cut_database(self) -> None:
        assert self._stage.postgres
        await self._stage.postgres.cut_connections()
