"""Kills of a real `chatty serve` while files come in, are sent and deleted: nothing acknowledged may be lost, nothing
may stay of which no row knows.

`.venv/bin/python -m tests.file_kills --kills 50 --database sqlite --seed 7`
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .delivery.command import main
from .delivery.stage import ROOT, START_SECONDS, Stage
from .file_people import Crew
from .file_truth import Truth, evidence

SETTLE_SECONDS = 20.0
SECONDS_BEFORE_A_KILL = (0.1, 2.0)


async def campaign(on: Stage, kills: int, seed: int) -> Counter[str]:
    """Kill and look so often; what was done and found. Raises AssertionError for a promise that was broken."""
    dice, counts = random.Random(seed), Counter[str]()
    await on.service.start()
    crew = Crew(on.service.url, Truth(), counts, seed)
    await crew.gather_people()
    try:
        for _ in range(kills):
            async with crew.at_work():
                await asyncio.sleep(dice.uniform(*SECONDS_BEFORE_A_KILL))
                on.service.kill()
            counts["kills"] += 1
            counts["parts_left"] += len(parts(on))
            counts["orders_left"] += (await evidence(on.database_url)).orders
            await on.service.start()
            await inspect(on, crew, counts)
    finally:
        await crew.close()
    traces = on.service.log.read_text().count("Traceback") + on.service.log.read_text().count('"exception"')
    assert not traces, f"{traces} tracebacks in the log:\n{on.service.log.read_text()[-3000:]}"
    return counts


async def inspect(on: Stage, crew: Crew, counts: Counter[str]) -> None:
    """Hold what people were told, what the rows say, and what is stored against each other."""
    await until(lambda: not parts(on), "half a file is still there")
    known = await evidence(on.database_url)  # before the objects: what is removed meanwhile is named there still
    found = objects(on)
    assert not found.keys() - known.sizes.keys() - known.to_be_removed, "objects of which no row knows"
    assert not known.sizes.keys() - found.keys(), "rows whose objects are missing"
    assert all(found[key] == size for key, size in known.sizes.items()), "objects of another size than their rows say"
    counts["looks"] += await crew.inspect()
    await pass_time(on)
    now = await evidence(on.database_url)
    assert objects(on).keys() == now.sizes.keys(), "rows and storage do not agree once all is removed"
    for path in storage(on).rglob("*"):  # else the check would take them for something that has just come
        if path.is_file():
            os.utime(path, (1, 1))
    await check(on)


async def pass_time(on: Stage) -> None:
    """Let what the outbox was told to remove be due, and wait until it is removed."""
    await (await evidence(on.database_url)).hurry()

    deadline = time.monotonic() + SETTLE_SECONDS
    while (await evidence(on.database_url)).orders:
        assert time.monotonic() < deadline, "the outbox has not removed what it was told to"
        await asyncio.sleep(0.1)


async def check(on: Stage) -> None:
    """`chatty files check`, beside the running service."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "src", "files", "check"),
        cwd=ROOT, env=on.service.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
    assert process.returncode == 0, said.decode()


def storage(on: Stage) -> Path:
    return on.file.parent / "uploads"


def parts(on: Stage) -> list[Path]:
    return [path for path in storage(on).rglob("*.part") if path.exists()]


def objects(on: Stage) -> dict[str, int]:
    """What is stored, by keys, with its size: looked at without the service's help."""
    found = {}
    for path in storage(on).rglob("*"):
        if path.is_file() and path.suffix != ".part":
            found[path.relative_to(storage(on)).as_posix()] = path.stat().st_size
    return found


async def until(probe: Any, otherwise: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not probe():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main("tests.file_kills", "Kill while files come in.", campaign))
