"""The key by which push services know us, and what it signs."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from src.push import vapid as ours
from src.push.base64url import decoded, encoded
from src.push.vapid import VapidKey, VapidTokens, subject_of, vapid_key

from . import vapid

PUSH_SERVICE = "https://push.example"
SUBJECT = "mailto:chatty@example.com"

OF_A_SECRET = "BFIfWfUCJpX-t9DGs5FL_zD4ohcI2ORak36Mq_OdbYGL5cIK_8WmsK2d5ULr7_DRfWfbaKmS26eB91NTGozqGmg"


class TestAKey:
    def test_is_one_text_and_back(self) -> None:
        key = VapidKey.generate()
        again = VapidKey.from_text(key.private_text)
        assert (again.private_text, again.public_key) == (key.private_text, key.public_key)
        assert len(decoded(key.private_text)) == 32

    def test_is_shown_to_browsers_as_an_uncompressed_point(self) -> None:
        point = decoded(VapidKey.generate().public_key)
        assert (len(point), point[0]) == (65, 4)

    def test_is_another_each_time(self) -> None:
        assert VapidKey.generate().private_text != VapidKey.generate().private_text

    def test_is_what_other_libraries_make_of_the_text(self) -> None:
        """The keys of the sender in RFC 8291, appendix A."""
        key = VapidKey.from_text("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
        assert key.public_key == (
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
        )

    def test_that_begins_with_zeros_keeps_them(self) -> None:
        assert VapidKey.from_text(encoded(bytes(31) + b"\1")).private_text == encoded(bytes(31) + b"\1")

    def test_may_be_padded_and_stand_between_blanks(self) -> None:
        text = VapidKey.generate().private_text
        assert VapidKey.from_text(f" {text}=\n").private_text == text

    @pytest.mark.parametrize(
        "text",
        ["", "x", "hunter2", encoded(bytes(32)), encoded(b"\xff" * 32), encoded(b"\1" * 31), encoded(b"\1" * 33),
         "+" * 43, "é" * 43, f"{'A' * 21}\n{'B' * 22}", "-----BEGIN EC PRIVATE KEY-----"],
    )  # fmt: skip
    def test_is_nothing_else_and_is_not_shown_in_a_refusal(self, text: str) -> None:
        with pytest.raises(ValueError, match="32 bytes in base64url, as `chatty vapid-keys` prints") as refusal:
            VapidKey.from_text(text)
        assert len(text) < 2 or text not in str(refusal.value)


class TestTheKeyOfASecret:
    def test_is_the_same_each_time_and_another_for_another_secret(self) -> None:
        keys = [vapid_key("", secret).private_text for secret in ("한글도 되는 비밀", "한글도 되는 비밀", "another")]
        assert keys[0] == keys[1] != keys[2]

    def test_stays_what_it_was(self) -> None:
        """Whoever changes how it is made ends the subscriptions of everybody."""
        assert vapid_key("", "a secret").public_key == OF_A_SECRET

    def test_is_a_key_like_any_other(self) -> None:
        key = vapid_key("", "a secret")
        assert VapidKey.from_text(key.private_text).public_key == key.public_key

    def test_does_not_count_where_one_is_given(self) -> None:
        given = VapidKey.generate()
        assert vapid_key(given.private_text, "a secret").public_key == given.public_key

    def test_is_not_made_instead_of_a_given_one_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            vapid_key("something else", "a secret")


class TestTheSubject:
    @pytest.mark.parametrize(
        ("mail_from", "public_url", "subject"),
        [
            ("Chatty <chatty@example.com>", "https://chat.example.com", "mailto:chatty@example.com"),
            ("chatty@example.com", "http://localhost:8000", "mailto:chatty@example.com"),
            ("Chatty <chatty@localhost>", "https://chat.example.com", "https://chat.example.com"),
            ("Chatty <chatty@mail.LOCALHOST>", "https://chat.example.com/chat", "https://chat.example.com/chat"),
            ("Chatty", "https://chat.example.com", "https://chat.example.com"),
            ("", "https://chat.example.com", "https://chat.example.com"),
            ("Chatty <chatty@localhost>", "http://localhost:8000", "mailto:chatty@localhost"),
            ("", "http://localhost:8000", "mailto:chatty@localhost"),
        ],
    )
    def test_is_where_somebody_may_be_reached(self, mail_from: str, public_url: str, subject: str) -> None:
        assert subject_of(mail_from, public_url) == subject
        VapidTokens(VapidKey.generate(), subject)


class TestTokens:
    def test_say_to_whom_by_whom_and_until_when(self) -> None:
        key = VapidKey.generate()
        header = VapidTokens(key, SUBJECT).authorization(PUSH_SERVICE)
        claims = vapid.verify(header, PUSH_SERVICE, key.public_key, datetime.now(UTC).timestamp())
        assert (claims["aud"], claims["sub"]) == (PUSH_SERVICE, SUBJECT)

    def test_are_signed_once_in_some_hours_for_each_push_service(self) -> None:
        key = VapidKey.generate()
        tokens = VapidTokens(key, SUBJECT)
        with time_machine.travel(datetime(2026, 11, 30, 12, tzinfo=UTC), tick=False) as clock:
            first, other = tokens.authorization(PUSH_SERVICE), tokens.authorization("https://other.example")
            assert first != other
            clock.shift(timedelta(hours=3, minutes=59))
            assert tokens.authorization(PUSH_SERVICE) == first
            clock.shift(timedelta(minutes=1))
            second = tokens.authorization(PUSH_SERVICE)
            assert second != first
            vapid.verify(second, PUSH_SERVICE, key.public_key, datetime.now(UTC).timestamp())

    def test_are_never_of_tomorrow_after_the_clock_was_put_back(self) -> None:
        key = VapidKey.generate()
        tokens = VapidTokens(key, SUBJECT)
        with time_machine.travel(datetime(2026, 12, 30, tzinfo=UTC), tick=False):
            tokens.authorization(PUSH_SERVICE)
        with time_machine.travel(datetime(2026, 11, 30, tzinfo=UTC), tick=False):
            header = tokens.authorization(PUSH_SERVICE)
            vapid.verify(header, PUSH_SERVICE, key.public_key, datetime.now(UTC).timestamp())

    def test_are_not_remembered_without_end(self) -> None:
        tokens = VapidTokens(VapidKey.generate(), SUBJECT)
        for number in range(ours._MAX_TOKENS + 10):
            tokens.authorization(f"https://push-{number}.example")
        assert len(tokens._tokens) <= ours._MAX_TOKENS

    @pytest.mark.parametrize(
        "subject", ["", "chatty@example.com", "http://chat.example", "mailto:", "mailto:a b@c", "x"]
    )
    def test_name_somebody_to_write_to(self, subject: str) -> None:
        with pytest.raises(ValueError, match="mailto:"):
            VapidTokens(VapidKey.generate(), subject)
