"""What a document is said to be, and what an operator can keep out, however it is called."""

from pathlib import Path

import pytest

from src.services.file_types import banned_word, document_type

PROGRAM = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + b"\0" * 200 + b"PE\0\0"


@pytest.mark.parametrize(
    ("name", "declared", "said"),
    [
        ("a.pdf", "application/octet-stream", "application/pdf"),
        ("a.hwp", "", "application/x-hwp"),
        ("a.unknown", "Application/X-Thing; charset=utf-8", "application/x-thing"),
        ("a", "nonsense", "application/octet-stream"),
        ("a", "text/html\r\nX: y", "application/octet-stream"),
        ("a", "multipart/mixed", "application/octet-stream"),
        ("a.html", "image/png", "text/html"),
        ("cat.png", "text/html", "application/octet-stream"),
        ("cat", "image/png", "application/octet-stream"),
        ("cat.svg", "image/png", "image/svg+xml"),
    ],
)
def test_a_document_is_what_its_name_says_else_what_its_sender_says(name: str, declared: str, said: str) -> None:
    assert document_type(name, declared) == said


@pytest.mark.parametrize(
    ("name", "declared", "content", "word"),
    [
        ("setup.exe", "", b"x", "exe"),
        ("SETUP.EXE", "", b"x", "exe"),
        ("cat.png", "", PROGRAM, "exe"),
        ("a.txt", "application/x-msdownload", b"x", "application/x-msdownload"),
        ("a.txt", "text/plain", b"hello", None),
    ],
)
async def test_what_is_banned_is_found_by_name_word_and_content(
    tmp_path: Path, name: str, declared: str, content: bytes, word: str | None
) -> None:
    path = tmp_path / "part"
    path.write_bytes(content)
    assert await banned_word(name, declared, path, {"exe", "application/x-msdownload"}) == word


async def test_where_nothing_is_banned_nothing_is_looked_at(tmp_path: Path) -> None:
    assert await banned_word("setup.exe", "", tmp_path / "is not there", ()) is None
