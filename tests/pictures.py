"""Pictures and files for the tests, made when they are needed."""

import io
from typing import Any

from PIL import Image

RED, GREEN = (200, 30, 30), (30, 160, 60)


def picture(kind: str = "JPEG", size: tuple[int, int] = (120, 80), colour: Any = RED, **options: Any) -> bytes:
    """An image of one colour, as the bytes of a file."""
    with io.BytesIO() as file:
        Image.new("RGB", size, colour).save(file, kind, **options)
        return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image that these bytes are, read to its end."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
