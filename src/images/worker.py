"""The child: `python -m <package>.worker '<job as JSON>'` makes one picture fit to be shown, and ends.

It opens its files, gives up everything else, says that it is ready, reads the picture, and says what became of it.
"""

import errno
import json
import sys
from contextlib import ExitStack
from typing import BinaryIO

from PIL import Image, ImageFile

from .confinement import confine
from .decoding import Refused, frame_count, frames, open_picture, sampling, set_up, still
from .encoding import blur, is_opaque, save_moving, save_square, save_still, save_thumbnail
from .job import READY, Answer, Job

_FULL = {errno.ENOSPC, errno.EDQUOT}
_KEPT = {"PNG", "JPEG", "WEBP", "GIF"}


def main(job: Job) -> None:
    """Do it, and answer on standard output. An answer that is missing is our fault, or that of a crash."""
    set_up(job["pixels"])
    with ExitStack() as files:
        source: BinaryIO = files.enter_context(open(job["source"], "rb"))
        outputs: list[BinaryIO] = [files.enter_context(open(path, "r+b", buffering=0)) for path in job["outputs"]]
        confine(cpu_seconds=job["cpu_seconds"], memory=job["memory"], written=job["written"])
        _say(READY)
        _say(json.dumps(_outcome(job, source, outputs)).encode())


def _outcome(job: Job, source: BinaryIO, outputs: list[BinaryIO]) -> Answer:
    try:
        return _crop(source, outputs, job["sizes"]) if job["task"] == "crop" else _prepare(source, *outputs)
    except Refused as refusal:
        return Answer(refused=str(refusal))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Answer(refused="pixels")
    except MemoryError:
        return Answer(refused="effort")
    except ImportError:  # something that should have been imported before
        raise
    except OSError as failure:
        return Answer(refused=_of_system(failure))
    except Exception:  # Pillow raises whatever its plugins stumble over
        return Answer(refused="damaged")


def _of_system(failure: OSError) -> str:
    if failure.errno is None:  # Pillow's own: the file is truncated, the data broken
        return "damaged"
    if failure.errno == errno.EFBIG:
        return "effort"
    return "full" if failure.errno in _FULL else "failed"


def _prepare(source: BinaryIO, image_file: BinaryIO, thumbnail_file: BinaryIO) -> Answer:
    picture = open_picture(source)
    count = frame_count(picture)
    if count > 1:
        kind, loop = str(picture.format), picture.info.get("loop")
        megapixels = count * picture.width * picture.height / 1_000_000
        image = save_moving(frames(picture, count), kind, image_file, loop=loop, megapixels=megapixels)
    else:
        kind, image = _save_one(picture, image_file)
    thumbnail = save_thumbnail(image, thumbnail_file)
    return Answer(format=kind, width=image.width, height=image.height, blurhash=blur(thumbnail), animated=count > 1)


def _save_one(picture: ImageFile.ImageFile, file: BinaryIO) -> tuple[str, Image.Image]:
    source_kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    thinned = sampling(picture)
    lossless = source_kind == "WEBP" and _is_lossless(picture)
    image = still(picture, palette=source_kind in ("PNG", "GIF"))
    kind = source_kind if source_kind in _KEPT else "JPEG" if is_opaque(image) else "WEBP"
    if kind == "JPEG" and image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    save_still(image, kind, file, sampling=thinned, lossless=lossless)
    return kind, image


def _is_lossless(picture: ImageFile.ImageFile) -> bool:
    """Does a WebP hold exact pixels, as screenshots do? A guess that only chooses how it is written."""
    file = picture.fp
    if file is None:
        return False
    file.seek(0)
    return b"VP8L" in file.read(64 * 1024)


def _crop(source: BinaryIO, outputs: list[BinaryIO], sizes: list[int]) -> Answer:
    picture = open_picture(source)
    picture.draft(None, (max(sizes), max(sizes)))  # a JPEG need not be decoded in full
    image = still(picture)
    for side, file in zip(sizes, outputs, strict=True):
        save_square(image, side, file)
    return Answer()


def _say(words: bytes) -> None:
    sys.stdout.buffer.write(words)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
