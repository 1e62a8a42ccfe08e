"""The `chatty` command, as an operator types it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import aiohttp
import pytest

from src.push.vapid import VapidKey

ROOT = Path(__file__).parent.parent
START_SECONDS = 30


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    output: str
    errors: str


class Operator:
    """Types commands, with settings of a directory of their own."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"DATA_DIR": directory, "STORAGE_URL": directory / "uploads", "PORT": self.port, "BCRYPT_ROUNDS": 4}
        self._environment = os.environ | {f"CHATTY_{name}": str(value) for name, value in own.items()}

    async def start(self, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "src", *arguments),
            cwd=ROOT,
            env=self._environment | {f"CHATTY_{name}": value for name, value in settings.items()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, **settings: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*arguments, **settings)
        output, errors = await asyncio.wait_for(process.communicate(), START_SECONDS)
        assert process.returncode is not None
        return Ended(process.returncode, output.decode(), errors.decode())

    @contextlib.asynccontextmanager
    async def serving(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`serve`, once it answers; killed if it still runs in the end."""
        process = await self.start("serve", *arguments)
        try:
            await self._until_ready(process)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    if (await http.get(f"{self.url}/readyz")).status == 200:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError((await process.communicate())[1].decode())


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


async def test_serve_says_where_it_is_where_the_data_lies_and_how_to_stop(operator: Operator, tmp_path: Path) -> None:
    async with operator.serving("--migrate") as process:
        assert process.stdout
        said = await process.stdout.readuntil(b"Ctrl+C")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_SECONDS) == 0
    assert f"http://localhost:{operator.port}" in said.decode()
    assert str(tmp_path / "chatty.db") in said.decode()


async def test_sigterm_ends_it_also_with_open_sockets(operator: Operator) -> None:
    async with operator.serving("--migrate") as process, aiohttp.ClientSession() as http:
        body = {"email": "anna@example.com", "password": "a cold morning", "nickname": "Anna", "session": "token"}
        session = await (await http.post(f"{operator.url}/api/v1/auth/register", json=body)).json()
        ws = await http.ws_connect(f"{operator.url}/socket.io/?EIO=4&transport=websocket")
        await ws.receive()
        await ws.send_str(f'40/chat,{{"token":"{session["access_token"]}"}}')
        assert (await ws.receive()).data.startswith("40/chat")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_SECONDS) == 0


async def test_serve_asks_for_a_migration(operator: Operator) -> None:
    ended = await operator.run("serve")
    assert ended.status != 0
    assert "chatty migrate" in ended.errors
    assert "Traceback" not in ended.errors


async def test_a_second_process_on_one_sqlite_file_is_refused(operator: Operator) -> None:
    async with operator.serving("--migrate"):
        ended = await operator.run("serve")
    assert ended.status == 2
    assert "another process serves this SQLite database" in ended.errors


async def test_a_taken_port_is_said(operator: Operator, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", operator.port)):
        ended = await operator.run("serve", "--migrate")
    assert ended.status != 0
    assert f"cannot listen on 127.0.0.1:{operator.port}" in ended.errors
    assert "Traceback" not in ended.errors


async def test_an_unsafe_production_is_refused_in_a_sentence_without_the_secret(operator: Operator) -> None:
    ended = await operator.run("serve", ENV="production", SECRET_KEY="too-short-to-be-safe")
    assert ended.status == 2
    assert "CHATTY_SECRET_KEY" in ended.errors
    assert "too-short-to-be-safe" not in ended.errors
    assert "Traceback" not in ended.errors


async def test_demo_makes_people_who_can_log_in_and_repeats_nothing(operator: Operator) -> None:
    first, second = await operator.run("demo"), await operator.run("demo")
    assert (first.status, second.status) == (0, 0), second.errors
    assert "홍길동" in first.output
    async with operator.serving() as _, aiohttp.ClientSession() as http:
        body = {"email": "hong@demo.example.com", "password": "demo-chatty-2026", "session": "token"}
        session = await (await http.post(f"{operator.url}/api/v1/auth/login", json=body)).json()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        friends = await (await http.get(f"{operator.url}/api/v1/friends", headers=headers)).json()
        people = await (await http.get(f"{operator.url}/api/v1/users", headers=headers)).json()
        kim = next(person for person in friends["items"] if person["nickname"] == "김서연")
        body = {"kind": "direct", "user_id": kim["id"]}
        room = await (await http.post(f"{operator.url}/api/v1/rooms", json=body, headers=headers)).json()
        rooms = (await (await http.get(f"{operator.url}/api/v1/rooms", headers=headers)).json())["items"]
    assert len(people["items"]) == 7
    assert room["last_seq"] == 4
    assert [each["display_name"] for each in rooms] == ["Anna Berg", "김서연", "김서연, 이도윤", "발표 준비"]
    assert [each["me"]["unread_count"] for each in rooms] == [0, 0, 2, 0]
    assert rooms[-1]["notice"]["text"].startswith("회의실 예약했습니다")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DATABASE_URL", "postgresql://nobody:secret-word@127.0.0.1:1/none"),
        ("DATABASE_URL", "postgresql://nobody:secret-word@127.0.0.1:port/none"),
        ("DATABASE_URL", "mysql://127.0.0.1/none"),
        ("DATA_DIR", "/dev/null/here"),
        ("REDIS_URL", "nonsense"),
        ("SMTP_URL", "nonsense"),
        ("SMTP_URL", "smtp://mail.example.com:port"),
        ("PUBLIC_URL", "chat.example.com"),
        ("ALLOWED_ORIGINS", "app.example.com"),
        ("PORT", "http"),
    ],
)
async def test_what_cannot_be_is_said_in_a_sentence(operator: Operator, setting: str, value: str) -> None:
    ended = await operator.run("serve", "--migrate", **{setting: value})
    assert ended.status == 2, ended.errors
    assert f"CHATTY_{setting}" in ended.errors
    assert "Traceback" not in ended.errors
    assert "secret-word" not in ended.errors


async def test_the_demo_is_not_for_production(operator: Operator) -> None:
    ended = await operator.run("demo", ENV="production", SECRET_KEY="a" * 40)
    assert (ended.status, "public" in ended.errors) == (2, True)


async def test_nobody_else_reads_what_it_writes(operator: Operator, tmp_path: Path) -> None:
    await operator.run("migrate", DATA_DIR=str(tmp_path / "var"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "var", tmp_path / "var" / "chatty.db")}
    assert modes == {"var": 0o700, "chatty.db": 0o600}


@pytest.mark.parametrize(("command", "member"), [("openapi", "paths"), ("asyncapi", "channels")])
async def test_the_contracts_are_printed(operator: Operator, command: str, member: str) -> None:
    ended = await operator.run(command)
    assert json.loads(ended.output)[member]


async def test_keys_for_web_push_are_printed_as_lines_of_an_env_file(operator: Operator, tmp_path: Path) -> None:
    first, second = await operator.run("vapid-keys"), await operator.run("vapid-keys")
    comment, line = first.output.splitlines()
    name, _, private = line.partition("=")
    assert name == "CHATTY_NOTIFICATIONS__VAPID_PRIVATE_KEY"
    assert comment.startswith("# ")
    assert comment.endswith(f": {VapidKey.from_text(private).public_key}")
    assert first.output != second.output
    assert (first.errors, list(tmp_path.iterdir())) == ("", []), "nothing is touched"


async def test_a_key_that_is_none_is_refused_and_not_shown(operator: Operator) -> None:
    ended = await operator.run("serve", NOTIFICATIONS__VAPID_PRIVATE_KEY="not-a-key-and-yet-a-secret")
    assert ended.status == 2
    assert "VAPID_PRIVATE_KEY: must be 32 bytes in base64url" in ended.errors
    assert "not-a-key-and-yet-a-secret" not in ended.errors
    assert "Traceback" not in ended.errors


async def test_whoever_changes_the_key_is_told_what_it_costs(operator: Operator) -> None:
    ended = await operator.run("vapid-keys", "--help")
    assert "invalidates every subscription" in " ".join(ended.output.split())


async def test_why_says_what_there_is_to_say_and_when_there_is_nothing(operator: Operator) -> None:
    async with operator.serving("--migrate"), aiohttp.ClientSession() as http:
        people = []
        for name in ("anna", "boris"):
            body = {"email": f"{name}@example.com", "password": "a cold morning", "nickname": name, "session": "token"}
            people.append(await (await http.post(f"{operator.url}/api/v1/auth/register", json=body)).json())
        headers = {"Authorization": f"Bearer {people[0]['access_token']}"}
        body = {"kind": "direct", "user_id": people[1]["user"]["id"]}
        room = await (await http.post(f"{operator.url}/api/v1/rooms", json=body, headers=headers)).json()
        path, body = f"/api/v1/rooms/{room['id']}/messages", {"client_id": str(uuid4()), "text": "hello"}
        sent = await (await http.post(operator.url + path, json=body, headers=headers)).json()
        told = await operator.run("why", sent["message"]["id"], "Boris@Example.com")
        nobody = await operator.run("why", sent["message"]["id"], "nobody@example.com")
    assert told.status == 0, told.errors
    assert "boris has not read it." in told.output and "Push: still to come." in told.output
    assert (nobody.status, "no such" in nobody.output) == (1, True)


async def test_bounced_marks_addresses_and_says_how_many_are_known(operator: Operator, tmp_path: Path) -> None:
    async with operator.serving("--migrate"), aiohttp.ClientSession() as http:
        body = {"email": "anna@example.com", "password": "a cold morning", "nickname": "Anna", "session": "token"}
        await http.post(f"{operator.url}/api/v1/auth/register", json=body)
        ended = await operator.run("bounced", "Anna@Example.com", "nobody@example.com")
    assert ended.status == 0 and ended.output.startswith("1 of 2 known")
    assert "anna" not in ended.output.lower() and not ended.errors
    with sqlite3.connect(tmp_path / "chatty.db") as file:
        assert file.execute("SELECT email_bounced_at IS NOT NULL FROM users").fetchall() == [(1,)]
