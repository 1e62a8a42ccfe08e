"""What moves keeps moving: the same frames, for as long, as often."""

import io
import time
from typing import Any

import pytest
from PIL import Image, ImageDraw

from src.errors import TooLarge

from .bench import Bench, Made, encoded, noise

COLOURS = ("red", "lime", "blue", "black")
DURATIONS = [100, 250, 40, 1000]


def moving(kind: str, frames: list[Image.Image], **options: Any) -> bytes:
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def balls(mode: str = "RGB") -> list[Image.Image]:
    """A ball that rolls, and changes its colour. On nothing, where there is an alpha channel."""
    frames = []
    for number, colour in enumerate(COLOURS):
        image = Image.new(mode, (60, 40), (255, 255, 255, 0)[: len(mode)])
        ImageDraw.Draw(image).ellipse((number * 10, 10, number * 10 + 20, 30), fill=colour)
        frames.append(image)
    return frames


def shown(image: Image.Image) -> list[tuple[Image.Image, int]]:
    """What somebody sees: each frame, and for how long."""
    seen = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        seen.append((image.convert("RGBA"), int(image.info.get("duration", 0))))
    return seen


def alike(one: Image.Image, other: Image.Image) -> bool:
    places = [(x, y) for x in range(10, one.width, 20) for y in range(10, one.height, 10)]
    return all(_near(one.getpixel(place), other.getpixel(place)) for place in places)


def _near(one: Any, other: Any) -> bool:
    if one[3] < 128 or other[3] < 128:
        return bool(one[3] < 128 and other[3] < 128)
    return all(abs(a - b) < 60 for a, b in zip(one, other, strict=True))


def reopened(made: Made) -> Image.Image:
    return Image.open(io.BytesIO(made.data))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_frames_and_their_durations_are_kept(bench: Bench, kind: str, mode: str) -> None:
    options = {"disposal": 2} if kind == "GIF" else {}
    data = moving(kind, balls(mode), duration=DURATIONS, loop=3, **options)
    made = await bench.prepare(data)
    before, after = shown(Image.open(io.BytesIO(data))), shown(reopened(made))
    assert (made.picture.animated, made.image.format) == (True, kind)
    assert [duration for _, duration in after] == DURATIONS
    assert reopened(made).info["loop"] == 3
    assert all(alike(old, new) for (old, _), (new, _) in zip(before, after, strict=True))
    assert alike(made.thumbnail.convert("RGBA"), before[0][0])
    assert getattr(made.thumbnail, "n_frames", 1) == 1


async def test_a_gif_that_plays_once_plays_once(bench: Bench) -> None:
    made = await bench.prepare(moving("GIF", balls(), duration=100))
    assert "loop" not in reopened(made).info


async def test_a_gif_whose_frames_build_upon_each_other_looks_the_same(bench: Bench) -> None:
    data = moving("GIF", balls(), duration=DURATIONS, optimize=True)
    made = await bench.prepare(data)
    before, after = shown(Image.open(io.BytesIO(data))), shown(reopened(made))
    assert all(alike(old, new) for (old, _), (new, _) in zip(before, after, strict=True))


async def test_the_first_frame_of_a_png_may_be_for_those_who_see_no_movement(bench: Bench) -> None:
    cover = Image.new("RGB", (60, 40), "yellow")
    data = encoded(cover, "PNG", save_all=True, default_image=True, append_images=balls(), duration=100)
    made = await bench.prepare(data)
    seen = shown(reopened(made))
    assert len(seen) == 4
    assert not alike(seen[0][0], cover.convert("RGBA"))


def tiny_frames(count: int, size: tuple[int, int]) -> bytes:
    """A GIF of so many frames that all differ."""
    frames = [Image.new("L", (1, 1), number % 256) for number in range(count)]
    data = bytearray(moving("GIF", frames, duration=20))
    data[6:10] = size[0].to_bytes(2, "little") + size[1].to_bytes(2, "little")  # the canvas; the frames stay tiny
    return bytes(data)


async def test_too_many_frames_are_refused_with_a_sentence(bench: Bench) -> None:
    for data in (tiny_frames(600, (1000, 1000)), tiny_frames(201, (1, 1)), tiny_frames(26, (2000, 2000))):
        with pytest.raises(TooLarge) as refusal:
            await bench.prepare(data)
        assert "at most 200 frames, and 100 megapixels" in refusal.value.detail


async def test_two_hundred_frames_are_not_too_many(bench: Bench) -> None:
    made = await bench.prepare(tiny_frames(200, (50, 50)))
    assert reopened(made).n_frames == 200  # type: ignore[attr-defined]


async def test_a_frame_that_sticks_out_of_the_canvas_is_cut_off(bench: Bench) -> None:
    first, second = (encoded(Image.new("L", size, 200), "GIF") for size in ((20, 20), (30, 30)))
    picture = second[second.index(b",") : -1]
    made = await bench.prepare(first[:-1] + picture + picture + b";")
    assert (made.picture.width, made.picture.height) == (20, 20)


async def test_a_frame_of_a_gif_keeps_each_of_its_256_colours(bench: Bench) -> None:
    frames = [noise(200, 200).quantize(255, Image.Quantize.MEDIANCUT) for _ in range(3)]
    data = moving("GIF", frames, duration=100)
    made = await bench.prepare(data)
    before, after = shown(Image.open(io.BytesIO(data))), shown(reopened(made))
    assert all(old.tobytes() == new.tobytes() for (old, _), (new, _) in zip(before, after, strict=True))


async def test_photographs_that_move_are_ready_in_time(bench: Bench) -> None:
    """More colours in a frame than a palette has: in other hands the most work that a GIF can make."""
    frames = [noise(1000, 1000).quantize(200 + number, Image.Quantize.FASTOCTREE) for number in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    began = time.monotonic()
    made = await bench.prepare(file.getvalue())
    assert made.picture.animated
    assert time.monotonic() - began < 10
