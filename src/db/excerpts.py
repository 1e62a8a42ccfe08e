"""The beginning of a text, on one line, never cut within what a person sees as one character."""

import unicodedata

_JOINER = "\u200d"
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_JAMO = range(0x1160, 0x1200)  # vowels and finals, which continue a syllable


def excerpt(text: str, most: int) -> str:
    """`text` with single blanks for all that is white, and at most about `most` characters of it; … where more was."""
    line = " ".join(text[: 8 * most].split())
    if len(line) <= most and len(text) <= 8 * most:
        return line
    return line[: _end(line, min(most, len(line)))].rstrip() + "…"


def _end(line: str, most: int) -> int:
    """The last place up to `most` where a character ends. A pile of marks that is longer than all of it is cut."""
    end = most
    while 0 < end < len(line) and _continues(line, end):
        end -= 1
    return end or most


def _continues(line: str, place: int) -> bool:
    """Is what begins at `place` seen as a part of what is before it?"""
    char, before = line[place], line[place - 1]
    if _JOINER in (char, before) or unicodedata.category(char)[0] == "M":
        return True
    code = ord(char)
    if code in _REGIONAL:  # two of them are a flag: it continues where an odd number is before it
        flags = len(line[:place]) - len(line[:place].rstrip("".join(map(chr, _REGIONAL))))
        return flags % 2 == 1
    return any(code in some for some in (_SKIN_TONES, _TAGS, _JAMO))
