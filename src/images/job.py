"""What the workshop and its child say to each other: a job as the child's argument, and an answer on its output."""

from typing import Final, NamedTuple, TypedDict

MAX_FRAMES: Final = 200
MAX_FRAMES_PIXELS: Final = 100_000_000
THUMBNAIL_SIDE: Final = 480
READY: Final = b"ready\n"


class Limits(NamedTuple):
    """Of one child. `cpu_seconds` are its own work, `seconds` pass on the clock, also while the machine is busy."""

    cpu_seconds: int = 10
    seconds: float = 30
    memory: int = 1280 * 1024 * 1024
    written: int = 128 * 1024 * 1024


class Job(TypedDict):
    """`outputs`: existing files; to `prepare` the image and its thumbnail, to `crop` one for each of `sizes`."""

    task: str
    source: str
    outputs: list[str]
    sizes: list[int]
    pixels: int
    cpu_seconds: int
    memory: int
    written: int


class Answer(TypedDict, total=False):
    """`refused` alone (a code of `refusals.py`), or what became of the picture."""

    refused: str
    format: str
    width: int
    height: int
    blurhash: str
    animated: bool
