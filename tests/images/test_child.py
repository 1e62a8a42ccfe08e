"""The child: small, short-lived, alone, and always buried."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from src.errors import StorageFull, TooLarge, Unavailable, UnreadableImage
from src.images.child import environment
from src.images.job import Limits
from src.images.workshop import Workshop

from .bench import Bench, encoded, noise, quarters

PHOTOGRAPH = encoded(noise(2000, 1500).resize((4000, 3000)), "JPEG")


def children() -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in listed.split() if b"images.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def a_child() -> int:
    async with asyncio.timeout(10):
        while not (found := children()):
            await asyncio.sleep(0.005)
    return found[0]


def at(bench: Bench, *, at_once: int = 2, **limits: float) -> Bench:
    return Bench(bench.place, Workshop(40, at_once, limits=Limits()._replace(**limits)))


async def test_a_child_for_which_the_clock_runs_out_is_killed_and_the_sender_may_try_again(bench: Bench) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await at(bench, seconds=0.05).prepare(PHOTOGRAPH)
    assert time.monotonic() - began < 3
    assert children() == []


async def test_a_picture_that_is_too_much_work_is_the_senders(bench: Bench) -> None:
    """Each scan of a progressive JPEG is as much work as the whole picture, and costs a few bytes."""
    data = encoded(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scans = data[data.rindex(b"\xff\xda") : -2] * 2000
    with pytest.raises(TooLarge, match="more time or memory"):
        await at(bench, cpu_seconds=1).prepare(data[:-2] + scans + b"\xff\xd9")
    assert children() == []


async def test_a_picture_that_needs_too_much_memory_is_refused(bench: Bench) -> None:
    with pytest.raises((TooLarge, UnreadableImage)):
        await at(bench, memory=100 * 1024 * 1024).prepare(PHOTOGRAPH)


async def test_a_picture_that_would_be_written_too_large_is_refused(bench: Bench) -> None:
    with pytest.raises(TooLarge):
        await at(bench, written=64 * 1024).prepare(PHOTOGRAPH)


async def test_a_full_disk_is_not_the_pictures_fault(bench: Bench) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no disk here that is always full")
    for data in (encoded(quarters(), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")):
        with pytest.raises(StorageFull):
            await bench.workshop.prepare(bench.file(data), full, bench.file())


async def test_who_goes_away_takes_the_child_along(bench: Bench) -> None:
    for delay in (0, 0.001, 0.02, 0.1, 0.3):
        task = asyncio.create_task(bench.prepare(PHOTOGRAPH))
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert children() == [], delay
    assert (await bench.prepare(encoded(quarters(), "PNG"))).picture.width == 64  # and nobody's turn is lost


@pytest.mark.parametrize("at_once", [1, 2])
async def test_no_more_children_than_are_allowed_and_all_are_served(bench: Bench, at_once: int) -> None:
    crowded = at(bench, at_once=at_once)
    done: list[int] = []

    async def one(number: int) -> None:
        await crowded.prepare(encoded(quarters(), "PNG"))
        done.append(number)

    most = 0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(6)]
        while not all(task.done() for task in tasks):
            most = max(most, len(children()))
            await asyncio.sleep(0.005)
    assert most == at_once
    if at_once == 1:  # of two, the second may be the faster
        assert done == sorted(done), "who came first is served first"
    assert sorted(done) == list(range(6))


async def test_the_child_knows_no_secret_and_is_confined(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATTY_SECRET_KEY", "a-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    task = asyncio.create_task(bench.prepare(PHOTOGRAPH))
    process = Path(f"/proc/{await a_child()}")
    environ = await read_when(process / "environ", b"PYTHONPATH")
    status = await read_when(process / "status", b"NoNewPrivs:\t1")
    limits = (process / "limits").read_text(encoding="ascii")
    await task
    assert b"CHATTY" not in environ
    assert b"SECRET" not in environ
    assert {entry.split(b"=")[0] for entry in environ.split(b"\0") if entry} <= {
        b"PYTHONPATH", b"PYTHONUTF8", b"MALLOC_ARENA_MAX", b"LD_LIBRARY_PATH", b"PYTHONHOME", b"LC_CTYPE",
    }  # fmt: skip
    rows = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()}
    assert rows["Max cpu time"] == ["10", "11"]
    assert rows["Max address space"] == [str(Limits().memory)] * 2
    assert rows["Max core file size"] == ["0", "0"]
    assert rows["Max file size"] == [str(Limits().written)] * 2
    assert b"NoNewPrivs:\t1" in status


async def read_when(path: Path, words: bytes) -> bytes:
    async with asyncio.timeout(10):
        while words not in (read := path.read_bytes()):
            await asyncio.sleep(0.002)
    return read


ATTEMPTS = {
    "open a file": "open('/etc/passwd')",
    "open a file in the place of another": "os.close(0); open('/etc/passwd')",
    "write a file": "open('/tmp/chatty-test-of-a-child', 'w')",
    "make a socket": "import socket; socket.socket()",
    "run a program": "os.execv('/bin/true', ['/bin/true'])",
    "start a process": "os.fork()",
    "signal another": "os.kill(os.getppid(), 0)",
    "delete a file": "os.unlink(sys.argv[1])",
    "name a file anew": "os.rename(sys.argv[1], sys.argv[1] + '2')",
    "link a file": "os.symlink('/etc/passwd', sys.argv[1] + '3')",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))",
}


@pytest.mark.skipif(os.uname().machine != "x86_64" or sys.platform != "linux", reason="no filter of calls there")
def test_a_decoder_that_is_taken_over_can_do_nothing(tmp_path: Path) -> None:
    """Each attempt as one Python process, confined as the child is."""
    victim = tmp_path / "victim"
    victim.touch()
    for name, attempt in ATTEMPTS.items():
        program = (
            "import os, resource, socket, sys\n"
            "from src.images.confinement import confine\n"
            "confine(cpu_seconds=5, memory=1 << 30, written=1 << 20)\n"
            f"try:\n    {attempt}\nexcept (OSError, ValueError) as e: print('kept from it')\nelse: print('did it')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(victim)],
            env=environment(),
            capture_output=True,
            check=False,
            timeout=20,
        )
        assert done.stdout == b"kept from it\n", (name, done)
    assert list(tmp_path.iterdir()) == [victim]


def test_a_thread_is_allowed_since_a_decoder_needs_one() -> None:
    program = (
        "import threading\nfrom src.images.confinement import confine\n"
        "confine(cpu_seconds=5, memory=1 << 30, written=1 << 20)\n"
        "t = threading.Thread(target=print, args=('here',)); t.start(); t.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=False)
    assert done.stdout == b"here\n", done


def test_it_works_wherever_the_service_was_started(tmp_path: Path) -> None:
    """Also where there is no `src` beside it, and where a file in the way has the name of a module."""
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')")
    (tmp_path / "source").write_bytes(encoded(quarters(), "PNG"))
    for name in ("image", "thumbnail"):
        (tmp_path / name).touch()
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import asyncio\nfrom pathlib import Path\nfrom src.images.workshop import Workshop\n"
        "print(asyncio.run(Workshop(40).prepare(Path('source'), Path('image'), Path('thumbnail'))).width)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert done.stdout == b"64\n", done


async def test_a_child_that_cannot_start_is_our_fault(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.images.child._WORKER", "src.images.nothing")
    with pytest.raises(Unavailable):
        await bench.prepare(encoded(quarters(), "PNG"))
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(Unavailable):
        await bench.prepare(encoded(quarters(), "PNG"))


@pytest.mark.parametrize(
    "answer",
    [
        b"ready\nnonsense", b"ready\n[]", b"ready\n{}", b"ready\n" + b"x" * 100_000,
        b'ready\n{"format": "HTML", "width": 1, "height": 1, "blurhash": "x"}',
        b'ready\n{"format": "PNG", "width": -1, "height": 1, "blurhash": "x"}',
        b'ready\n{"format": "PNG", "width": "1", "height": 1, "blurhash": "x"}',
        json.dumps({"format": "PNG", "width": 1, "height": 1, "blurhash": "x" * 999}).encode(),
    ],
)  # fmt: skip
async def test_a_child_that_was_taken_over_is_not_believed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: bytes
) -> None:
    liar = tmp_path / "liar"
    liar.write_text(f"#!{sys.executable}\nimport sys\nsys.stdout.buffer.write({answer!r})\n")
    liar.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(liar))
    with pytest.raises((UnreadableImage, Unavailable)):
        await bench.prepare(encoded(quarters(), "PNG"))


async def test_the_service_never_loads_a_decoder() -> None:
    program = (
        "import sys, src.images.workshop\nprint([name for name in sys.modules if name.startswith(('PIL', 'pi_heif'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, check=True)
    assert done.stdout == b"[]\n"
