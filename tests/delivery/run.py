"""One run: everybody comes, the load and the nemesis go on for so long, then quiet, and the checker."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from . import truth
from .checker import check
from .crew import Assembly, Crew
from .history import Journal, Violation
from .load import Load
from .nemesis import Nemesis
from .stage import Stage, stage
from .wire import Cut

QUIET_SECONDS = 40


@dataclass
class Report:
    """What a run saw. It is red if `violations` is not empty."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    quiet_after: float = 0.0

    def __str__(self) -> str:
        kinds = Counter(violation.kind for violation in self.violations)
        examples = [f"  {kind}: {what[:400]}" for kind, what in self.violations[:12]]
        return "\n".join(
            [
                f"seed {self.seed}: {_listed(self.counts)}; faults: {_listed(self.faults)}; "
                f"every device in step {self.quiet_after:.1f} s after the last",
                f"violations: {_listed(kinds) or 'none'}",
                *examples,
            ]
        )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def deliver(database: str, seconds: float, seed: int, rate: float = 20, pause: tuple[float, float] = (3, 9)) -> Report:
    """Run for so many seconds of load on `sqlite` or `postgres`. `pause`: the nemesis' between two faults."""
    with stage(database) as made:
        return asyncio.run(_run(made, seconds, seed, rate, pause))


async def _run(made: Stage, seconds: float, seed: int, rate: float, pause: tuple[float, float]) -> Report:
    journal, report = Journal(), Report(seed)
    await made.service.start()
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        crew = await Assembly(made.service.url, http, journal).gather()
        lives = [asyncio.create_task(device.live()) for device in crew.devices]
        load = Load(crew, journal, rate, seed)
        nemesis = Nemesis(made, crew.devices, seed)
        try:
            await asyncio.gather(load.run(seconds), nemesis.haunt(seconds, pause))
            report.quiet_after = await _come_to_rest(crew, load)
            await _compare(made, crew, journal, report)
        except TimeoutError:
            report.violations.append(Violation("unresolved", "sends had no answer long after the last fault"))
        finally:
            for device in crew.devices:
                device.stop()
            await asyncio.gather(*lives, return_exceptions=True)
    report.faults = nemesis.done
    return report


async def _come_to_rest(crew: Crew, load: Load) -> float:
    """A last line in every room, then wait until nobody is behind; how many seconds that took."""
    begun = time.monotonic()
    await load.say_everywhere()
    while time.monotonic() - begun < QUIET_SECONDS and not all(device.settled for device in crew.devices):
        await asyncio.sleep(0.1)
    took = time.monotonic() - begun
    await asyncio.sleep(1)
    return took


async def _compare(made: Stage, crew: Crew, journal: Journal, report: Report) -> None:
    held = []
    for person in (*crew.people, crew.outsider):
        for place, device in enumerate(person.devices):
            with contextlib.suppress(Cut):
                await device.sync()
                await device.learn_unread()
                if place == 0:  # one device of each person reads all of it back, the others hold what they followed
                    await device.read_back()
            held.append(device.copies.result(complete=place == 0))
    stored = await truth.read(made)
    report.violations += check(journal, stored, held)
    answers = Counter(answer.outcome for send in journal.sends.values() for answer in send.answers)
    report.counts = Counter(
        sends=len(journal.sends),
        lines=sum(len(room.lines) for room in stored.values()),
        acked_changes=len(journal.changes),
        heard=sum(len(device.heard) for device in held),
        gaps_seen=sum(device.copies.gaps for device in crew.devices),
        **{f"{outcome}_attempts": count for outcome, count in answers.items()},
        **Counter(f"lines_{(line.system or (line.kind,))[0]}" for room in stored.values() for line in room.lines),
    )
