"""A child process for one picture: started, listened to within limits of time and length, and always ended."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from .job import READY, Job
from .refusals import Exhausted, Failed

_log = structlog.get_logger("chatty.images")

_WORKER: Final = f"{__package__}.worker"
_MAX_SAID: Final = 16 * 1024
# Where Python and its libraries are; everything else, and with it every secret, stays here.
_INHERITED: Final = ("SYSTEMROOT", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_OUT_OF_TIME: Final = -getattr(signal, "SIGXCPU", 0)
_KILLED: Final = -getattr(signal, "SIGKILL", 0)


async def run(job: Job, seconds: float) -> dict[str, Any] | None:
    """What the child says of the job; None if it crashed over the picture.

    Raises Exhausted if the picture used up the child's time, and Failed if the child could not work or the clock ran
    out. Whatever happens to the caller, the child is gone when this returns.
    """
    process = await _started(job)
    try:
        async with asyncio.timeout(seconds):
            said = await _said(process)
            status = await process.wait()
    except TimeoutError:
        raise Failed("clock") from None
    finally:
        await _end(process)
    return _understood(said, status)


async def _started(job: Job) -> asyncio.subprocess.Process:
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-s", "-m", _WORKER, json.dumps(job)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(),
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:  # uvloop would leave the child behind
        with suppress(OSError):
            await _end(await starting)
        raise


def environment() -> dict[str, str]:
    """The child finds the modules that we find, also in a checkout, and inherits nothing else."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    places = [place for place in sys.path if os.path.isabs(place)]
    root = str(Path(__file__).resolve().parents[2])
    return kept | {"PYTHONPATH": os.pathsep.join([*places, root]), "PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "1"}


async def _said(process: asyncio.subprocess.Process) -> bytes:
    said = bytearray()
    while process.stdout and (chunk := await process.stdout.read(_MAX_SAID)):
        said += chunk
        if len(said) > _MAX_SAID:
            raise Failed("chatter")
    return bytes(said)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())


def _understood(said: bytes, status: int) -> dict[str, Any] | None:
    ready, _, answer = said.partition(READY)
    if READY not in said:  # it has not seen the picture: what it says is ours, and may be written down
        _log.error("image_child_failed", status=status, said=ready[-1000:].decode(errors="replace"))
        raise Failed("start")
    if status == _OUT_OF_TIME:
        raise Exhausted
    if status == _KILLED:  # not by us: this machine has less memory than a child may use
        raise Failed("killed")
    if status > 0:
        raise Failed("broken")
    try:
        words = json.loads(answer)
    except ValueError:
        return None
    return words if status == 0 and isinstance(words, dict) else None
