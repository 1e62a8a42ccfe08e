"""Each kind of picture comes out as one that browsers show, with the pixels that it had."""

import asyncio
import colorsys
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms

from .bench import Bench, corners, encoded, noise, quarters
from .heic import HEIC, SEE_THROUGH


@pytest.mark.parametrize(
    ("kind", "media_type", "extension"),
    [
        ("PNG", "image/png", "png"),
        ("JPEG", "image/jpeg", "jpg"),
        ("WEBP", "image/webp", "webp"),
        ("GIF", "image/gif", "gif"),
    ],
)
async def test_what_browsers_show_stays_what_it_is(bench: Bench, kind: str, media_type: str, extension: str) -> None:
    made = await bench.prepare(encoded(quarters(), kind))
    assert (made.picture.content_type, made.picture.extension) == (media_type, extension)
    assert (made.picture.width, made.picture.height, made.picture.animated) == (64, 48, False)
    assert (made.image.format, corners(made.image)) == (kind, "rgbw")
    assert (made.thumbnail.format, made.thumbnail.size, corners(made.thumbnail)) == ("WEBP", (64, 48), "rgbw")
    assert 6 < len(made.picture.blurhash) < 40


async def test_heic_and_avif_become_jpeg(bench: Bench) -> None:
    heic, avif = await asyncio.gather(bench.prepare(HEIC), bench.prepare(encoded(quarters(), "AVIF")))
    assert (heic.picture.content_type, heic.image.format, corners(heic.image)) == ("image/jpeg", "JPEG", "rbrb")
    assert (avif.picture.content_type, avif.image.format, corners(avif.image)) == ("image/jpeg", "JPEG", "rgbw")
    assert b"SECRET-GPS" in HEIC
    assert b"SECRET-GPS" not in heic.data


