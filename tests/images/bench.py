"""A workshop with its bench: files to work on, and what came of them."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from src.images.workshop import Picture, Workshop


@dataclass(frozen=True)
class Made:
    """A picture that was prepared, and the bytes of both files."""

    picture: Picture
    data: bytes
    thumbnail_data: bytes

    @property
    def image(self) -> Image.Image:
        image = Image.open(BytesIO(self.data))
        image.load()
        return image

    @property
    def thumbnail(self) -> Image.Image:
        image = Image.open(BytesIO(self.thumbnail_data))
        image.load()
        return image


class Bench:
    def __init__(self, place: Path, workshop: Workshop) -> None:
        self.place, self.workshop = place, workshop

    def file(self, data: bytes = b"") -> Path:
        path = self.place / uuid4().hex
        path.write_bytes(data)
        return path

    async def prepare(self, data: bytes) -> Made:
        image, thumbnail = self.file(), self.file()
        picture = await self.workshop.prepare(self.file(data), image, thumbnail)
        made = Made(picture, image.read_bytes(), thumbnail.read_bytes())
        assert picture.size == len(made.data)
        assert picture.thumbnail_size == len(made.thumbnail_data)
        assert (picture.width, picture.height) == made.image.size
        return made

    async def crop(self, data: bytes, *sides: int) -> list[Image.Image]:
        files = {side: self.file() for side in sides}
        await self.workshop.crop(self.file(data), files)
        return [Image.open(path) for path in files.values()]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def quarters(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Red, green / blue, white: one can tell how it was turned."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image.convert(mode)


def corners(image: Image.Image) -> str:
    """The colours of the corners, from left to right and down: `rgbw` as `quarters` makes it."""
    rgb = image.convert("RGB")
    right, bottom = rgb.width - 3, rgb.height - 3
    return "".join(_letter(rgb.getpixel(place)) for place in ((2, 2), (right, 2), (2, bottom), (right, bottom)))


def _letter(colour: Any) -> str:
    near = [part > 127 for part in colour]
    return {(True, False, False): "r", (False, True, False): "g", (False, False, True): "b", (True,) * 3: "w"}.get(
        tuple(near), "?"
    )


def noise(width: int, height: int) -> Image.Image:
    """What a camera sees: something that does not shrink to nothing."""
    return Image.merge("RGB", [Image.effect_noise((width, height), strength) for strength in (20, 40, 60)])
