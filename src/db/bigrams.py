"""Texts as they are found: pairs of neighbouring characters, so that a part of a word finds it, whatever 조사 follows.

점심을 is kept as 점심, 심을 and 을: a query's pairs, one after the other, are a substring of a word; a query of one
character is the beginning of some pair, or of the single last character. Both databases index and ask by these.
"""

import unicodedata
from collections.abc import Sequence
from operator import add
from typing import Final, NamedTuple
from uuid import UUID

_UNSEEN = {0x200D, 0xFE0E, 0xFE0F}  # what only joins or colours emoji
_BLANK = ord(" ")
_SKIN_TONES = range(0x1F3FB, 0x1F400)
MAX_CHARACTERS = 20_000


class Phrase(NamedTuple):
    """What one word of a query asks for: these grams, one after the other; `prefix`: any that begin so."""

    grams: Sequence[str]
    prefix: bool


def words(text: str) -> list[str]:
    """The words of a text, NFC and case-folded: letters, digits and emoji; all else parts them."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return folded.translate(_SPELLING).split()


def grams(text: str) -> list[str]:
    """What is indexed of a text, in order: each word's pairs, and its last character, which also parts it off."""
    found: list[str] = []
    for word in words(text):
        found += map(add, word, word[1:])
        found.append(word[-1])
    return found


def phrases(text: str) -> list[Phrase]:
    """What a query asks for, all of it at once; nothing where it has no letter, digit or emoji."""
    return [Phrase([word] if len(word) == 1 else pairs(word), len(word) == 1) for word in dict.fromkeys(words(text))]


def first_place(text: str, query: str) -> int:
    """Where in `text` the first of the words of `query` begins that it has; 0 where it has none."""
    asked, places, folded = words(query), [], []
    for place, char in enumerate(text):
        for part in char.casefold().translate(_SPELLING):
            places.append(place)
            folded.append(part)
    found = [at for at in map("".join(folded).find, asked) if at >= 0]
    return places[min(found)] if found else 0


def pairs(word: str) -> list[str]:
    return [word[place : place + 2] for place in range(len(word) - 1)]


def room_mark(room_id: UUID) -> str:
    """What is indexed of the room that a line is in; nobody can type it, since a query's @ is no letter."""
    return f"@r{room_id.hex}"


def sender_mark(sender_id: UUID) -> str:
    """What is indexed of who sent a line."""
    return f"@s{sender_id.hex}"


class _Spelling(dict[int, int | None]):
    """For `str.translate`: what is kept of a character, found out when it is met, of so many characters at a time."""

    def __missing__(self, code: int) -> int | None:
        if len(self) >= MAX_CHARACTERS:
            self.clear()
        kept = self[code] = _kept(code)
        return kept


def _kept(code: int) -> int | None:
    if code in _UNSEEN:
        return None
    category = unicodedata.category(chr(code))
    return code if category[0] in "LMN" or category == "So" or code in _SKIN_TONES else _BLANK


_SPELLING: Final = _Spelling()
