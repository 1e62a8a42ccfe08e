"""Mails as bytes: whatever people write, it stays where it belongs, and reads as it was written."""

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.clock import now
from src.services.letters import MAX_LINE_BYTES, Letter, host_of, message_id
from src.services.outcomes import Undeliverable

EVIL = "Anna\r\nBcc: mallory@example.com\r\n\r\n<script>"
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)


def letter(**changes: Any) -> Letter:
    good: dict[str, Any] = {
        "message_id": "<1@chatty.example>",
        "sender": "Chatty <chatty@chatty.example>",
        "recipient": "anna@example.com",
        "subject": "Hello",
        "plain": "Hello",
        "html": "<p>Hello</p>",
        "language": "en",
        "at": now(),
    }
    return Letter(**(good | changes))


def read(made: Letter, *, eight_bit: bool = True) -> EmailMessage:
    """The mail as a strict reader has it, who finds nothing wrong with it, nor with the lines that it is made of."""
    content = made.content(eight_bit=eight_bit)
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", content) and content.endswith(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= MAX_LINE_BYTES
    assert eight_bit or made.is_international or content.isascii()
    mail = email.message_from_bytes(content, policy=email.policy.default)
    for part in mail.walk():
        assert not part.defects
        # The reader takes addresses beyond ASCII for a fault, and reads them all the same.
        assert made.is_international or not [each for each in part.values() if getattr(each, "defects", ())]
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    return mail


def body(mail: EmailMessage, kind: str) -> list[str]:
    part = mail.get_body((kind,))
    assert part
    return cast(str, part.get_content()).splitlines()


@pytest.mark.parametrize("eight_bit", [True, False])
@given(subject=TEXTS, plain=TEXTS, html=TEXTS)
def test_whatever_is_written_is_read(eight_bit: bool, subject: str, plain: str, html: str) -> None:
    mail = read(letter(subject=subject, plain=plain, html=html), eight_bit=eight_bit)
    assert (body(mail, "plain"), body(mail, "html")) == (plain.splitlines() or [""], html.splitlines() or [""])
    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version",
        "Content-Type",
    }  # fmt: skip
    if not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", subject):
        assert mail["Subject"] == subject


@pytest.mark.parametrize(
    "subject", ["Hello", "읽지 않은 메시지 12개 · " + "가" * 200, "[Chatty] " + "x" * 300, EVIL, "é😀" * 60]
)
def test_a_subject_is_folded_as_headers_are(subject: str) -> None:
    head, _, _ = letter(subject=subject).content(eight_bit=True).partition(b"\r\n\r\n")
    assert b"\r\nBcc" not in head and b"mallory" not in head
    lines = re.search(rb"^Subject: (.*?)\r\n(?=[^ ])", head, re.DOTALL | re.MULTILINE)
    assert lines and all(len(line) <= 78 for line in f"Subject: {lines[1].decode()}".split("\r\n"))


def test_a_subject_that_looks_encoded_is_not_decoded() -> None:
    assert read(letter(subject="=?utf-8?b?SGVsbG8=?="))["Subject"] == "=?utf-8?b?SGVsbG8=?="


def test_a_line_that_is_too_long_for_a_mail_is_cut_by_nobody() -> None:
    long = "나" * 5000
    assert body(read(letter(plain=long)), "plain") == [long]


def test_a_line_that_could_end_the_mail_or_a_part_does_not() -> None:
    mail = read(letter(plain=".\n--\n--=_0\n--=_0--", html="."))
    assert body(mail, "plain") == [".", "--", "--=_0", "--=_0--"] and body(mail, "html") == ["."]


@pytest.mark.parametrize(
    "recipient",
    [
        "", "anna", "anna@", "@example.com", "anna@example.com, boris@example.com", "anna@example.com\r\nBcc: x@y.z",
        "anna@example.com\n", "Anna <anna@example.com>", "anna@exa mple.com", "a@b@c", "anna@example.com>", "a\x00@b.c",
        "a\u2028@b.c", '"a b"@example.com', "anna@[127.0.0.1]",
    ],
)  # fmt: skip
def test_what_is_no_address_gets_no_mail(recipient: str) -> None:
    with pytest.raises(Undeliverable) as refused:
        letter(recipient=recipient)
    assert "@" not in str(refused.value)


@pytest.mark.parametrize("value", ["", "a\r\nBcc: x@y.z", "a\nb", "가", "a\x7fb", "x" * 901])
def test_a_header_of_ours_is_one_line_of_ascii(value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        letter(headers={"List-Id": value})


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("Chatty <chatty@chatty.example>", "Chatty", "chatty@chatty.example"),
        ("chatty@chatty.example", "", "chatty@chatty.example"),
        ("채팅 <chatty@chatty.example>", "채팅", "chatty@chatty.example"),
        ('"Chatty, Inc." <chatty@chatty.example>', "Chatty, Inc.", "chatty@chatty.example"),
        ("Chatty <채팅@도메인.한국>", "Chatty", "채팅@도메인.한국"),
    ],
)
def test_the_sender_is_shown_as_it_is_set(sender: str, name: str, address: str) -> None:
    made = letter(sender=sender)
    (shown,) = cast(Any, read(made)["From"]).addresses
    read_address = shown.addr_spec.encode(errors="surrogateescape").decode()
    assert (shown.display_name, read_address, made.sender_address) == (name, address, address)
    assert made.is_international == (not address.isascii())


def test_a_sender_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="CHATTY_MAIL_FROM"):
        letter(sender="Chatty").content(eight_bit=True)


def test_a_mail_that_is_sent_again_has_the_same_message_id() -> None:
    item_id = UUID("019aa5b0-7d3e-7000-8000-00000000000a")
    for url, host in (
        ("https://chat.example:8443/talk", "chat.example"),
        ("https://채팅.한국", "xn--ou6bo7j.xn--3e0b707e"),
        ("http://[::1]:8000", "[::1]"),
    ):
        assert host_of(url) == host
        assert message_id(item_id, url) == f"<{item_id}@{host}>"
