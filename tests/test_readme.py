"""What the README tells a newcomer to type works as it stands."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

from .cast import Service
from .conftest import JS_TESTS, Node
from .pictures import opened, picture

README = (Path(__file__).parent.parent / "README.md").read_text()


def block(language: str, containing: str) -> str:
    """The code block of the README in this language that has `containing` in it."""
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in code]
    return found


async def test_the_first_conversation_in_curl(service: Service) -> None:
    assert shutil.which("curl"), "the README's lines need curl; so does this test"
    script = block("sh", "join anna").replace("http://localhost:8000", service.url)
    output = await run("sh", "-euc", script)
    sent, history = output.rsplit('{"items"', 1)
    assert json.loads(sent)["message"]["text"] == "안녕, Boris!"
    assert [line["text"] for line in json.loads('{"items"' + history)["items"]] == ["안녕, Boris!"]


async def test_a_picture_in_curl(service: Service, tmp_path: Path) -> None:
    script = (block("sh", "join anna") + block("sh", "photo.jpg")).replace("http://localhost:8000", service.url)
    (tmp_path / "photo.jpg").write_bytes(picture())
    await run("sh", "-euc", f"cd {tmp_path}\n{script}")
    assert opened((tmp_path / "copy.jpg").read_bytes()).size == opened(picture()).size


async def test_the_first_conversation_in_javascript(service: Service, node: Node) -> None:
    script = JS_TESTS / f"readme-{os.getpid()}.mjs"  # beside node_modules, where the import is looked for
    script.write_text(block("js", "emitWithAck").replace("http://localhost:8000", service.url))
    try:
        assert await run(str(node.path), str(script)) == "Anna: Hello!\n"
    finally:
        script.unlink()


async def run(*command: str) -> str:
    """What a command prints. Fails if it does."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, errors.decode()
    return output.decode()
