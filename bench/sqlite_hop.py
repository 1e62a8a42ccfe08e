"""A read of one row by its key: on the event loop, and through aiosqlite's thread as SQLAlchemy's dialect calls it.

`.venv/bin/python -m bench.sqlite_hop`
"""

import sqlite3
import tempfile
import time
from pathlib import Path

import aiosqlite

from .harness import run

READS = 5_000
QUERY = "SELECT id, name FROM people WHERE id = ?"


async def through_the_thread(path: Path) -> float:
    async with aiosqlite.connect(path) as connection:
        begun = time.perf_counter()
        for number in range(READS):
            cursor = await connection.cursor()
            await cursor.execute(QUERY, (number,))
            await cursor.fetchall()
            await cursor.close()
        return (time.perf_counter() - begun) / READS


def on_the_loop(path: Path) -> float:
    connection = sqlite3.connect(path)
    begun = time.perf_counter()
    for number in range(READS):
        connection.execute(QUERY, (number,)).fetchall()
    return (time.perf_counter() - begun) / READS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "people.db"
        with sqlite3.connect(file) as made:
            made.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
            made.executemany("INSERT INTO people VALUES (?, ?)", ((number, "x" * 40) for number in range(READS)))
        here, there = on_the_loop(file), run(through_the_thread(file))
        print(f"on the loop {here * 1e6:.1f} µs, through the thread {there * 1e6:.1f} µs, ratio {there / here:.1f}")
