"""What a lock screen shows, in both languages."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from src.clock import now
from src.db.ids import new_id
from src.push.sender import MAX_PAYLOAD
from src.schemas.links import Link
from src.schemas.notifications import KINDS, Kind
from src.schemas.people import User
from src.services import push_payloads
from src.services.push_matters import Matter, Person
from src.services.push_texts import MAX_CONTENT, Language, Text, Told, content_of, hidden, language_of, written

FAMILY = "👨‍👩‍👧‍👦"


def told(kind: Kind = "message", *, room: str = "", content: str = "안녕", messages: int = 1) -> Told:
    return Told(kind, "홍길동", room, content, messages)


def files(*names: str, kind: str = "file") -> Any:
    return [SimpleNamespace(kind=kind, name=name) for name in names]


class TestAMessage:
    @pytest.mark.parametrize(
        ("given", "language", "text"),
        [
            (told(), "ko", ("홍길동", "안녕")),
            (told(messages=4), "ko", ("홍길동", "안녕 외 3개")),
            (told(messages=4), "en", ("홍길동", "안녕 (+3 more)")),
            (told(room="등산"), "ko", ("등산", "홍길동: 안녕")),
            (told(room="등산", messages=2), "en", ("등산", "홍길동: 안녕 (+1 more)")),
            (told("mention", room="등산"), "ko", ("등산", "홍길동님이 나를 언급했습니다: 안녕")),
            (told("mention", room="등산"), "en", ("등산", "홍길동 mentioned you: 안녕")),
            (Told("message", None, "", "안녕", 1), "ko", ("알 수 없음", "안녕")),
        ],
    )
    def test_is_shown_as_phones_show_them(self, given: Told, language: Language, text: tuple[str, str]) -> None:
        assert written(given, language) == Text(*text)

    @pytest.mark.parametrize(
        ("of", "korean", "english"),
        [
            (files("a.png", kind="image"), "사진을 보냈습니다.", "Sent a photo."),
            (files("a.png", "b.png", kind="image"), "사진 2장을 보냈습니다.", "Sent 2 photos."),
            (files("계약서.pdf"), "파일: 계약서.pdf", "File: 계약서.pdf"),
            ([*files("a.png", kind="image"), *files("계약서.pdf")], "파일 2개: 계약서.pdf", "2 files: 계약서.pdf"),
            ([], "새 메시지", "A new message"),
        ],
    )
    def test_without_a_text_says_what_it_is(self, of: Any, korean: str, english: str) -> None:
        assert (content_of(None, of, "ko"), content_of(None, of, "en")) == (korean, english)

    def test_with_a_text_shows_its_beginning_on_one_line(self) -> None:
        assert content_of("one\n\ntwo\tthree", files("a.pdf"), "en") == "one two three"
        shown = content_of(FAMILY * 100, [], "ko")
        assert set(shown.removesuffix("…").split(FAMILY)) == {""}
        assert len(shown) <= MAX_CONTENT + 1


class TestWhatIsStored:
    @pytest.mark.parametrize("language", ["ko", "en"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_has_words_in_every_language(self, kind: Kind, language: Language) -> None:
        title, body = written(told(kind, content="👍"), language)
        assert title and body
        assert ("홍길동" in body) is (kind not in ("message", "system"))

    def test_is_titled_with_its_room_where_there_is_one(self) -> None:
        assert written(told("reaction", room="등산", content="👍"), "ko") == (
            "등산",
            "홍길동님이 👍 반응을 남겼습니다.",
        )
        assert written(told("friend_request"), "en") == ("홍길동", "홍길동 wants to be friends.")


class TestHidden:
    @pytest.mark.parametrize("kind", KINDS)
    def test_says_only_how_many(self, kind: Kind) -> None:
        text = "".join(hidden(told(kind, room="등산", messages=3), "ko"))
        assert not any(word in text for word in ("홍길동", "등산", "안녕"))

    def test_counts_messages(self) -> None:
        assert [hidden(told(messages=n), "ko").body for n in (1, 3)] == ["새 메시지 1개", "새 메시지 3개"]
        assert [hidden(told(messages=n), "en").body for n in (1, 3)] == ["1 new message", "3 new messages"]


def test_whoever_has_no_known_language_has_korean() -> None:
    assert [language_of(each) for each in ("ko", "en", "")] == ["ko", "en", "ko"]


class Reader:
    def address(self, link: Link) -> str:
        return f"https://chat.example.com/{'x' * 6000}{link}"


def test_a_payload_fits_whatever_is_in_it() -> None:
    long = "\U0001d54f" * 1000
    actor = User(id=new_id(), nickname=long[:50], intro="", avatar_url=Link("/avatars/x"))
    matter = Matter(Told("mention", long, long, long, 9), new_id(), new_id(), new_id(), actor, now())
    payload = push_payloads.notification(matter, Person(new_id(), "ko", None), Reader(), 9, ["x" * 36] * 20)
    assert len(payload) <= MAX_PAYLOAD
    assert orjson.loads(payload)["body"].startswith("\U0001d54f")
