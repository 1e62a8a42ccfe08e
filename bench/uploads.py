"""A file up and down beside bare aiohttp, a photograph made ready, and what others notice of ten uploads.

`.venv/bin/python -m bench.uploads [--mib 100] [--rounds 3] [--database sqlite] [--only throughput,picture,latency]`
"""

import argparse
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .harness import ROOT, Served, call, join, peer, percentile, run, service
from .sends import Pair, open_loop
from .talkers import pairs
from .wires import Wire

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"  # as long as a browser's: a short one takes longer to look for
AFTER = f"\r\n--{BOUNDARY}--\r\n".encode()
PIECE = 256 * 1024
MIB = 1024 * 1024
SETTINGS = {"FILES__MAX_MIB": 1024, "FILES__QUOTA_MIB": 1024 * 1024, "FILES__RESERVE_MIB": 0}


class Moved(NamedTuple):
    """`seconds` that it took, and by how many KiB the server's process grew meanwhile."""

    seconds: float
    grown: int


@contextmanager
def watched(served: Served) -> Iterator[list[int]]:
    """The server's memory, looked at every few milliseconds."""
    seen, done = [served.rss_kib], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            seen.append(served.rss_kib)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def send(port: int, head: str, before: bytes, size: int, after: bytes) -> tuple[bytes, float]:
    """Send a body of `size` bytes between two others; the answer's body, and the seconds until it was there."""
    piece = random.Random(1).randbytes(PIECE)
    with socket.create_connection(("127.0.0.1", port)) as wire:
        begun = time.perf_counter()
        wire.sendall(head.encode() + before)
        for sent in range(0, size, PIECE):
            wire.sendall(piece[: size - sent])
        wire.sendall(after)
        answer = _received(wire)
        return answer, time.perf_counter() - begun


