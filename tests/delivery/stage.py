"""What is killed: the service as a real process, and a PostgreSQL that loses nothing when its processes die."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import asyncpg

from tests import servers

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60


class Postgres:
    """A PostgreSQL server whose every COMMIT is in the files of the system when it is answered."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._account = servers.ordinary_account(home)
        self._binaries = servers.postgres_binaries(home)
        self._port = servers.free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [self._binaries / "initdb", "-D", home / "data", *options],
            cwd=home, check=True, capture_output=True, **self._account,
        )  # fmt: skip

    def start(self) -> None:
        # A killed process leaves its writes to the system, so fsync is not needed; what it had in memory is lost.
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "on",
            "max_connections": "60",
        }
        set_ = [f"-c{name}={value}" for name, value in options.items()]
        self._control("start", "-o", " ".join(["-p", str(self._port), *set_]), "-l", str(self._home / "log"))

    def restart_at_once(self) -> None:
        """As after a crash: all connections die where they are, and the log is replayed."""
        self._control("stop", "-m", "immediate")
        self.start()

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    async def cut_connections(self) -> None:
        """End all connections of the service, whatever they do."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chatty'"
            )
        finally:
            await connection.close()

    def _control(self, *command: str) -> None:
        subprocess.run(
            [self._binaries / "pg_ctl", "-D", self._home / "data", "-w", "-s", *command],
            cwd=self._home, check=True, stdout=subprocess.DEVNULL, **self._account,
        )  # fmt: skip


class Service:
    """The service of this tree, on one port for all its lives."""

    def __init__(self, home: Path, database_url: str) -> None:
        self._port = servers.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.log = home / "service.log"
        settings = {
            "PORT": self._port, "DATA_DIR": home, "STORAGE_URL": home / "uploads", "DATABASE_URL": database_url,
            "RATE_LIMITS": "off", "BCRYPT_ROUNDS": 4, "LOG_LEVEL": "warning", "ACCESS_TOKEN_SECONDS": 7 * 86_400,
        }  # fmt: skip
        self.environment = os.environ | {f"CHATTY_{name}": str(value) for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start, and wait until it answers. Raises RuntimeError."""
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "src", "serve", "--migrate"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        async with aiohttp.ClientSession() as http:
            for _ in range(START_SECONDS * 20):
                try:
                    async with http.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except (aiohttp.ClientError, OSError):
                    pass
                if self._process.poll() is not None:
                    break
                await asyncio.sleep(0.05)
        raise RuntimeError(f"The service does not answer:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    async def freeze(self, seconds: float) -> None:
        """Let the process stand still, as on a machine that swaps."""
        process = self._process
        assert process
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None


class Stage:
    """A database of its own and the service on it. `postgres` is None on SQLite."""

    def __init__(self, home: Path, postgres: Postgres | None) -> None:
        self.postgres = postgres
        self.file = home / "chatty.db"
        self.database_url = postgres.url if postgres else f"sqlite:///{self.file}"
        self.service = Service(home, self.database_url)


@contextmanager
def stage(database: str) -> Iterator[Stage]:
    """A stage on `sqlite` or `postgres`, removed afterwards. Its service is not started yet."""
    with tempfile.TemporaryDirectory(prefix="chatty-delivery-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        postgres = None
        if database == "postgres":
            (home / "postgres").mkdir()
            home.chmod(0o755)
            postgres = Postgres(home / "postgres")
            postgres.start()
        made = Stage(home, postgres)
        try:
            yield made
        finally:
            made.service.kill()
            if postgres:
                postgres.stop()