async def test_heic_and_avif_that_one_can_see_through_become_webp(bench: Bench) -> None:
    image = quarters(mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    heic, avif = await asyncio.gather(bench.prepare(SEE_THROUGH), bench.prepare(encoded(image, "AVIF")))
    for made in (heic, avif):
        assert (made.picture.content_type, made.image.mode) == ("image/webp", "RGBA")
        top, bottom = (made.image.getpixel((10, y)) for y in (2, 45))
        assert isinstance(top, tuple)
        assert isinstance(bottom, tuple)
        assert top[3] < 40 < 200 < bottom[3]


async def test_a_png_keeps_every_pixel_in_every_mode(bench: Bench) -> None:
    see_through = quarters(mode="RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(see_through.size))
    palette = quarters().quantize(4)
    holes = palette.copy()
    holes.info["transparency"] = 1
    faded = palette.copy()
    faded.info["transparency"] = bytes([0, 85, 170, 255])
    grey = Image.linear_gradient("L").resize((64, 48))
    images = [quarters(), see_through, palette, holes, faded, grey, grey.convert("LA"), grey.convert("1")]
    made = await asyncio.gather(*(bench.prepare(encoded(image, "PNG")) for image in images))
    for image, result in zip(images, made, strict=True):
        assert result.image.mode == image.mode
        assert result.image.convert("RGBA").tobytes() == image.convert("RGBA").tobytes(), image.mode


async def test_one_colour_of_a_png_may_be_transparent(bench: Bench) -> None:
    made = await bench.prepare(encoded(quarters(), "PNG", transparency=(255, 0, 0)))
    assert made.image.mode == "RGBA"
    assert made.image.getpixel((2, 2)) == (255, 0, 0, 0)
    assert made.image.getpixel((60, 2)) == (0, 255, 0, 255)


async def test_sixteen_bits_become_eight_of_the_same_brightness(bench: Bench) -> None:
    image = Image.new("I;16", (16, 16))
    for x in range(16):
        for y in range(16):
            image.putpixel((x, y), (x * 16 + y) * 257)
    made = await bench.prepare(encoded(image, "PNG"))
    assert made.image.mode == "L"
    assert [made.image.getpixel((x, y)) for x in range(16) for y in range(16)] == list(range(256))


async def test_a_jpeg_in_printing_colours_or_grey_is_read(bench: Bench) -> None:
    cmyk, grey = await asyncio.gather(
        bench.prepare(encoded(quarters(mode="CMYK"), "JPEG")), bench.prepare(encoded(quarters(mode="L"), "JPEG"))
    )
    assert (cmyk.image.mode, corners(cmyk.image)) == ("RGB", "rgbw")
    assert grey.image.mode == "L"


async def test_an_exact_webp_stays_exact(bench: Bench) -> None:
    image = noise(50, 50)
    made = await bench.prepare(encoded(image, "WEBP", lossless=True))
    assert made.image.convert("RGB").tobytes() == image.tobytes()


async def test_a_gif_keeps_its_colours_and_its_holes(bench: Bench) -> None:
    image = quarters().quantize(4)
    made = await bench.prepare(encoded(image, "GIF", transparency=image.getpixel((2, 2))))
    assert made.image.convert("RGBA").getpixel((2, 2))[3] == 0  # type: ignore[index]
    assert made.image.convert("RGBA").getpixel((60, 2)) == (0, 255, 0, 255)


def swapped_profile() -> bytes:
    """A profile in which red means green, green means blue, and blue means red."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for old, new in ((b"rXYZ", b"?XYZ"), (b"gXYZ", b"rXYZ"), (b"bXYZ", b"gXYZ"), (b"?XYZ", b"bXYZ")):
        at = data.index(old, 128)
        data[at : at + 4] = new
    return bytes(data).replace("sRGB".encode("utf-16-be"), "else".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_colours_are_what_the_profile_means_and_the_profile_is_gone(bench: Bench, kind: str) -> None:
    options: dict[str, Any] = {"quality": 95} if kind != "PNG" else {}
    made = await bench.prepare(encoded(quarters(), kind, icc_profile=swapped_profile(), **options))
    assert "icc_profile" not in made.image.info
    assert corners(made.image) == corners(made.thumbnail)
    assert sorted(corners(made.image)) == sorted("rgbw")
    assert corners(made.image) != "rgbw"


async def test_a_profile_that_makes_no_sense_is_left_out(bench: Bench) -> None:
    garbage, wrong = await asyncio.gather(
        bench.prepare(encoded(quarters(), "PNG", icc_profile=b"rubbish" * 100)),
        bench.prepare(encoded(quarters(mode="L"), "PNG", icc_profile=swapped_profile())),
    )
    assert corners(garbage.image) == "rgbw"
    assert wrong.image.tobytes() == quarters(mode="L").tobytes()
    assert not garbage.image.info.keys() & {"icc_profile"}


async def test_a_thumbnail_is_at_most_480_pixels_long_and_never_larger_than_the_picture(bench: Bench) -> None:
    shapes = [(2000, 1000), (100, 3000), (480, 480), (1, 5000), (3, 2)]
    made = await asyncio.gather(*(bench.prepare(encoded(Image.new("RGB", shape), "PNG")) for shape in shapes))
    assert [result.thumbnail.size for result in made] == [(480, 240), (16, 480), (480, 480), (1, 480), (3, 2)]


async def test_a_blurhash_shows_the_colour_of_the_picture(bench: Bench) -> None:
    import blurhash  # type: ignore[import-untyped]

    made = await bench.prepare(encoded(Image.new("RGB", (300, 200), (250, 120, 10)), "JPEG"))
    pixel = blurhash.decode(made.picture.blurhash, 4, 4)[1][1]
    wanted, seen = (colorsys.rgb_to_hsv(*(part / 255 for part in colour)) for colour in ((250, 120, 10), pixel))
    assert abs(wanted[0] - seen[0]) < 0.03


async def test_a_jpeg_comes_out_much_as_it_came(bench: Bench) -> None:
    data = encoded(noise(200, 150).resize((800, 600), Image.Resampling.BICUBIC), "JPEG", quality=85)
    made = await bench.prepare(data)
    difference = ImageChops.difference(made.image, Image.open(BytesIO(data))).convert("L")
    assert sum(count * value for value, count in enumerate(difference.histogram())) / (800 * 600) < 3
    assert made.picture.size < 1.2 * len(data)
