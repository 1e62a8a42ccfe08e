"""Mails over connections that are kept: how many, how long, and never twice what may have been taken."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from src.clock import now
from src.services import smtp
from src.services.letters import Letter
from src.services.outcomes import Undeliverable
from src.services.smtp import SmtpMailer
from src.services.smtp_refusals import AddressRefused, explained

from ..internet import self_signed
from ..postbox import HANGS_UP, Open, Postbox, only, read


def letter(number: int = 0, recipient: str = "", text: str = "Hello") -> Letter:
    return Letter(
        message_id=f"<{number}@chatty.example>",
        sender="Chatty <chatty@chatty.example>",
        recipient=recipient or f"anna{number}@example.com",
        subject="Hello",
        plain=text,
        html=f"<p>{text}</p>",
        language="en",
        at=now(),
    )


@pytest.fixture
async def mailer(postbox: Postbox) -> AsyncIterator[SmtpMailer]:
    made = SmtpMailer(postbox.url)
    yield made
    await made.close()


async def send(mailer: SmtpMailer, *numbers: int) -> None:
    """Send letters, one after the other."""
    for number in numbers:
        await mailer.send(letter(number))


def received(postbox: Postbox) -> list[int]:
    """The numbers of the mails that came, in order."""
    return [int(read(envelope)["Message-ID"].strip("<>").partition("@")[0]) for envelope in postbox.mails]


class TestKeeping:
    async def test_mails_that_follow_each_other_go_over_one_connection(
        self, mailer: SmtpMailer, postbox: Postbox
    ) -> None:
        await send(mailer, *range(5))
        assert received(postbox) == [*range(5)] and postbox.connections == 1
        assert postbox.said.count("EHLO") == 1

    async def test_many_at_once_share_a_few(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        await asyncio.gather(*(send(mailer, number) for number in range(60)))
        assert sorted(received(postbox)) == [*range(60)]
        assert postbox.connections == smtp.MAX_CONNECTIONS

    async def test_a_connection_is_left_politely_after_so_many_mails(
        self, mailer: SmtpMailer, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "MAILS_PER_CONNECTION", 3)
        await send(mailer, *range(7))
        assert received(postbox) == [*range(7)]
        assert (postbox.connections, postbox.said.count("QUIT"), postbox.most_open) == (3, 2, 1)

    async def test_and_when_nothing_more_is_to_be_sent(
        self, mailer: SmtpMailer, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "IDLE_SECONDS", 0.2)
        await asyncio.gather(send(mailer, 0), send(mailer, 1))
        await send(mailer, 2)
        assert len(postbox.open) == 2
        await postbox.left_alone()
        assert postbox.said.count("QUIT") == 2
        await send(mailer, 3)
        assert postbox.connections == 3

    async def test_those_that_are_too_many_go_first(
        self, mailer: SmtpMailer, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "IDLE_SECONDS", 0.3)
        await asyncio.gather(*(send(mailer, number) for number in range(4)))
        for number in range(8):  # one is enough for these
            await send(mailer, 10 + number)
            await asyncio.sleep(0.1)
        assert len(postbox.open) == 1 and postbox.connections == 4

    async def test_closing_takes_leave(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        before = asyncio.all_tasks()
        await asyncio.gather(*(send(mailer, number) for number in range(3)))
        await mailer.close()
        await postbox.left_alone()
        assert postbox.said.count("QUIT") == 3
        assert {task for task in asyncio.all_tasks() - before if "quit" in repr(task)} == set()

    async def test_closing_waits_for_no_server_that_says_nothing(
        self, mailer: SmtpMailer, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "QUIT_SECONDS", 0.1)
        await send(mailer, 0)
        postbox.script["QUIT"] = [""]  # half a line
        async with asyncio.timeout(1):
            await mailer.close()

    async def test_who_is_cancelled_leaves_no_half_said_conversation_to_the_next(
        self, mailer: SmtpMailer, postbox: Postbox
    ) -> None:
        await send(mailer, 0)
        postbox.asleep = asyncio.Event()
        under_way = [asyncio.create_task(send(mailer, number)) for number in range(1, 21)]
        async with asyncio.timeout(5):
            while postbox.said.count("DATA") < 1 + smtp.MAX_CONNECTIONS:
                await asyncio.sleep(0.01)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await postbox.left_alone()
        postbox.asleep = None
        opened = postbox.connections
        await send(mailer, *range(30, 40))
        assert received(postbox) == [0, *range(30, 40)] and postbox.connections == opened + 1


class TestAServerThatLeaves:
    async def test_while_nothing_is_sent_is_visited_anew(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        await asyncio.gather(*(send(mailer, number) for number in range(3)))
        postbox.hang_up()
        await postbox.left_alone()
        await send(mailer, 3)
        assert sorted(received(postbox)) == [0, 1, 2, 3] and postbox.connections == 4

    @pytest.mark.parametrize("command", ["MAIL", "RCPT"])
    @pytest.mark.parametrize("how", [HANGS_UP, "421 too many mails"])
    async def test_before_it_has_seen_the_mail_gets_it_over_a_new_connection(
        self, mailer: SmtpMailer, postbox: Postbox, command: str, how: str
    ) -> None:
        await send(mailer, 0)
        postbox.script[command] = [how]
        await send(mailer, 1, 2)
        assert received(postbox) == [0, 1, 2] and postbox.connections == 2

    async def test_is_asked_no_third_time(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        await send(mailer, 0)
        postbox.script["MAIL"] = ["421 go away"] * 9
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await send(mailer, 1)
        assert refused.value.code == 421 and len(postbox.script["MAIL"]) == 7 and postbox.connections == 2

    async def test_says_so_to_whoever_comes_with_nothing_kept(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        postbox.script["MAIL"] = [HANGS_UP] * 2
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(mailer, 0)
        assert postbox.connections == 1

    @pytest.mark.parametrize("when", ["before it has asked for the mail", "when it has all of it"])
    async def test_in_the_middle_of_data_may_have_taken_it_so_it_is_not_sent_again(
        self, mailer: SmtpMailer, postbox: Postbox, when: str
    ) -> None:
        await send(mailer, 0)
        if when == "when it has all of it":
            postbox.answers = [HANGS_UP]
        else:
            postbox.script["DATA"] = [HANGS_UP]
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(mailer, 1)
        assert postbox.said.count("DATA") == 2
        await send(mailer, 2)
        assert received(postbox) == [0, 2] and postbox.connections == 2

    async def test_without_an_answer_has_failed(
        self, mailer: SmtpMailer, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(smtp, "SMTP_SECONDS", 0.2)
        postbox.asleep = asyncio.Event()
        with pytest.raises(TimeoutError):
            await send(mailer, 0)
        await postbox.left_alone()
        assert postbox.said.count("DATA") == 1


class TestRefusals:
    async def test_of_an_address_leave_the_connection_to_the_next(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        postbox.script["RCPT"] = ["550 5.1.1 no such user anna0@example.com", "451 4.2.1 later", None]
        with pytest.raises(AddressRefused) as refused:
            await send(mailer, 0)
        assert str(refused.value) == "SMTPRecipientRefused 550 5.1.1", "without whose address it is"
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await send(mailer, 1)
        await send(mailer, 2)
        assert received(postbox) == [2] and postbox.connections == 1 and postbox.said.count("RSET") == 2

    async def test_of_a_mail_say_nothing_of_the_address(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        postbox.answers = ["550 5.1.1 we think this is spam", "452 4.3.1 full", "250 OK"]
        with pytest.raises(Undeliverable) as refused:
            await send(mailer, 0)
        assert not isinstance(refused.value, AddressRefused)
        with pytest.raises(aiosmtplib.SMTPDataError):
            await send(mailer, 1)
        await send(mailer, 2)
        assert received(postbox) == [2] and postbox.connections == 1

    async def test_of_the_sender_are_for_whoever_runs_the_service_to_mend(
        self, mailer: SmtpMailer, postbox: Postbox
    ) -> None:
        postbox.script["MAIL"] = ["553 5.7.1 not your address"]
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await send(mailer, 0)

    async def test_a_server_that_will_not_go_on_after_one_is_left(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        postbox.script["RCPT"], postbox.script["RSET"] = ["550 5.1.1 no"], ["500 what?"]
        with pytest.raises(AddressRefused):
            await send(mailer, 0)
        await send(mailer, 1)
        assert received(postbox) == [1] and postbox.connections == 2

    @pytest.mark.parametrize(
        ("said", "of_address"),
        [
            ("550 5.1.1 <anna@example.com>: Recipient address rejected: User unknown", True),
            ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found", True),
            ("550 5.2.1 The email account that you tried to reach is disabled.", True),
            ("556 5.1.10 this domain takes no mail", True),
            ("550 No such user here", True),
            ("551 User not local; please try <forward@example.com>", True),
            ("553 mailbox name not allowed", True),
            ("550 Unrouteable address", True),
            ("550 5.7.1 Service unavailable; client [203.0.113.9] blocked using zen.spamhaus.org", False),
            ("554 5.7.1 <anna@example.com>: Relay access denied", False),
            ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", False),
            ("550 relay not permitted", False),
            ("550 Blocked by our spam policy", False),
            ("550 Sender verify failed", False),
            ("550 Authentication required", False),
            ("552 5.2.2 mailbox full", False),
            ("550 5.1.8 bad sender's address", False),
            ("550 5.4.1 Recipient address rejected: Access denied", False),
            ("554 no", False),
            ("550 from 5.1.1.7: not you", True),  # a number that is no code
        ],
    )
    def test_are_of_the_address_where_they_say_so_and_never_where_they_may_be_of_us(
        self, said: str, of_address: bool
    ) -> None:
        code, _, words = said.partition(" ")
        told = explained(aiosmtplib.SMTPRecipientRefused(int(code), words, "anna@example.com"))
        assert isinstance(told, Undeliverable) and isinstance(told, AddressRefused) == of_address
        assert "@" not in str(told)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the server is in this process
class TestTheConversation:
    async def test_the_envelope_says_what_the_mail_is(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        await mailer.send(letter(0, text="안녕하세요"))
        await mailer.send(letter(1))
        korean, english = postbox.mails
        assert korean.mail_from == "chatty@chatty.example" and korean.rcpt_tos == ["anna0@example.com"]
        assert "BODY=8BITMIME" in korean.mail_options and "BODY=8BITMIME" not in english.mail_options
        assert isinstance(korean.content, bytes) and f"SIZE={len(korean.content)}" in korean.mail_options

    @pytest.mark.parametrize("old", [False, True])
    async def test_a_server_that_takes_seven_bits_gets_no_more(
        self, mailer: SmtpMailer, postbox: Postbox, old: bool
    ) -> None:
        if old:
            postbox.script["EHLO"] = ["500 what?"]
        postbox.lacks = ["8BITMIME"]
        await mailer.send(letter(text="안녕하세요\n.\n..\n끝"))
        (envelope,) = postbox.mails
        assert isinstance(envelope.content, bytes) and envelope.content.isascii()
        assert read(envelope).get_body(("plain",)).get_content().splitlines() == ["안녕하세요", ".", "..", "끝"]
        assert ("HELO" in postbox.said) == old

    async def test_lines_that_begin_with_a_dot_arrive(self, mailer: SmtpMailer, postbox: Postbox) -> None:
        await mailer.send(letter(text=".\n..\n. 안녕\n"))
        assert read(postbox.mails[0]).get_body(("plain",)).get_content().splitlines() == [".", "..", ". 안녕"]

    async def test_an_international_address_needs_a_server_that_takes_it(
        self, mailer: SmtpMailer, postbox: Postbox
    ) -> None:
        await mailer.send(letter(recipient="한글@도메인.한국"))
        assert postbox.mails[0].rcpt_tos == ["한글@도메인.한국"] and "SMTPUTF8" in postbox.mails[0].mail_options
        assert read(postbox.mails[0])["To"] == "한글@도메인.한국"
        postbox.lacks = ["SMTPUTF8"]
        postbox.hang_up()
        await postbox.left_alone()
        with pytest.raises(aiosmtplib.SMTPNotSupported):
            await mailer.send(letter(recipient="한글@도메인.한국"))
        await send(mailer, 1)

    async def test_who_has_a_password_says_it_once_per_connection(self, open_postbox: Open) -> None:
        box = await open_postbox(authenticator=only("chatty", "p@ss"), auth_required=True, auth_require_tls=False)
        mailer = SmtpMailer(box.url.replace("//", "//chatty:p%40ss@"))
        await send(mailer, 0, 1, 2)
        assert received(box) == [0, 1, 2] and box.connections == 1 and box.said.count("AUTH") == 1
        await mailer.close()

    async def test_a_wrong_password_is_for_whoever_runs_the_service_to_mend(self, open_postbox: Open) -> None:
        box = await open_postbox(authenticator=only("chatty", "p@ss"), auth_required=True, auth_require_tls=False)
        mailer = SmtpMailer(box.url.replace("//", "//chatty:wrong@"))
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(mailer, 0)
        await box.left_alone()

    @pytest.mark.parametrize("from_the_start", [True, False])
    async def test_it_is_encrypted_where_that_is_offered_and_kept_so(
        self, open_postbox: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_the_start: bool
    ) -> None:
        context = self_signed("localhost", tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pem"))
        how: dict[str, Any] = {"tls": context} if from_the_start else {"tls_context": context}
        box = await open_postbox(**how, authenticator=only("chatty", "p@ss"), auth_require_tls=not from_the_start)
        mailer = SmtpMailer(box.url.replace("//127.0.0.1", "//chatty:p%40ss@localhost"))
        await send(mailer, 0, 1)
        assert received(box) == [0, 1] and box.connections == 1
        assert box.said.count("STARTTLS") == (0 if from_the_start else 1)
        await mailer.close()

    async def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(
        self, open_postbox: Open, tmp_path: Path
    ) -> None:
        box = await open_postbox(tls_context=self_signed("localhost", tmp_path))
        mailer = SmtpMailer(box.url.replace("//127.0.0.1", "//chatty:p%40ss@localhost"))
        with pytest.raises((ssl.SSLError, aiosmtplib.SMTPException)):
            await send(mailer, 0)
        assert box.mails == [] and "AUTH" not in box.said
