"""What a digest says, and that nobody can make it say more."""

import email
import email.policy
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.services.digest_mails import (
    MAX_OTHERS,
    MAX_ROOMS,
    Digest,
    DigestLine,
    DigestMails,
    DigestOther,
    DigestRoom,
)
from src.services.letters import Letter
from src.services.mail_texts import Language
from src.services.outcomes import Undeliverable
from src.services.unsubscribing import UnsubscribeTokens

HOME = "https://chatty.example"
TOKENS = UnsubscribeTokens("a signing key of at least 32 bytes!", HOME)
MAILS = DigestMails(HOME, "Chatty <chatty@chatty.example>", TOKENS)
DIGEST, ANNA = (UUID(f"019aa5b0-7d3e-7000-8000-00000000000{end}") for end in "ab")
NOON = datetime(2026, 10, 3, 12, 5, tzinfo=UTC)
BLANK = " "
SEOUL = ZoneInfo("Asia/Seoul")
EVIL = '</p><script>alert("1")</script><a href="http://evil.example">\r\nBcc: mallory@example.com\r\n\r\n\u202e-- \n'
NAMES = st.text(max_size=50)


def line(sender: str | None = "김철수", text: str = "내일 몇 시에 만날까요?", minutes: int = 0) -> DigestLine:
    return DigestLine(sender, text, NOON + timedelta(minutes=minutes))


def room(name: str | None = "등산 모임", count: int = 1, mentions: int = 0, lines: Any = None) -> DigestRoom:
    return DigestRoom(name, f"{HOME}/rooms/1", count, mentions, [line()] if lines is None else lines)


def digest(**changes: Any) -> Digest:
    good: dict[str, Any] = {
        "id": DIGEST, "user_id": ANNA, "email": "anna@example.com", "language": "ko", "nickname": "홍길동",
        "rooms": [room()],
    }  # fmt: skip
    return Digest(**(good | changes))


def written(**changes: Any) -> Letter:
    return MAILS.write(digest(**changes), NOON)


class Tags(HTMLParser):
    """The elements of a page in order, with their attributes, and what is read between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[Any] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


KOREAN = f"""홍길동님, 안녕하세요.

대화방 2곳에 읽지 않은 메시지가 10개 있고, 확인하지 않은 알림이 5개 있습니다.

■ 등산 모임 — 읽지 않은 메시지 9개 · 회원님을 언급한 메시지 2개
  김철수 (10월 3일 오후 9:05): 내일 몇 시에 만날까요?
  알 수 없는 사용자 (10월 4일 오전 12:04): 10시요
  … 이전 메시지 7개
  대화방 열기: {HOME}/rooms/1

■ Boris — 읽지 않은 메시지 1개
  Boris (10월 3일 오후 9:05): 안녕
  대화방 열기: {HOME}/rooms/1

■ 그 밖의 알림
  • 박민수님이 친구 요청을 보냈습니다.
  • Clara님이 회원님의 친구 요청을 수락했습니다.
  • 이영희님이 회원님을 ‘독서 모임’ 대화방에 초대했습니다.
  • 이영희님이 회원님의 메시지에 👍 반응을 남겼습니다. “10시에 봬요”
  • 이영희님이 ‘독서 모임’ 대화방에서 회원님을 언급했습니다. “@홍길동 어때요?”

Chatty 열기: {HOME}

--{BLANK}
확인하지 않은 소식이 있을 때 Chatty에서 보내 드리는 메일입니다. 알림은 설정에서 바꾸실 수 있습니다.
메일 그만 받기: {TOKENS.links(ANNA).page}
"""
ENGLISH = f"""Hello 홍길동,

You have 10 unread messages in 2 conversations and 5 notifications that you have not seen.

■ 등산 모임 — 9 unread messages · 2 of them mention you
  김철수 (Oct 3, 12:05 PM UTC): 내일 몇 시에 만날까요?
  somebody (Oct 3, 3:04 PM UTC): 10시요
  … 7 earlier messages
  Open the conversation: {HOME}/rooms/1

