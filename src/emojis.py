"""What one emoji is: Unicode's list of sequences, with skin tones, flags, keycaps and joined people."""

from collections.abc import Mapping
from functools import cache

_VARIATION = "\ufe0f"  # an emoji where the character would also be a plain sign; left out by many keyboards


def qualified(text: str) -> str | None:
    """The fully qualified spelling of the one emoji that `text` is, or None if it is none, or several."""
    return _spellings().get(text.replace(_VARIATION, ""))


@cache
def _spellings() -> Mapping[str, str]:
    import emoji  # half a megabyte of names, for who reacts

    return {
        known.replace(_VARIATION, ""): known
        for known, told in emoji.EMOJI_DATA.items()
        if told["status"] == emoji.STATUS["fully_qualified"]
    }
