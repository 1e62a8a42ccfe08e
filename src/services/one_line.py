"""Somebody else's words where there is room for one line: in a subject, a list, a preview."""

import re
import unicodedata

ELLIPSIS = "…"

# What shows nothing and does something: controls, directions (UAX #9), zero-width spaces, half characters. The joiners
# stay, of which families of emoji and some scripts are made.
_TRICKS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_EXTENDING = ("Mn", "Me", "Mc")
_JOINER = "\u200d"


def one_line(text: str, most: int) -> str:
    """`text` without line breaks and tricks, in at most `most` code points; no character that is seen is cut in two."""
    text = " ".join(_TRICKS.sub("", " ".join(text[: most * 8].split())).split())
    if len(text) <= most:
        return text
    end = most - len(ELLIPSIS)
    while end > 0 and _belong_together(text, end):
        end -= 1
    return (text[:end].rstrip() if end else text[: most - len(ELLIPSIS)]) + ELLIPSIS


def _belong_together(text: str, end: int) -> bool:
    """Is there no border between characters at `end` (UAX #29, as far as people write it)?"""
    before, after = text[end - 1], text[end]
    if _JOINER in (before, after) or unicodedata.category(after) in _EXTENDING:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # skin tones, tags of flags
        return True
    if _is_regional(before) and _is_regional(after):
        return _regionals_before(text, end) % 2 == 1
    return "\u1100" <= before <= "\u11ff" and "\u1160" <= after <= "\u11ff"  # a syllable of Hangul in its parts


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _regionals_before(text: str, end: int) -> int:
    """How many letters of flags there are in a row before `end`: two make a flag."""
    start = end
    while start > 0 and _is_regional(text[start - 1]):
        start -= 1
    return end - start
