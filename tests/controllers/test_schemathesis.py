"""schemathesis, against the whole running service: every operation of the OpenAPI document, every check it has."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from src import app
from src.controllers.api import routes_of
from tests.cast import Attachment, Cast, Service, draft
from tests.pictures import picture

HERE = Path(__file__).parent
EXAMPLES = {"sqlite": 12, "postgres": 50}  # before them all is the same; PostgreSQL refuses more than SQLite
PATIENCE_SECONDS = 900


@pytest.fixture
async def environment(service: Service, cast: Cast) -> dict[str, str]:
    """Who the calls are made as, and whom and what they know."""
    anna, boris, mallory, hong = [await cast.join(name) for name in ("Anna", "Boris", "Mallory", "홍길동")]
    await anna.post("/friends/requests", {"user_id": boris.id})
    await boris.post(f"/friends/requests/{anna.id}/accept")
    await hong.post("/friends/requests", {"user_id": anna.id})
    room = await anna.post("/rooms", {"kind": "direct", "user_id": boris.id})
    sent = [await person.post(f"/rooms/{room['id']}/messages", draft()) for person in (anna, boris)]
    shown = await anna.send(room["id"], Attachment("letter.txt", b"Dear Boris"), Attachment("a.png", picture("PNG")))
    shows = await boris.upload_raw(
        "/users/me/avatar", Attachment("me.png", picture("PNG")), field="profile", method="PUT"
    )
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000000"}
    begun = [await anna.raw("POST", f"/rooms/{room['id']}/uploads", headers=headers) for _ in range(20)]
    return os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.controllers.schemathesis_hooks",
        "CHATTY_TEST_URL": service.url,
        "CHATTY_TEST_EMAIL": anna.email,
        "CHATTY_TEST_PASSWORD": anna.password,
        "CHATTY_TEST_USERS": ",".join(person.id for person in (boris, mallory, hong)),
        "CHATTY_TEST_ROOM": room["id"],
        "CHATTY_TEST_FILES": ",".join(file["id"] for file in shown["files"]),
        "CHATTY_TEST_PICTURE": shows.json["avatar_url"].rpartition("/")[2],
        "CHATTY_TEST_UPLOADS": ",".join(each.headers["Location"].rpartition("/")[2] for each in begun),
        "CHATTY_TEST_MESSAGES": ",".join(each["message"]["id"] for each in sent),
    }


async def test_the_service_keeps_its_contract_whatever_is_sent(
    service: Service, environment: dict[str, str], tmp_path: Path, database: str
) -> None:
    examples = EXAMPLES[database]
    output = tmp_path / "schemathesis.txt"
    schema = f"{service.url}/api/v1/openapi.json"
    options = ["--checks", "all", "--max-examples", str(examples), "--seed", "1", "--continue-on-failure"]
    with output.open("w") as out:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", HERE / "schemathesis.toml", "run", schema, *options),
            env=environment,
            cwd=HERE.parent.parent,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
    told = output.read_text()
    assert process.returncode == 0, told
    operations = sum(len(routes_of(controller)) for controller in app.CONTROLLERS)
    assert f"Tested: {operations}" in told
    assert int(re.findall(r"(\d+) generated, \1 passed", told)[0]) >= operations * examples
