"""The room list, a page of history and search for somebody with 1,000 rooms and 1,000,000 messages.

`.venv/bin/python -m bench.scale [--rooms 1000] [--messages 1000000] [--database both]`
"""

import argparse
import asyncio
import time
from collections.abc import Callable
from urllib.parse import quote

import aiohttp

from .corpus import COMMON, Corpus
from .filling import Filling, filled
from .harness import Served, join, percentile, run, service

ASKED = 200


async def measure(served: Served, token: str, filling: Filling) -> None:
    """Ask each question many times over one connection, one after the other."""
    rare = quote(filling.rare_words[0])
    questions: dict[str, Callable[[int], str]] = {
        "room list, first page": lambda n: "/rooms",
        "history, latest": lambda n: f"/rooms/{filling.room(n)}/messages",
        "history, in the middle": lambda n: f"/rooms/{filling.room(n)}/messages?before_seq={filling.lines // 2}",
        "search, a common word": lambda n: f"/search/messages?q={quote(COMMON)}",
        "search, a rare word": lambda n: f"/search/messages?q={rare}",
        "search, another word each time": lambda n: f"/search/messages?q={quote(filling.rare_words[n])}",
        "search, one syllable": lambda n: f"/search/messages?q={quote(COMMON[0])}",
        "search, in one room": lambda n: f"/search/messages?q={quote(COMMON)}&room_id={filling.room(n)}",
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(served.url, headers=headers) as http:
        for name, path in questions.items():
            took, found = [], 0
            for n in range(ASKED):
                begun = time.perf_counter()
                async with http.get(f"/api/v1{path(n)}") as answer:
                    said = await answer.json()
                    assert answer.status == 200, said
                took.append(time.perf_counter() - begun)
                found += len(said["items"])
            p50, p99 = (percentile(took, share) * 1e3 for share in (0.5, 0.99))
            print(f"| {name} | {p50:.1f} / {p99:.1f} | {found / ASKED:.0f} |", flush=True)


def main(database: str, rooms: int, messages: int) -> None:
    with service(database) as served:
        me = join(served, "anna")
        begun = time.perf_counter()
        filling = asyncio.run(filled(served, me["user"]["id"], Corpus(), rooms, messages))
        took = time.perf_counter() - begun
        print(f"\n{database}: {rooms:,} rooms, {messages:,} messages (filled in {took:.0f} s)\n")
        print("| | p50 / p99 ms | items |\n|---|---|---|", flush=True)
        run(measure(served, me["access_token"], filling))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    options = parser.parse_args()
    for each in ["sqlite", "postgres"] if options.database == "both" else [options.database]:
        main(each, options.rooms, options.messages)
