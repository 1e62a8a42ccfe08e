"""Texts as they are found: pairs of neighbouring characters, so that a part of a word finds it, whatever 조사 follows.

점심을 is kept as 점심, 심을 and 을: a query's pairs, one after the other, are a substring of a word; a query of one
character is the beginning of some pair, or of the single last character. Both databases index and ask by these.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

_UNSEEN = {0x200D, 0xFE0E, 0xFE0F}  # what only joins or colours emoji
_SKIN_TONES = range(0x1F3FB, 0x1F400)


class Phrase(NamedTuple):
    """What one word of a query asks for: these grams, one after the other; `prefix`: any that begin so."""

    grams: Sequence[str]
    prefix: bool


def words(text: str) -> list[str]:
    """The words of a text, NFC and case-folded: letters, digits and emoji; all else parts them."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return "".join(map(_kept, folded)).split()


def grams(text: str) -> list[str]:
    """What is indexed of a text, in order: each word's pairs, and its last character, which also parts it off."""
    return [word[place : place + 2] for word in words(text) for place in range(len(word))]


def phrases(text: str) -> list[Phrase]:
    """What a query asks for, all of it at once; nothing where it has no letter, digit or emoji."""
    return [Phrase([word] if len(word) == 1 else pairs(word), len(word) == 1) for word in dict.fromkeys(words(text))]


def first_place(text: str, query: str) -> int:
    """Where in `text` the first of the words of `query` begins that it has; 0 where it has none."""
    asked, places, folded = words(query), [], []
    for place, char in enumerate(text):
        for part in "".join(map(_kept, char.casefold())):
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


@lru_cache(maxsize=20_000)
def _kept(char: str) -> str:
    if ord(char) in _UNSEEN:
        return ""
    category = unicodedata.category(char)
    return char if category[0] in "LMN" or category == "So" or ord(char) in _SKIN_TONES else " "
