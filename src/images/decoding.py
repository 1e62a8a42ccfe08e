"""From the bytes of a picture to its pixels, upright and in sRGB, under limits. Runs in the child alone."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, Final, NamedTuple

# Pillow would import these when it first needs them: after `confine` nothing can be imported. Of TIFF, EXIF is made.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .job import MAX_FRAMES, MAX_FRAMES_PIXELS
from .sniff import HEAD_BYTES, picture_type

try:
    import pi_heif  # type: ignore[import-untyped]
except ImportError:  # no wheel for this machine
    pi_heif = None

_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/avif": "AVIF",
    "image/heic": "HEIF",
    "image/heif": "HEIF",
}
_MOVING: Final = frozenset({"PNG", "WEBP", "GIF"})
_MAX_PROFILE_BYTES: Final = 4 * 1024 * 1024
_SRGB: Final = ImageCms.createProfile("sRGB")
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(Exception):
    """The picture is not taken; the argument is a code of `refusals.py`."""


class Frame(NamedTuple):
    """One moment of an animation. `duration` in milliseconds."""

    image: Image.Image
    duration: int


def set_up(max_pixels: int) -> None:
    """Tell the libraries what is allowed. Before `confine`."""
    Image.preinit()
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.simplefilter("ignore")  # what is said on standard error comes out among the answers
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the other cores are for chat
    if pi_heif:
        pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def open_picture(source: BinaryIO) -> ImageFile.ImageFile:
    """The header of a picture; no pixel is decoded. Raises Refused, or what Pillow raises."""
    media_type = picture_type(source.read(HEAD_BYTES))
    if media_type is None:
        raise Refused("damaged")
    if _FORMATS[media_type] == "HEIF" and not pi_heif:
        raise Refused("unsupported")
    picture = Image.open(source, formats=[_FORMATS[media_type]])
    _refuse_too_many_pixels(picture)
    return picture


def frame_count(picture: ImageFile.ImageFile) -> int:
    """Of an animation that is kept; 1 for everything else. Raises Refused if there are too many."""
    count = int(getattr(picture, "n_frames", 1)) if picture.format in _MOVING else 1
    if count > MAX_FRAMES or (count > 1 and count * picture.width * picture.height > MAX_FRAMES_PIXELS):
        raise Refused("frames")
    return count


def still(picture: ImageFile.ImageFile, *, palette: bool = False) -> Image.Image:
    """The pixels of the picture (of its first frame), and nothing else of it. `palette`: keep one if there is one."""
    picture.load()
    _refuse_too_many_pixels(picture)  # a HEIF may turn out to be larger than its header says
    turn, profile = _turn(picture), picture.info.get("icc_profile")
    image = _in_srgb(_pixels(picture, palette=palette and not profile), profile)
    return image if turn is None else image.transpose(turn)


def frames(picture: ImageFile.ImageFile, count: int) -> Iterator[Frame]:
    """The moments of an animation, each a whole picture, upright and as large as the first."""
    picture.load()
    canvas, turn, profile = picture.size, _turn(picture), picture.info.get("icc_profile")
    # A PNG may hold a picture for those who cannot see it move.
    for number in range(1 if picture.info.get("default_image") else 0, count):
        picture.seek(number)
        picture.load()
        duration = int(picture.info.get("duration", 0))
        image = _in_srgb(_pixels(picture, palette=False), profile)
        if image.size != canvas:  # a later frame of a GIF may stick out; nobody shows that
            image = image.crop((0, 0, *canvas))
        yield Frame(image if turn is None else image.transpose(turn), duration)


def _refuse_too_many_pixels(picture: Image.Image) -> None:
    if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 0):
        raise Refused("pixels")


def _pixels(picture: Image.Image, *, palette: bool) -> Image.Image:
    """A picture of the same pixels that has never seen the file: text, EXIF, XMP and the like stay behind."""
    mode = _plain_mode(picture, palette=palette)
    if mode != picture.mode:
        image = _eight_bits(picture).convert(mode)
        image.info = {}
        return image
    image = Image.new(mode, picture.size)
    if mode == "P":
        image.putpalette(picture.getpalette() or [])
        if "transparency" in picture.info:
            image.info["transparency"] = picture.info["transparency"]
    image.paste(picture)
    return image


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Pillow would cut off whatever is brighter than 255 of 65535."""
    return picture.point(lambda value: value * (1 / 256)) if picture.mode.startswith("I") else picture


def _plain_mode(picture: Image.Image, *, palette: bool) -> str:
    see_through = "transparency" in picture.info
    match picture.mode:
        case "P":
            return "P" if palette else "RGBA" if see_through else "RGB"
        case "1" | "L" if not see_through:
            return picture.mode
        case "1" | "L" | "LA":
            return "LA"
        case "RGBA" | "CMYK":
            return picture.mode
        case mode if mode.startswith("I"):
            return "L"
        case _:
            return "RGBA" if see_through else "RGB"


def _turn(picture: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF of many makers is broken: the picture is not
        return None


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The same colours without the profile that explained them; one that cannot be read explains nothing."""
    if profile and len(profile) <= _MAX_PROFILE_BYTES and image.mode != "1":
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            image = _converted(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    if opened.profile.xcolor_space == "RGB " and "sRGB" in ImageCms.getProfileDescription(opened):
        return image  # as most are: a third of a second saved on twelve megapixels
    if image.mode == "LA":
        return image
    colours = "RGBA" if image.mode == "RGBA" else "RGB"
    converted = ImageCms.profileToProfile(image, opened, _SRGB, outputMode=colours)
    if converted is None:
        return image
    converted.info = {}
    return converted.convert("L") if image.mode == "L" else converted


def sampling(picture: Image.Image) -> int:
    """How the colours of a JPEG are thinned out; 2 (the usual way) for other pictures."""
    known = JpegImagePlugin.get_sampling(picture) if isinstance(picture, JpegImagePlugin.JpegImageFile) else -1
    return known if known >= 0 else 2
