"""A mail to one person, as the bytes that go out.

The standard library's messages take three milliseconds each to build and write out, thirty times what this takes; so
their rules are kept here by hand: nothing that anybody chose gets out of the header or the part that it is in.
"""

import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from urllib.parse import urlsplit
from uuid import UUID

from .mail_texts import Language
from .outcomes import Undeliverable

MAX_LINE_BYTES = 998
MAX_SUBJECT = 66
_BYTES_PER_WORD = 42  # 56 characters of base64: with what stands around it, no line has more than 78 (RFC 2047 §2)
_BYTES_PER_LINE = 57
# What an address of ours is made of: nothing that begins another address, a comment, a header or a command.
_ADDRESS = re.compile(r'[^\s\x00-\x1f\x7f<>()\[\]:;,"\\@]+@[^\s\x00-\x1f\x7f<>()\[\]:;,"\\@]+')
_ATOMS = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")
_PLAIN = re.compile(r"[!-~]+( [!-~]+)*")
_HEADER = re.compile(r"[ -~]{1,900}")


@dataclass(frozen=True, slots=True)
class Letter:
    """`message_id`: the same however often it is sent. `sender`: the From header. `headers`: more, of our own making.

    Raises Undeliverable for a recipient that no header can hold, ValueError for a header that is none.
    """

    message_id: str
    sender: str
    recipient: str
    subject: str
    plain: str
    html: str
    language: Language
    at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.recipient):
            raise Undeliverable("The address is none.")
        if not all(map(_HEADER.fullmatch, (self.message_id, *self.headers.values()))):
            raise ValueError("A header must be one line of ASCII.")

    @property
    def sender_address(self) -> str:
        """Whom the envelope is from."""
        return _sender(self.sender)[0]

    @property
    def is_international(self) -> bool:
        """Does it need a server that takes addresses beyond ASCII (RFC 6531)?"""
        return not (self.recipient + self.sender_address).isascii()

    def content(self, *, eight_bit: bool) -> bytes:
        """All of it, its lines ending as they do in a mail. `eight_bit`: may bodies hold bytes beyond ASCII?"""
        boundary = f"=_{secrets.token_hex(16)}"
        parts = [_part(subtype, text, eight_bit) for subtype, text in (("plain", self.plain), ("html", self.html))]
        opening = f"\r\n--{boundary}\r\n".encode()
        return b"".join((self._head(boundary), *(opening + part for part in parts), f"\r\n--{boundary}--\r\n".encode()))

    def _head(self, boundary: str) -> bytes:
        headers = {
            "From": _sender(self.sender)[1],
            "To": self.recipient,
            "Subject": _subject(self.subject),
            "Date": format_datetime(self.at),
            "Message-ID": self.message_id,
            "Auto-Submitted": "auto-generated",
            "Content-Language": self.language,
            **self.headers,
            "MIME-Version": "1.0",
            "Content-Type": f'multipart/alternative; boundary="{boundary}"',
        }
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()


def message_id(item_id: UUID, public_url: str) -> str:
    """The Message-ID of the mail that an outbox row asks for: whoever gets it twice can see that it is the same."""
    return f"<{item_id}@{host_of(public_url)}>"


@lru_cache(maxsize=8)
def host_of(public_url: str) -> str:
    """The host of an address, as headers name it: in ASCII."""
    host = urlsplit(public_url).hostname or "localhost"
    return f"[{host}]" if ":" in host else host.encode("idna").decode()


@lru_cache(maxsize=8)
def _sender(header: str) -> tuple[str, str]:
    """The address of a From header, and the header as it goes out. Raises ValueError if it is none."""
    name, address = parseaddr(header)
    if not _ADDRESS.fullmatch(address):
        raise ValueError("CHATTY_MAIL_FROM must be like: Chatty <chatty@chat.example.com>")
    shown = name if _ATOMS.fullmatch(name) else _encoded(name)
    return address, f"{shown} <{address}>" if name else address


def _subject(text: str) -> str:
    """As it is, unless it might be read as something else."""
    is_plain = len(text) <= MAX_SUBJECT and "=?" not in text and _PLAIN.fullmatch(text)
    return text if is_plain else _encoded(text)


def _encoded(text: str) -> str:
    """A text of whatever characters, in words that a header can hold (RFC 2047)."""
    words, word = [], b""
    for char in text:
        encoded = char.encode(errors="replace")
        if len(word) + len(encoded) > _BYTES_PER_WORD:
            words.append(word)
            word = b""
        word += encoded
    return "\r\n ".join(f"=?utf-8?b?{binascii.b2a_base64(each, newline=False).decode()}?=" for each in (*words, word))


def _part(subtype: str, text: str, eight_bit: bool) -> bytes:
    body = "\r\n".join(text.splitlines()).encode(errors="replace") + b"\r\n"
    as_it_is = eight_bit and b"\0" not in body and max(map(len, body.split(b"\r\n"))) <= MAX_LINE_BYTES
    encoding = "8bit" if as_it_is else "base64"
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + (body if as_it_is else _base64(body))


def _base64(body: bytes) -> bytes:
    lines = (body[first : first + _BYTES_PER_LINE] for first in range(0, len(body), _BYTES_PER_LINE))
    return b"\r\n".join(binascii.b2a_base64(line, newline=False) for line in lines)
