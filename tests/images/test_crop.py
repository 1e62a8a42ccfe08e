"""A profile picture is a square."""

from PIL import Image, ImageDraw

from .bench import Bench, corners, encoded, noise, quarters


async def test_the_square_is_cut_from_the_middle_in_every_size(bench: Bench) -> None:
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste(quarters(100, 100), (100, 0))
    squares = await bench.crop(encoded(wide, "PNG"), 512, 192, 48)
    assert [(square.format, square.size, corners(square)) for square in squares] == [
        ("WEBP", (side, side), "rgbw") for side in (512, 192, 48)
    ]


async def test_what_is_transparent_stays_so(bench: Bench) -> None:
    image = Image.new("RGBA", (100, 200), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((0, 50, 100, 150), fill="red")
    (square,) = await bench.crop(encoded(image, "PNG"), 64)
    assert square.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert square.convert("RGBA").getpixel((32, 32))[3] == 255  # type: ignore[index]


async def test_a_large_jpeg_and_a_moving_gif_are_cropped(bench: Bench) -> None:
    gif = encoded(quarters(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    for data in (encoded(noise(3000, 2000), "JPEG"), gif):
        (square,) = await bench.crop(data, 96)
        assert (square.size, getattr(square, "n_frames", 1)) == ((96, 96), 1)
        assert b"EXIF" not in encoded(square, "WEBP")
