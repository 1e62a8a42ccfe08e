"""Words that are cut to one line: no break in them, no trick, and no character cut in two."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.schemas.common import BIDI_CONTROLS
from src.services.one_line import ELLIPSIS, one_line

FAMILY = "👨\u200d👩\u200d👧"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


def test_what_is_short_stays_as_it_is() -> None:
    for text in ("", "안녕하세요", "Hello, world!", FAMILY, ENGLAND, "❤️", "می\u200cخواهم"):
        assert one_line(text, 30) == text


def test_lines_become_one() -> None:
    assert one_line("  one\r\ntwo\n\n\tthree\u2028four\x0bfive\x85six  ", 99) == "one two three four five six"


@given(text=st.text(max_size=400), most=st.integers(2, 60))
def test_it_is_one_line_of_so_many_characters_without_tricks(text: str, most: int) -> None:
    made = one_line(text, most)
    assert len(made) <= most and len(made.splitlines()) <= 1 and made == made.strip()
    assert not BIDI_CONTROLS & set(made)
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in made)
    made.encode()


@pytest.mark.parametrize(
    "character",
    [
        "👍🏽", FAMILY, ENGLAND, "🇰🇷", "❤️", "e\u0301", "\u1100\u1161\u11a8", "నీ", "☝🏿", "👩🏽\u200d🚀",
    ],
)  # fmt: skip
@pytest.mark.parametrize("most", range(4, 24))
def test_no_character_is_cut_in_two(character: str, most: int) -> None:
    made = one_line(character * 30, most)
    assert made.endswith(ELLIPSIS) and len(made) <= most
    shown = made.removesuffix(ELLIPSIS)
    if len(character) < most:
        assert shown == character * (len(shown) // len(character)) != ""


def test_what_is_one_character_without_end_is_cut_nevertheless() -> None:
    assert len(one_line("e" + "\u0301" * 1000, 20)) == 20


def test_much_is_as_quick_as_little() -> None:
    assert one_line("가 " * 1_000_000, 20) == "가 가 가 가 가 가 가 가 가 가…"
    assert one_line(" " * 1_000_000 + "가", 20) == ""
