"""What a file may be called, whatever its sender calls it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.schemas.common import BIDI_CONTROLS
from src.services.file_names import MAX_BYTES, extension_of, usable_name, with_extension


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("letter.txt", "letter.txt"),
        ("휴가 계획.hwp", "휴가 계획.hwp"),
        (unicodedata.normalize("NFD", "휴가.hwp"), "휴가.hwp"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\Anna\\a.txt", "a.txt"),
        (".htaccess", "htaccess"),
        ("..", "file"),
        ("", "file"),
        ("   ", "file"),
        ("\u200b", "file"),
        ("\u3164\u2800", "file"),
        ("a.txt. . ", "a.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("console.txt", "console.txt"),
        ('a<b>:"c"|d?*.txt', "a_b___c__d__.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
        ("a\x00.txt", "a.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\ud800b.txt", "ab.txt"),
        ("한" * 200 + ".pdf", "한" * 65 + ".pdf"),
        ("a" * 300, "a" * 200),
        ("%2e%2e%2fpasswd", "%2e%2e%2fpasswd"),
    ],
)
def test_a_name_is_made_fit_to_be_saved_under(given: str, kept: str) -> None:
    assert usable_name(given) == kept


@given(st.text(max_size=400))
def test_whatever_is_given_a_name_comes_of_it(given: str) -> None:
    name = usable_name(given)
    assert name and name == unicodedata.normalize("NFC", name)
    assert len(name.encode()) <= MAX_BYTES
    assert not set(name) & ({*'/\\\x00\r\n"'} | BIDI_CONTROLS)
    assert name not in (".", "..") and not name.startswith(".") and not name.endswith((".", " "))


@pytest.mark.parametrize(
    ("name", "extension", "renamed"),
    [
        ("photo.heic", "jpg", "photo.jpg"),
        ("photo.JPEG", "jpg", "photo.JPEG"),
        ("photo.png", "png", "photo.png"),
        ("photo", "png", "photo.png"),
        ("photo.php", "png", "photo.php.png"),
        ("2026.11.30", "webp", "2026.11.30.webp"),
    ],
)
def test_a_picture_is_called_after_what_it_became(name: str, extension: str, renamed: str) -> None:
    assert with_extension(name, extension) == renamed


def test_an_extension_is_what_stands_after_the_last_dot() -> None:
    assert [extension_of(name) for name in ("a.TXT", "a.tar.gz", "a", "a.", "a." + "x" * 20)] == [
        "txt",
        "gz",
        "",
        "",
        "",
    ]
