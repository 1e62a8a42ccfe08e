"""What is a picture is told by its first bytes."""

import pytest
from PIL import Image

from src.images.sniff import HEAD_BYTES, picture_type

from .bench import encoded, quarters
from .heic import HEIC


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF"])
def test_pictures_that_are_shown_are_known_by_their_first_bytes(kind: str) -> None:
    assert picture_type(encoded(quarters(), kind)[:HEAD_BYTES]) == f"image/{kind.lower()}"


def test_all_kinds_of_webp_are_known() -> None:
    see_through = Image.new("RGBA", (8, 8), (1, 2, 3, 4))
    for image, options in ((quarters(), {}), (quarters(), {"lossless": True}), (see_through, {})):
        assert picture_type(encoded(image, "WEBP", **options)[:HEAD_BYTES]) == "image/webp"


def test_heic_is_known() -> None:
    assert picture_type(HEIC[:HEAD_BYTES]) == "image/heic"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", "image/heif"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avismsf1", "image/avif"),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp41heic", None),
        (b"\0\0\0\x20ftypisom\0\0\0\0mp42avif", None),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", None),
    ],
)
def test_of_films_and_pictures_in_the_same_box_the_brands_decide(head: bytes, media_type: str | None) -> None:
    assert picture_type(head) == media_type


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"PK\x03\x04" + b"\0" * 30,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"RIFF\x24\0\0\0WEBPJUNK",
        b"\x00asm\x01\0\0\0",
        b" \x89PNG\r\n\x1a\n",
        b"\x89PNG\n\x1a\n",
        b"GIF88a",
        b"\xff\xd8",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        *(encoded(quarters(), kind) for kind in ("TIFF", "BMP", "ICO", "PPM", "TGA", "PCX", "EPS", "PDF", "ICNS")),
    ],
)
def test_everything_else_is_a_document(data: bytes) -> None:
    assert picture_type(data[:HEAD_BYTES]) is None


def test_any_beginning_of_a_picture_can_be_asked_about() -> None:
    for data in (HEIC, *(encoded(quarters(), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "AVIF"))):
        for length in range(HEAD_BYTES):
            picture_type(data[:length])
