"""A picture is turned as its camera was held, once, and says nothing of it any more."""

import asyncio

import pytest
from PIL import Image

from .bench import Bench, corners, encoded, quarters

SEEN = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}
"""What the corners of `rgbw` are, for each value of EXIF's Orientation."""


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(quarters(), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_all_ways_to_hold_a_camera(bench: Bench, kind: str) -> None:
    made = await asyncio.gather(*(bench.prepare(turned(kind, orientation)) for orientation in SEEN))
    for orientation, result in zip(SEEN, made, strict=True):
        assert corners(result.image) == SEEN[orientation], orientation
        assert corners(result.thumbnail) == SEEN[orientation], orientation
        assert result.image.getexif().get(0x0112) is None
        size = (64, 48) if orientation < 5 else (48, 64)
        assert (result.picture.width, result.picture.height) == size


async def test_a_profile_picture_is_turned_too(bench: Bench) -> None:
    for orientation in (3, 6):
        (square,) = await bench.crop(turned("JPEG", orientation), 48)
        assert corners(square) == SEEN[orientation]


async def test_an_orientation_that_makes_no_sense_is_none(bench: Bench) -> None:
    broken = encoded(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    made = await asyncio.gather(bench.prepare(turned("JPEG", 99)), bench.prepare(broken))
    assert [corners(result.image) for result in made] == ["rgbw", "rgbw"]
