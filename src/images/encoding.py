"""From pixels to files that say nothing but the pixels. Runs in the child alone."""

from collections.abc import Iterable
from typing import Any, BinaryIO, Final

import blurhash  # type: ignore[import-untyped]
from PIL import Image

from .decoding import Frame
from .job import THUMBNAIL_SIDE

_MEGAPIXEL: Final = 1_000_000
_THUMBNAIL_QUALITY: Final = 75
_BLUR_SIDE: Final = 32
_SEE_THROUGH: Final = 255  # of a GIF's palette
_HALF: Final = 128
_EXACT_MEGAPIXELS: Final = 25


def save_still(image: Image.Image, kind: str, file: BinaryIO, *, sampling: int, lossless: bool) -> None:
    """Write `image` as `kind` (PNG, JPEG, WEBP, GIF). The larger, the quicker: it must be ready in a few seconds."""
    megapixels = image.width * image.height / _MEGAPIXEL
    options: dict[str, Any] = {}
    match kind:
        case "JPEG":
            options = {"quality": 87, "subsampling": sampling}
        case "PNG":
            options = {"compress_level": 4 if megapixels <= 9 else 1}
        case "WEBP" if lossless and megapixels <= 12:
            options = {"lossless": True, "quality": 30, "method": 0, "exact": True}
        case "WEBP":
            options = {"quality": 85, "method": 4 if megapixels <= 4 else 2 if megapixels <= 16 else 0}
    image.save(file, kind, **options)


def save_moving(
    frames: Iterable[Frame], kind: str, file: BinaryIO, *, loop: int | None, megapixels: float
) -> Image.Image:
    """Write an animation as `kind` (PNG, WEBP, GIF) and give its first frame.

    `loop` None: it plays once. `megapixels`: of all frames; with many there is no time for every nuance.
    """
    exact = megapixels <= _EXACT_MEGAPIXELS
    images: list[Image.Image] = []
    durations: list[int] = []
    first: Image.Image | None = None
    for frame in frames:
        first = first or frame.image
        images.append(_with_palette(frame.image, exact=exact) if kind == "GIF" else frame.image)
        durations.append(frame.duration)
    if first is None:
        raise ValueError("an animation without a frame")
    head, *rest = _alike(images)
    head.save(file, kind, save_all=True, append_images=rest, duration=durations, **_moving(kind, images, loop))
    return first


def _moving(kind: str, images: list[Image.Image], loop: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {} if loop is None else {"loop": loop}
    match kind:
        case "GIF":
            # Each frame is a whole picture: where it is transparent, the one before it must not shine through.
            cleared = any("transparency" in image.info for image in images)
            return options | {"disposal": 2 if cleared else 1}
        case "WEBP":
            return options | {"quality": 75, "method": 0}
        case _:
            return options | {"compress_level": 1}


def _alike(images: list[Image.Image]) -> list[Image.Image]:
    """All with an alpha channel if one has it."""
    modes = {image.mode for image in images}
    if len(modes) == 1:
        return images
    mode = "RGBA" if modes & {"RGBA", "LA"} else "RGB"
    return [image.convert(mode) for image in images]


def _with_palette(image: Image.Image, *, exact: bool) -> Image.Image:
    """In 256 colours, of which one is transparent if the picture can be seen through."""
    if image.mode != "RGBA":
        return _reduced(image.convert("RGB"), 256, exact=exact)
    reduced = _reduced(image.convert("RGB"), _SEE_THROUGH, exact=exact)
    hidden = image.getchannel("A").point([255] * _HALF + [0] * _HALF)
    reduced.paste(_SEE_THROUGH, mask=hidden)
    reduced.info["transparency"] = _SEE_THROUGH
    return reduced


def _reduced(image: Image.Image, most: int, *, exact: bool) -> Image.Image:
    """The same colours if there are no more than that, and `exact`, which costs a tenth of a second per megapixel;
    with less pains, colours that nobody can tell from them."""
    colours = image.getcolors(most)
    if colours is None:
        return image.quantize(most, Image.Quantize.FASTOCTREE)
    if exact:
        return image.quantize(most, Image.Quantize.MEDIANCUT)
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in colours for part in _three(colour)])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def _three(colour: Any) -> tuple[int, int, int]:
    red, green, blue = colour
    return red, green, blue


def save_thumbnail(image: Image.Image, file: BinaryIO) -> Image.Image:
    """Write it as a small WebP, and give that."""
    scale = min(1, THUMBNAIL_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = _in_colour(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    small.save(file, "WEBP", quality=_THUMBNAIL_QUALITY)
    return small


def save_square(image: Image.Image, side: int, file: BinaryIO) -> None:
    """Write the square in its middle as a WebP with sides of `side` pixels."""
    inner = min(image.size)
    left, top = (image.width - inner) // 2, (image.height - inner) // 2
    square = _in_colour(image).resize(
        (side, side), Image.Resampling.LANCZOS, (left, top, left + inner, top + inner), reducing_gap=2.0
    )
    square.save(file, "WEBP", quality=80)


def blur(thumbnail: Image.Image) -> str:
    """The BlurHash of a picture, as seen on white."""
    tiny = thumbnail.resize((_BLUR_SIDE, _BLUR_SIDE), Image.Resampling.BOX).convert("RGBA")
    seen = Image.alpha_composite(Image.new("RGBA", tiny.size, "white"), tiny).convert("RGB")
    rows = [[seen.getpixel((x, y)) for x in range(_BLUR_SIDE)] for y in range(_BLUR_SIDE)]
    across, down = (4, 3) if thumbnail.width >= thumbnail.height else (3, 4)
    return str(blurhash.encode(rows, across, down))


def _in_colour(image: Image.Image) -> Image.Image:
    """In a mode in which colours can be mixed."""
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.convert("L") if image.mode == "1" else image


def is_opaque(image: Image.Image) -> bool:
    """Can nothing be seen through it?"""
    return image.mode not in ("RGBA", "LA") or image.getchannel("A").getextrema()[0] == 255
