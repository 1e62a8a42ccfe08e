"""Nicknames as they are compared and found: case-folded, in parts, and by initial consonants (ㅎㄱㄷ for 홍길동).

A name's initials are as long as its key and aligned with it: what is at place n of one is at place n of the other.
"""

import re
import unicodedata
from typing import NamedTuple

# The compatibility jamo of the 19 initial consonants, in the order in which Unicode composes syllables (Unicode §3.12).
INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_FIRST_SYLLABLE, _LAST_SYLLABLE, _SYLLABLES_PER_INITIAL = 0xAC00, 0xD7A3, 588
_CONJOINING = {0x1100 + place: jamo for place, jamo in enumerate(INITIALS)}

# Two consonants typed quickly become one final consonant, which begins no syllable.
_COMPOUND = str.maketrans(
    {
        "ㄳ": "ㄱㅅ", "ㄵ": "ㄴㅈ", "ㄶ": "ㄴㅎ", "ㄺ": "ㄹㄱ", "ㄻ": "ㄹㅁ", "ㄼ": "ㄹㅂ",
        "ㄽ": "ㄹㅅ", "ㄾ": "ㄹㅌ", "ㄿ": "ㄹㅍ", "ㅀ": "ㄹㅎ", "ㅄ": "ㅂㅅ",
    }
)  # fmt: skip

_MAX_GRAMS_ASKED = 4


class NameKeys(NamedTuple):
    """What is kept of a nickname beside itself: `users.nickname_key` and `users.nickname_initials`."""

    key: str
    initials: str


def keys(nickname: str) -> NameKeys:
    """The two forms under which `nickname` is compared and found."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", nickname).casefold()).translate(_CONJOINING)
    return NameKeys(folded, "".join(map(_initial, folded)))


def grams(name: NameKeys) -> set[str]:
    """Every one and two neighbouring characters of both forms: what `name_grams` holds of a person."""
    return {part for form in name for part in (*form, *_pairs(form))}


class NameQuery(NamedTuple):
    """One reading of a search.

    `grams`: a name that matches has them all. `initials`: consonants to look for among the initials, else None.
    `pattern`: a regular expression that settles a query of syllables and consonants (홍ㄱ), else None.
    """

    text: str
    grams: list[str]
    initials: str | None
    pattern: str | None


def queries(text: str) -> list[NameQuery]:
    """The readings of what somebody typed, as it is: a name that matches any of them is found. Empty for ''."""
    typed = keys(text).key
    return [_query(reading) for reading in dict.fromkeys((typed, typed.translate(_COMPOUND))) if reading]


def _query(text: str) -> NameQuery:
    consonants = [char in INITIALS for char in text]
    if not any(consonants):
        return NameQuery(text, _spread(text), None, None)
    initials = keys(text).initials
    mixed = initials != text
    return NameQuery(text, _spread(initials), initials, "".join(map(_class, text)) if mixed else None)


def _initial(char: str) -> str:
    if not _FIRST_SYLLABLE <= ord(char) <= _LAST_SYLLABLE:
        return char
    return INITIALS[(ord(char) - _FIRST_SYLLABLE) // _SYLLABLES_PER_INITIAL]


def _class(char: str) -> str:
    """A consonant stands for itself and every syllable it begins; anything else for itself."""
    if char not in INITIALS:
        return re.escape(char)
    first = _FIRST_SYLLABLE + INITIALS.index(char) * _SYLLABLES_PER_INITIAL
    return f"[{char}{chr(first)}-{chr(first + _SYLLABLES_PER_INITIAL - 1)}]"


def _pairs(text: str) -> list[str]:
    return [text[place : place + 2] for place in range(len(text) - 1)]


def _spread(text: str) -> list[str]:
    """Some grams of `text`, from its beginning to its end; which of them are rare is not known."""
    found = list(dict.fromkeys(_pairs(text) or text))
    if len(found) <= _MAX_GRAMS_ASKED:
        return found
    return [found[step * (len(found) - 1) // (_MAX_GRAMS_ASKED - 1)] for step in range(_MAX_GRAMS_ASKED)]
