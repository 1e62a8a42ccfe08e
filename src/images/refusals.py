"""Why a picture is not taken: the codes of the child, and what the sender is told."""

from typing import Final

from ..errors import ChattyError, StorageFull, TooLarge, UnreadableImage, UnsupportedType
from .job import MAX_FRAMES, MAX_FRAMES_PIXELS


class Exhausted(Exception):
    """The picture used up the time of its child."""


class Failed(Exception):
    """The child could not do its work; the picture need not be to blame."""


_EFFORT: Final = "This image takes more time or memory to read than an image may."
_FRAMES: Final = (
    f"An animation may have at most {MAX_FRAMES} frames, "
    f"and {MAX_FRAMES_PIXELS // 1_000_000} megapixels in all of them together."
)
_HEIC: Final = "HEIC images cannot be read here; send it as JPEG."


def refusal(code: object, megapixels: float) -> ChattyError | None:
    """The error for a child's code; None for a code that says nothing of the picture."""
    known: dict[object, ChattyError] = {
        "pixels": TooLarge(f"An image may have at most {megapixels:g} megapixels."),
        "frames": TooLarge(_FRAMES),
        "effort": TooLarge(_EFFORT),
        "damaged": UnreadableImage(),
        "unsupported": UnsupportedType(_HEIC),
        "full": StorageFull(),
    }
    return known.get(code)
