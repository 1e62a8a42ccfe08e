"""What a picture says besides its pixels stays behind: where it was taken, who made it, and what is hidden in it."""

import asyncio
import io
import zipfile
import zlib
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from .bench import Bench, corners, encoded, quarters

SECRET = b"SECRET-OF-THE-SENDER"
SCRIPT = b"<script>alert('SECRET-OF-THE-SENDER')</script>"


def located() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()  # a description
    exif[0x013B] = SECRET.decode()  # who took it
    exif.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 59.0), 3: "E", 4: (126.0, 58.0, 40.0)})
    return exif


def spoke(data: bytes) -> bool:
    """Is there anything in it that is not pixels?"""
    markers = (SECRET, b"Exif", b"EXIF", b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"XMP ", b"xmpmeta", b"iCCP", b"ICCP",
               b"ICC_PROFILE", b"Photoshop", b"PK\x03\x04", b"\xff\xfe\x00", b"script", b"GPS")  # fmt: skip
    return any(marker in data for marker in markers)


XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
async def test_where_a_picture_was_taken_is_not_passed_on(bench: Bench, kind: str) -> None:
    options: dict[str, Any] = {} if kind == "PNG" else {"xmp": XMP}
    data = encoded(quarters(), kind, exif=located(), **options)
    assert SECRET in data
    made = await bench.prepare(data)
    assert corners(made.image) == "rgbw"
    assert not made.image.getexif()
    assert not spoke(made.data)
    assert not spoke(made.thumbnail_data)


async def test_texts_of_a_png_are_not_passed_on(bench: Bench) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRET.decode())
    texts.add_text("Author", SECRET.decode() * 50, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    texts.add(b"prIv", SECRET)
    made = await bench.prepare(encoded(quarters(), "PNG", pnginfo=texts))
    assert not spoke(made.data)
    assert [name for name in made.image.info if name != "transparency"] == []


async def test_comments_of_a_jpeg_and_a_gif_are_not_passed_on(bench: Bench) -> None:
    for kind in ("JPEG", "GIF"):
        data = encoded(quarters(), kind, comment=SCRIPT)
        assert SCRIPT in data
        made = await bench.prepare(data)
        assert not spoke(made.data)
        assert "comment" not in made.image.info


def an_archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", SCRIPT)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "JPEG", "WEBP"])
async def test_a_picture_that_is_an_archive_too_is_a_picture_only(bench: Bench, kind: str) -> None:
    data = encoded(quarters(), kind) + an_archive()
    assert zipfile.is_zipfile(io.BytesIO(data))
    made = await bench.prepare(data)
    assert corners(made.image) == "rgbw"
    assert not zipfile.is_zipfile(io.BytesIO(made.data))
    assert not spoke(made.data)


async def test_moving_pictures_say_nothing_either(bench: Bench) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    moving: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 100}
    made = await asyncio.gather(
        bench.prepare(encoded(frames[0], "GIF", comment=SCRIPT, **moving)),
        bench.prepare(encoded(frames[0], "WEBP", exif=located(), xmp=XMP, **moving)),
        bench.prepare(encoded(frames[0], "PNG", exif=located(), **moving)),
    )
    for result in made:
        assert result.picture.animated
        assert not spoke(result.data)


async def test_a_profile_picture_says_nothing(bench: Bench) -> None:
    file = bench.file()
    source = bench.file(encoded(quarters(), "JPEG", exif=located(), comment=SCRIPT))
    await bench.workshop.crop(source, {48: file})
    assert not spoke(file.read_bytes())


async def test_a_text_that_swells_is_refused_or_left_out(bench: Bench) -> None:
    from src.errors import UnreadableImage

    bomb = zlib.compress(b"\0" * 200_000_000, 9)
    chunks = [
        (b"iCCP", b"bomb\0\0" + bomb),
        (b"zTXt", b"Comment\0\0" + bomb),
        (b"iTXt", b"Comment\0\1\0\0\0" + bomb),
    ]
    for name, body in chunks:
        data = encoded(quarters(), "PNG")
        chunk = len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        try:
            made = await bench.prepare(data[:33] + chunk + data[33:])
        except UnreadableImage:
            continue
        assert corners(made.image) == "rgbw"
        assert len(made.data) < 2 * len(data)