def _received(wire: socket.socket) -> bytes:
    """The body of one answer. Fails unless its status is a success."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += wire.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.split()[1][:1] == b"2", data
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    got, buffer = len(body), bytearray(PIECE)
    while got < length:
        count = wire.recv_into(buffer)
        assert count, "cut off"
        body += buffer[:count] if length < PIECE else b""  # of a large one only the time matters
        got += count
    return body


def upload(served: Served, room: str, token: str, size: int, paths: list[str]) -> float:
    """A form with one file of random bytes; the seconds. Where the file is then is added to `paths`."""
    before = b'--%b\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n' % BOUNDARY.encode()
    length = len(before) + size + len(AFTER)
    head = (
        f"POST /api/v1/rooms/{room}/files HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    answer, seconds = send(served.port, head, before, size, AFTER)
    paths.append(f"/api/v1/files/{json.loads(answer)['items'][0]['id']}")
    return seconds


def download(port: int, path: str, token: str = "") -> float:
    """Read a file to its end; the seconds."""
    with socket.create_connection(("127.0.0.1", port)) as wire:
        begun = time.perf_counter()
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        _received(wire)
        return time.perf_counter() - begun


def moved(served: Served, what: Any) -> Moved:
    with watched(served) as seen:
        seconds = what()
    return Moved(seconds, max(seen) - seen[0])


def show(name: str, plain: list[Moved], ours: list[Moved], mib: int) -> None:
    rates = [mib / statistics.median(each.seconds for each in side) for side in (plain, ours)]
    grown = [max(each.grown for each in side) / 1024 for side in (plain, ours)]
    print(
        f"{name:9} plain {rates[0]:6.0f} MiB/s, Chatty {rates[1]:6.0f} MiB/s: {rates[1] / rates[0]:.2f}; "
        f"the process grew by {grown[0]:.1f} and {grown[1]:.1f} MiB"
    )


def throughput(served: Served, room: str, token: str, mib: int, rounds: int) -> None:
    """Interleaved, so that both meet the same moments of the machine."""
    size = mib * MIB
    with peer("plain_files") as plain:
        head = f"PUT /file HTTP/1.1\r\nHost: bench\r\nContent-Length: {size}\r\n\r\n"
        durably = head.replace("/file", "/file?durable", 1)
        up: dict[str, list[Moved]] = {"plain": [], "durable": [], "ours": []}
        down: dict[str, list[Moved]] = {"plain": [], "ours": []}
        for number in range(rounds + 1):
            path: list[str] = []
            plain_up = moved(plain, lambda: send(plain.port, head, b"", size, b"")[1])
            our_up = moved(served, lambda path=path: upload(served, room, token, size, path))
            plain_down = moved(plain, lambda: download(plain.port, "/file"))
            our_down = moved(served, lambda path=path: download(served.port, path[0], token))
            durable_up = moved(plain, lambda: send(plain.port, durably, b"", size, b"")[1])
            if number:  # the first round warms up
                up["durable"].append(durable_up)
                up["plain"].append(plain_up), up["ours"].append(our_up)
                down["plain"].append(plain_down), down["ours"].append(our_down)
        show(f"{mib} up", up["plain"], up["ours"], mib)
        show("… on disk", up["durable"], up["ours"], mib)
        show(f"{mib} down", down["plain"], down["ours"], mib)


def photograph(megapixels: int = 12) -> bytes:
    """A JPEG with as much in it as a photograph has."""
    from PIL import Image, ImageFilter

    width, height = 4000, megapixels * 250
    noise = Image.effect_noise((width // 8, height // 8), 90).resize((width, height), Image.Resampling.BICUBIC)
    colours = Image.merge("RGB", [noise, noise.rotate(180), noise.filter(ImageFilter.BoxBlur(4))])
    with io.BytesIO() as file:
        colours.save(file, "JPEG", quality=88)
        return file.getvalue()


def picture(served: Served, room: str, token: str, rounds: int) -> None:
    data, seconds = photograph(), []
    before = b'--%b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' % BOUNDARY.encode()
    length = len(before) + len(data) + len(AFTER)
    head = (
        f"POST /api/v1/rooms/{room}/files HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\r\n"
    )
    for _ in range(rounds + 1):
        answer, took = send(served.port, head, before + data, 0, AFTER)
        file = json.loads(answer)["items"][0]
        assert (file["kind"], file["width"], file["height"]) == ("image", 4000, 3000), file
        seconds.append(took)
    print(f"a JPEG of 12 megapixels and {len(data) / MIB:.1f} MiB, with its thumbnail: {min(seconds[1:]):.2f} to "
          f"{max(seconds[1:]):.2f} s")  # fmt: skip


async def chatting(served: Served, rooms: Any, rate: float, seconds: float) -> list[float]:
    """Acknowledgements of sends at a fixed rate, in seconds from when each was due."""
    talking = [Pair(room, *[await Wire.open(served.port, token) for token in room.tokens]) for room in rooms]
    await open_loop(talking, rate, seconds)
    for pair in talking:
        pair.sender.transport.abort()
        pair.recipient.transport.abort()
    assert not sum(pair.refused for pair in talking)
    return [latency for pair in talking for latency in pair.latencies]


def latency(served: Served, room: str, token: str, seconds: float) -> None:
    """Before, during and after ten people upload 25 MiB, one file after the other."""
    rooms = pairs(served, 20)
    run(chatting(served, rooms, 200, 2))
    quiet = run(chatting(served, rooms, 200, seconds))
    command = [sys.executable, "-m", "bench.uploads", "--uploader", str(served.port), room, token]
    uploaders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(10)]
    time.sleep(2)
    busy = run(chatting(served, rooms, 200, seconds))
    done = 0
    for uploader in uploaders:
        uploader.terminate()
        done += len(uploader.communicate()[0].splitlines())
    after = run(chatting(served, rooms, 200, seconds))
    for name, latencies in (("before", quiet), (f"while ten upload ({done} files)", busy), ("after", after)):
        p50, p99 = percentile(latencies, 0.5) * 1e3, percentile(latencies, 0.99) * 1e3
        print(f"acknowledgements {name:30} p50 {p50:6.1f} ms  p99 {p99:6.1f} ms")


def keep_uploading(port: int, room: str, token: str) -> None:
    """One of the ten: until it is ended, a line for each file. On the core of whoever measures, it steps back."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    served = Served(f"http://127.0.0.1:{port}", port, 0, 0)
    while True:
        upload(served, room, token, 25 * MIB, [])
        print("done", flush=True)


def main(mib: int, rounds: int, database: str, only: str) -> None:
    with service(database, **SETTINGS) as served:
        anna, boris = join(served, "anna"), join(served, "boris")
        token = anna["access_token"]
        room = call(served, "/rooms", {"kind": "direct", "user_id": boris["user"]["id"]}, token)["id"]
        if "throughput" in only:
            throughput(served, room, token, mib, rounds)
        if "picture" in only:
            picture(served, room, token, rounds)
        if "latency" in only:
            latency(served, room, token, 8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database", default="sqlite")
    parser.add_argument("--only", default="throughput,picture,latency")
    parser.add_argument("--uploader", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.uploader:
        keep_uploading(int(options.uploader[0]), *options.uploader[1:])
    else:
        main(options.mib, options.rounds, options.database, options.only)