■ Boris — 1 unread message
  Boris (Oct 3, 12:05 PM UTC): 안녕
  Open the conversation: {HOME}/rooms/1

■ Other notifications
  • 박민수 would like to be your friend.
  • Clara has accepted your friend request.
  • 이영희 has invited you to “독서 모임”.
  • 이영희 has reacted with 👍 to your message. “10시에 봬요”
  • 이영희 has mentioned you in “독서 모임”. “@홍길동 어때요?”

Open Chatty: {HOME}

--{BLANK}
Chatty sends this when there is something that you have not seen. What you get by mail is up to your settings.
Get no more of these mails: {TOKENS.links(ANNA).page}
"""


@pytest.mark.parametrize(
    ("language", "zone", "subject", "text"),
    [
        ("ko", SEOUL, "[Chatty] 읽지 않은 메시지 10개 · 등산 모임 외 1곳", KOREAN),
        ("en", None, "[Chatty] 10 unread messages in 등산 모임 and 1 more", ENGLISH),
    ],
)
def test_it_tells_all_by_room_and_the_rest_after_it(language: Language, zone: Any, subject: str, text: str) -> None:
    made = written(
        language=language,
        zone=zone,
        rooms=[
            room(count=9, mentions=2, lines=[line(), line(None, "10시요", 179)]),
            room("Boris", lines=[line("Boris", "안녕")]),
        ],
        others=[
            DigestOther("friend_request", "박민수"),
            DigestOther("friend_accepted", "Clara"),
            DigestOther("room_invite", "이영희", "독서 모임"),
            DigestOther("reaction", "이영희", "등산 모임", "10시에 봬요", "👍"),
            DigestOther("mention", "이영희", "독서 모임", "@홍길동 어때요?"),
        ],
    )
    assert (made.subject, made.plain) == (subject, text)
    said = Tags(made.html).text
    for words in text.replace("■", "").replace("•", "").replace("…", "").replace(": ", "\n").split("\n"):
        for part in words.replace(" (", " — ").replace(")", "").split(" — "):
            assert part.strip() in said or "http" in part or part == "-- ", part


@pytest.mark.parametrize(
    ("language", "changes", "subject", "lead"),
    [
        ("ko", {}, "[Chatty] 읽지 않은 메시지 1개 · 등산 모임", "읽지 않은 메시지가 1개 있습니다."),
        ("en", {}, "[Chatty] 1 unread message in 등산 모임", "You have 1 unread message."),
        (
            "ko", {"rooms": [], "others": [DigestOther("friend_request", "박민수")]},
            "[Chatty] 확인하지 않은 알림 1개", "확인하지 않은 알림이 1개 있습니다.",
        ),
        (
            "en", {"rooms": [], "others": [DigestOther("friend_request", "박민수")]},
            "[Chatty] 1 notification you have not seen", "You have 1 notification that you have not seen.",
        ),
        (
            "ko", {"rooms": [room(count=1234), room()]},
            "[Chatty] 읽지 않은 메시지 1,235개 · 등산 모임 외 1곳", "대화방 2곳에 읽지 않은 메시지가 1,235개 있습니다.",
        ),
    ],
)  # fmt: skip
def test_it_counts_as_people_do(language: Language, changes: Any, subject: str, lead: str) -> None:
    made = written(language=language, **changes)
    assert made.subject == subject and lead in made.plain.splitlines()


def test_headers_let_mail_programs_end_it_and_answering_machines_keep_still() -> None:
    made = written()
    mail = email.message_from_bytes(made.content(eight_bit=True), policy=email.policy.default)
    link = f"{HOME}/api/v1/notifications/unsubscribe?token={TOKENS.token(ANNA)}"
    assert mail["List-Unsubscribe"] == f"<{link}>" and mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (mail["Auto-Submitted"], mail["Precedence"]) == ("auto-generated", "bulk")
    assert mail["List-Id"] == "<notifications.chatty.example>" and mail["Content-Language"] == "ko"
    assert mail["Message-ID"] == f"<{DIGEST}@chatty.example>" and mail["Date"].datetime == NOON.replace(second=0)
    assert mail["To"] == "anna@example.com" and mail["From"] == "Chatty <chatty@chatty.example>"


def test_where_content_is_hidden_there_are_no_names_and_no_words() -> None:
    made = written(
        rooms=[room("Secret", 7, 1, [line("Boris", "the plan")]), room("Hidden", 5)],
        others=[DigestOther("reaction", "Clara", "Secret", "the plan", "👍")],
        hide_content=True,
    )
    assert made.subject == "[Chatty] 읽지 않은 메시지 12개"
    content = made.subject + made.plain + made.html
    assert "대화방 2곳에 읽지 않은 메시지가 12개 있고, 확인하지 않은 알림이 1개 있습니다." in content
    for said in ("Secret", "Hidden", "Boris", "Clara", "the plan", "👍", "김철수", "/rooms/"):
        assert said not in content


def test_a_room_of_somebody_who_is_gone_has_a_name_nevertheless() -> None:
    made = written(rooms=[room(None)])
    assert (
        made.subject == "[Chatty] 읽지 않은 메시지 1개" and "■ 알 수 없는 사용자 — 읽지 않은 메시지 1개" in made.plain
    )


def test_it_has_an_end() -> None:
    made = written(
        rooms=[room(f"Room {number}", 2, 0, [line(text="x" * 10_000)] * 9) for number in range(100)],
        others=[DigestOther("friend_request", "Boris")] * 100,
    )
    assert f"그 밖의 대화방 {100 - MAX_ROOMS}곳에도 읽지 않은 메시지가 160개 있습니다." in made.plain.splitlines()
    assert f"  … 이 밖에도 알림이 {100 - MAX_OTHERS}개 더 있습니다." in made.plain.splitlines()
    assert made.plain.count("Room") == MAX_ROOMS and len(made.content(eight_bit=True)) < 100_000


def test_a_kind_without_a_sentence_says_what_it_has_to_say() -> None:
    made = written(others=[DigestOther("system", None, None, "점검이 있습니다."), DigestOther("system", None)])
    assert made.plain.count("•") == 1 and "  • 점검이 있습니다." in made.plain


def test_it_goes_to_no_address_that_would_be_more_than_one() -> None:
    with pytest.raises(Undeliverable):
        written(email="anna@example.com\r\nBcc: mallory@example.com")


@pytest.mark.parametrize("language", ["ko", "en"])
@given(nickname=NAMES, room_name=NAMES, sender=NAMES, text=st.text(max_size=500), emoji=NAMES)
def test_whatever_people_are_called_and_say_stays_words(
    language: Language, nickname: str, room_name: str, sender: str, text: str, emoji: str
) -> None:
    _stays_words(language, nickname, room_name, sender, text, emoji)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_whoever_means_harm_stays_words(language: Language) -> None:
    _stays_words(language, EVIL, EVIL, EVIL, EVIL, EVIL)


def _stays_words(language: Language, nickname: str, room_name: str, sender: str, text: str, emoji: str) -> None:
    def of(name: str, room_name: str, sender: str, text: str, emoji: str) -> Letter:
        kinds = ["friend_request", "friend_accepted", "room_invite", "reaction", "mention"]
        others = [DigestOther(kind, sender, room_name, text, emoji) for kind in kinds]
        rooms = [room(room_name, 5, 1, [line(sender, text)] * 2)]
        return written(language=language, nickname=name, rooms=rooms, others=others)

    made, plain = of(nickname, room_name, sender, text, emoji), of("A", "B", "C", "D", "E")
    content = made.content(eight_bit=True)
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail.keys() == email.message_from_bytes(plain.content(eight_bit=True)).keys() and not mail.defects
    assert len(made.plain.splitlines()) == len(plain.plain.splitlines())
    assert Tags(made.html).tags == Tags(plain.html).tags
    for said in (made.subject, made.plain, made.html):
        assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x00") & set(said)
    made.content(eight_bit=False).decode("ascii")
