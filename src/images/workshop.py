"""Pictures as they come in, made into pictures that may be shown."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from ..errors import Unavailable, UnreadableImage
from .child import run
from .job import Job, Limits
from .refusals import Exhausted, Failed, refusal

_log = structlog.get_logger("chatty.images")

_KINDS: Final = {
    "PNG": ("image/png", "png"),
    "JPEG": ("image/jpeg", "jpg"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
}
_MAX_BLURHASH: Final = 60
_TRY_AGAIN_MS: Final = 2000


class Picture(NamedTuple):
    """What became of a picture. `size` in bytes, `width` and `height` as it is seen, `extension` without its dot.

    The thumbnail is a WebP of `thumbnail_size` bytes that does not move.
    """

    content_type: str
    extension: str
    size: int
    width: int
    height: int
    thumbnail_size: int
    blurhash: str
    animated: bool


class Workshop:
    """Decodes and writes pictures anew, each in a child process of its own that can do nothing else.

    `megapixels`: the largest picture that is taken. `at_once`: how many children there may be; who comes then waits in
    line. On Windows children know no limits but the clock's.
    """

    def __init__(self, megapixels: float, at_once: int = 2, *, limits: Limits = Limits()) -> None:  # noqa: B008
        self._megapixels = megapixels
        self._limits = limits
        self._turns = asyncio.Semaphore(at_once)

    async def prepare(self, source: Path, image: Path, thumbnail: Path) -> Picture:
        """Write the picture `source` anew into the existing files `image` and `thumbnail`: its pixels, nothing else.

        PNG, JPEG, WebP and GIF stay what they are, and move if they moved; HEIC and AVIF become JPEG, or WebP if one
        can see through them. When this raises, what is in the two files means nothing.

        Raises UnreadableImage, TooLarge (pixels, frames, or the effort to read it), UnsupportedType (HEIC where no
        library reads it), StorageFull, and Unavailable if it may work later.
        """
        answer = await self._do("prepare", source, [image, thumbnail])
        sizes = [(await asyncio.to_thread(os.stat, path)).st_size for path in (image, thumbnail)]
        return _picture(answer, *sizes)

    async def crop(self, source: Path, sizes: Mapping[int, Path]) -> None:
        """Write the square in the middle of `source` into existing files, as WebPs with sides of so many pixels.

        Raises what `prepare` raises.
        """
        await self._do("crop", source, list(sizes.values()), list(sizes))

    async def _do(self, task: str, source: Path, outputs: Sequence[Path], sizes: Sequence[int] = ()) -> dict[str, Any]:
        job = Job(
            task=task,
            source=str(source),
            outputs=[str(path) for path in outputs],
            sizes=list(sizes),
            pixels=int(self._megapixels * 1_000_000),
            cpu_seconds=self._limits.cpu_seconds,
            memory=self._limits.memory,
            written=self._limits.written,
        )
        async with self._turns:
            answer = await self._answer(job)
        if "refused" in answer:
            raise refusal(answer["refused"], self._megapixels) or _unavailable(answer["refused"])
        return answer

    async def _answer(self, job: Job) -> dict[str, Any]:
        try:
            answer = await run(job, self._limits.seconds)
        except Exhausted:
            return {"refused": "effort"}
        except (Failed, OSError) as failure:
            raise _unavailable(failure) from failure
        return {"refused": "damaged"} if answer is None else answer


def _unavailable(reason: object) -> Unavailable:
    _log.error("image_not_prepared", reason=str(reason))
    return Unavailable("Images cannot be read right now; try again.", retry_after_ms=_TRY_AGAIN_MS)


def _picture(answer: Mapping[str, Any], size: int, thumbnail_size: int) -> Picture:
    """Raises UnreadableImage if the answer makes no sense: a picture may have taken the child over."""
    match answer:
        case {"format": str(kind), "width": int(width), "height": int(height), "blurhash": str(blurhash)}:
            sound = (
                kind in _KINDS and width > 0 and height > 0 and len(blurhash) <= _MAX_BLURHASH and blurhash.isascii()
            )
            if sound:
                moves = answer.get("animated") is True
                return Picture(*_KINDS[kind], size, width, height, thumbnail_size, blurhash, moves)
    raise UnreadableImage
