"""Pictures made to break whoever opens them: a refusal with a sentence, soon, and nothing else happens."""

import struct
import time
import zlib

import pytest
from PIL import Image

from src.errors import TooLarge, Unavailable, UnreadableImage, UnsupportedType

from .bench import Bench, encoded, noise, quarters
from .heic import HEIC


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def wide(data: bytes, marker: bytes, at: int, size: bytes) -> bytes:
    """`data` with another size in the header that begins with `marker`."""
    place = data.index(marker) + at
    return data[:place] + size + data[place + len(size) :]


BOMBS = {
    "900 Mpx png": png(30_000, 30_000, zlib.compress(b"\0" * 1000)),
    "169 Mpx png, 20 KiB": png(13_000, 13_000, zlib.compress(b"\0" * (1626 * 13_000), 9)),
    "41 Mpx png": png(8200, 5000, zlib.compress(b"\0" * (1026 * 5000), 9)),
    "65535 jpeg": wide(encoded(quarters(), "JPEG"), b"\xff\xc0", 5, b"\xff\xff\xff\xff"),
    "65535 gif": wide(encoded(quarters(), "GIF"), b"GIF", 6, b"\xff\xff\xff\xff"),
    "16384 webp": wide(encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 4)), "WEBP"), b"VP8X", 12, b"\xff\x3f\0" * 2),
    "65535 avif": wide(encoded(quarters(), "AVIF"), b"ispe", 8, struct.pack(">II", 65_535, 65_535)),
    "65535 heic": wide(HEIC, b"ispe", 8, struct.pack(">II", 65_535, 65_535)),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_picture_that_claims_to_be_huge_is_refused_at_once(bench: Bench, name: str) -> None:
    began = time.process_time()
    with pytest.raises((TooLarge, UnreadableImage)) as refusal:
        await bench.prepare(BOMBS[name])
    if "png" in name or "jpeg" in name or "gif" in name:
        assert refusal.value.detail == "An image may have at most 40 megapixels."
    with pytest.raises((TooLarge, UnreadableImage)):
        await bench.crop(BOMBS[name], 48)
    assert time.process_time() - began < 1


async def test_exactly_as_many_pixels_as_allowed_are_allowed(bench: Bench) -> None:
    made = await bench.prepare(png(8000, 5000, zlib.compress(b"\0" * (1001 * 5000), 9)))
    assert (made.picture.width, made.picture.height) == (8000, 5000)


PICTURES = {
    "png": encoded(noise(80, 60), "PNG"),
    "jpeg": encoded(noise(80, 60), "JPEG"),
    "progressive": encoded(noise(80, 60), "JPEG", progressive=True),
    "webp": encoded(noise(80, 60), "WEBP"),
    "gif": encoded(noise(80, 60), "GIF"),
    "avif": encoded(noise(80, 60), "AVIF"),
    "heic": HEIC,
    "moving webp": encoded(noise(80, 60), "WEBP", save_all=True, append_images=[noise(80, 60)]),
    "moving gif": encoded(noise(80, 60), "GIF", save_all=True, append_images=[noise(80, 60)]),
    "moving png": encoded(noise(80, 60), "PNG", save_all=True, append_images=[noise(80, 60)]),
}


@pytest.mark.parametrize("kind", PICTURES)
async def test_a_picture_that_is_cut_off_is_refused(bench: Bench, kind: str) -> None:
    whole = PICTURES[kind]
    for length in (len(whole) // 2, len(whole) * 9 // 10, 20):
        with pytest.raises(UnreadableImage):
            await bench.prepare(whole[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(quarters(), "TIFF"),
        encoded(quarters(), "BMP"),
        encoded(quarters(), "EPS"),
        b"\x89PNG\r\n\x1a\n" + b"rubbish" * 100,
        b"\xff\xd8\xff\xe0" + b"<script>" * 100,
        b"GIF89a" + b"/*" * 100,
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\0" * 100,
        b"\0\0\0\x20ftypheic" + b"\xff" * 100,
        b"\0\0\0\x20ftypavif" + b"\xff" * 100,
    ],
    ids=lambda data: repr(data[:12]),
)
async def test_what_is_no_picture_is_refused(bench: Bench, data: bytes) -> None:
    for refused in (bench.prepare(data), bench.crop(data, 48)):
        with pytest.raises(UnreadableImage):
            await refused


async def test_damaged_bytes_anywhere_are_refused_or_shown_but_break_nothing(bench: Bench) -> None:
    for number, (kind, whole) in enumerate(PICTURES.items()):
        data = bytearray(whole)
        for place in range(20 + number, len(data), len(data) // 9):
            data[place] ^= 0xFF
        try:
            made = await bench.prepare(bytes(data))
        except (UnreadableImage, TooLarge, UnsupportedType):
            continue
        except Unavailable:
            pytest.fail(kind)
        made.image.verify()


async def test_a_gif_that_is_nothing_but_frames_ends_in_time(bench: Bench) -> None:
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    data = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * 50_000 + b";"
    with pytest.raises(TooLarge):
        await bench.prepare(data)


async def test_a_refusal_leaves_the_source_as_it_was(bench: Bench) -> None:
    source = bench.file(b"rubbish")
    with pytest.raises(UnreadableImage):
        await bench.workshop.prepare(source, bench.file(), bench.file())
    assert source.read_bytes() == b"rubbish"
