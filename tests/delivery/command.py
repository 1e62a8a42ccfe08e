"""The command line of what kills a service, over and over, and looks whether it kept its promises."""

import argparse
import asyncio
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from .stage import Stage, stage

Campaign = Callable[[Stage, int, int], Awaitable[Counter[str]]]
"""On a stage so many kills, by a seed; what was done and found. Raises AssertionError for a broken promise."""


def kill_often(campaign: Campaign, database: str, kills: int, seed: int) -> Counter[str]:
    async def run(on: Stage) -> Counter[str]:
        return await campaign(on, kills, seed)

    with stage(database) as on:
        return asyncio.run(run(on))


def main(name: str, description: str, campaign: Campaign) -> int:
    """Run a campaign as the command line says, and print what was found; its exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, help="without one, any, which is printed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and take the service and its database along
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    print(f"{options.database}, seed {seed}", flush=True)
    begun = time.monotonic()
    counts = kill_often(campaign, options.database, options.kills, seed)
    print(f"{time.monotonic() - begun:.0f} s: {dict(sorted(counts.items()))}")
    return 0
