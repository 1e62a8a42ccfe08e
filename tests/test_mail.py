"""Mails: written in a transaction, sent after it, once, sooner or later, and never with anybody's words in a header."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import select, update

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.ids import new_id
from src.db.models import EmailToken, OutboxItem
from src.db.repositories.email_tokens import EmailTokens
from src.db.repositories.outbox import Outbox
from src.errors import Unavailable
from src.services import outbox, smtp
from src.services.mail_texts import write
from src.services.mailer import FileMailer, mailer_for
from src.services.mails import MAIL, Mails, mail_to, mail_to_whoever_has
from src.services.outbox import OutboxWorker
from src.services.outcomes import delay
from src.services.smtp import SmtpMailer

from .postbox import Postbox, read

ADDRESS = "anna@example.com"


class Item(NamedTuple):
    """As much of a row of the outbox as a handler reads."""

    id: UUID
    payload: Any


@pytest.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    made = Database(settings.database_url, lambda events: None)
    yield made
    await made.close()


def worker_for(db: Database, url: str) -> OutboxWorker:
    mails = Mails(db, SmtpMailer(url), "https://chatty.example", "Chatty <chatty@chatty.example>")
    return OutboxWorker(db, {MAIL: mails.deliver})


async def person(
    db: Database, address: str = ADDRESS, nickname: str = "Anna", language: str = "en", *, verified: bool = False
) -> UUID:
    """Somebody, and a mail to them in the outbox."""
    user_id = new_id()
    async with db.transaction() as tx:
        await tx.users.add(
            user_id, email=address, email_key=address.casefold(), password_hash=None, nickname=nickname,
            language=language, moment=now(),
        )  # fmt: skip
        if verified:
            await tx.users.verify_email(user_id, address.casefold(), now())
        await tx.outbox.add(MAIL, mail_to(user_id, "verify_email"), now())
    return user_id


async def waiting(db: Database) -> list[Any]:
    async with db.snapshot() as reads:
        return list((await reads._connection.execute(select(OutboxItem.__table__))).all())


async def make_due(db: Database) -> None:
    async with db.transaction() as tx:
        await tx._connection.execute(update(OutboxItem).values(due_at=now()))


async def test_a_mail_is_sent_once_and_forgotten(db: Database, postbox: Postbox) -> None:
    await person(db)
    worker = worker_for(db, postbox.url)
    assert await worker.work() == 1
    assert await worker.work() == 0 and await waiting(db) == []
    (envelope,) = postbox.mails
    mail = read(envelope)
    assert envelope.rcpt_tos == [ADDRESS] == [mail["To"]]
    assert mail["From"] == "Chatty <chatty@chatty.example>" and mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@chatty.example>") and mail["Date"]
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "https://chatty.example/verify-email?token=" in mail.get_body(("plain",)).get_content()


async def test_a_rolled_back_transaction_sends_nothing(db: Database, postbox: Postbox) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.outbox.add(MAIL, mail_to(new_id(), "verify_email"), now())
            _ = 1 / 0
    assert await worker_for(db, postbox.url).work() == 0 and postbox.mails == []


async def test_a_passing_refusal_is_tried_again_later(db: Database, postbox: Postbox) -> None:
    postbox.answers = ["451 try again", "250 OK"]
    await person(db)
    worker = worker_for(db, postbox.url)
    await worker.work()
    (item,) = await waiting(db)
    assert (item.attempts, item.failed_at) == (1, None) and "451" in item.last_error
    assert item.due_at > now() + timedelta(seconds=10), "not at once"
    assert await worker.work() == 0
    await make_due(db)
    await worker.work()
    assert len(postbox.mails) == 1 and await waiting(db) == []


@pytest.mark.parametrize("where", ["recipient", "data"])
async def test_a_final_refusal_is_not_tried_again(db: Database, postbox: Postbox, where: str) -> None:
    if where == "recipient":
        postbox.recipient_answer = f"550 no such user {ADDRESS}"
    else:
        postbox.answers = [f"554 rejected {ADDRESS}"]
    await person(db)
    worker = worker_for(db, postbox.url)
    await worker.work()
    (item,) = await waiting(db)
    assert item.failed_at is not None and item.last_error.split()[-1] in ("550", "554")
    assert ADDRESS not in item.last_error, "whose address it was is not kept"
    assert item.payload == {}, "nor whom it was for"
    await make_due(db)
    assert await worker.work() == 0


async def test_nobody_listening_and_a_server_that_says_nothing_are_tried_again(
    db: Database, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "SMTP_SECONDS", 0.3)
    await person(db)
    await worker_for(db, "smtp://127.0.0.1:1").work()
    assert [item.attempts for item in await waiting(db)] == [1]
    postbox.asleep = asyncio.Event()
    await make_due(db)
    await worker_for(db, postbox.url).work()
    assert [item.attempts for item in await waiting(db)] == [2] and postbox.mails == []


async def test_it_gives_up_after_many_attempts(db: Database, postbox: Postbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_ATTEMPTS", 3)
    postbox.answers = ["451 later"] * 9
    await person(db)
    worker = worker_for(db, postbox.url)
    for _ in range(5):
        await worker.work()
        await make_due(db)
    (item,) = await waiting(db)
    assert item.attempts == 3 and item.failed_at is not None and len(postbox.answers) == 6


async def test_a_mail_that_kills_its_worker_each_time_is_given_up(db: Database, postbox: Postbox) -> None:
    await person(db)
    async with db.transaction() as tx:
        await tx._connection.execute(update(OutboxItem).values(attempts=outbox.MAX_ATTEMPTS))
    await worker_for(db, postbox.url).work()
    (item,) = await waiting(db)
    assert postbox.mails == [] and item.failed_at is not None and item.last_error


async def test_a_mail_whose_end_cannot_be_noted_leaves_the_others_alone(
    db: Database, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[UUID] = []
    begun, noted = asyncio.Event(), asyncio.Event()
    for number in range(2):
        await person(db, f"anna{number}@example.com")
    honest = Outbox.done

    async def failing_first(outbox: Outbox, item_ids: Sequence[UUID]) -> None:
        if not noted.is_set():
            noted.set()
            raise Unavailable
        await honest(outbox, item_ids)

    async def send(item: Any) -> None:
        if begun.is_set():  # the second one is under way while the first one's end is noted
            await noted.wait()
            await asyncio.sleep(0.05)
        begun.set()
        sent.append(item.id)

    monkeypatch.setattr(Outbox, "done", failing_first)
    assert await OutboxWorker(db, {MAIL: send}).work() == 2
    assert len(sent) == 2
    assert [item.id for item in await waiting(db)] == sent[:1], "the first comes again, the second does not"


async def test_a_worker_that_dies_half_way_leaves_the_mail_to_the_next(db: Database, postbox: Postbox) -> None:
    postbox.asleep = asyncio.Event()
    await person(db)
    dying = asyncio.create_task(worker_for(db, postbox.url).run())
    async with asyncio.timeout(5):
        while not [item for item in await waiting(db) if item.attempts]:
            await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    next_worker = worker_for(db, postbox.url)
    assert await next_worker.work() == 0, "it is leased still"
    postbox.asleep.set()
    await make_due(db)
    await next_worker.work()
    assert postbox.mails and await waiting(db) == []


async def test_work_of_another_kind_that_hangs_holds_up_no_mail(db: Database, postbox: Postbox) -> None:
    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    async with db.transaction() as tx:
        for _ in range(9):
            await tx.outbox.add("revoke", {}, now())
    await person(db)
    worker = worker_for(db, postbox.url)
    worker.also("revoke", hang)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(5):
        while not postbox.mails:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_two_workers_send_each_mail_once(db: Database, postbox: Postbox) -> None:
    for number in range(12):
        await person(db, f"anna{number}@example.com")
    workers = [worker_for(db, postbox.url) for _ in range(2)]

    async def work(worker: OutboxWorker) -> None:
        while await worker.work():
            pass

    await asyncio.gather(*map(work, workers))
    assert sorted(envelope.rcpt_tos[0] for envelope in postbox.mails) == sorted(
        f"anna{number}@example.com" for number in range(12)
    )


async def test_of_two_mails_written_at_once_the_link_of_one_works(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(db)
    honest = EmailTokens.forget

    async def slow(tokens: EmailTokens, user_id: UUID, purpose: Any) -> None:
        """Between taking the earlier token away and keeping the new one: time for the other mail to come in between."""
        await honest(tokens, user_id, purpose)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(EmailTokens, "forget", slow)
    box = FileMailer(tmp_path / "mail")
    mails = Mails(db, box, "https://chatty.example", "Chatty <chatty@chatty.example>")
    asked = [mail_to_whoever_has(ADDRESS, "reset_password") for _ in range(3)]
    await asyncio.gather(*(mails.deliver(Item(new_id(), payload)) for payload in asked))
    assert len(list((tmp_path / "mail").iterdir())) == 3, "each is sent"
    async with db.snapshot() as reads:
        assert len((await reads._connection.execute(select(EmailToken.token_hash))).all()) == 1


async def test_two_nodes_that_look_at_once_lease_different_rows(db: Database, settings: Settings) -> None:
    if settings.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    for number in range(4):
        await person(db, f"anna{number}@example.com")
    until = now() + timedelta(minutes=1)
    async with db.transaction() as here, db.transaction() as there:
        mine, theirs = [await each.outbox.lease("mail", 3, now(), until) for each in (here, there)]
    assert (len(mine), len(theirs)) == (3, 1) and not {row.id for row in mine} & {row.id for row in theirs}


async def test_the_worker_outlives_what_nobody_foresaw(db: Database, postbox: Postbox) -> None:
    async with db.transaction() as tx:
        await tx.outbox.add(MAIL, {"about": "nothing we write"}, now())
    await person(db)
    worker = worker_for(db, postbox.url)
    running = asyncio.create_task(worker.run())
    worker.wake()
    async with asyncio.timeout(5):
        while not postbox.mails or any(item.last_error is None for item in await waiting(db)):
            await asyncio.sleep(0.01)
    assert not running.done() and len(await waiting(db)) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_who_is_gone_gets_nothing(db: Database, postbox: Postbox) -> None:
    async with db.transaction() as tx:
        await tx.outbox.add(MAIL, mail_to(new_id(), "verify_email"), now())
    worker = worker_for(db, postbox.url)
    assert await worker.work() == 1
    assert await waiting(db) == [] and postbox.mails == []


@pytest.mark.one_database
async def test_an_international_address_is_written_as_it_is(db: Database, postbox: Postbox) -> None:
    await person(db, "한글@도메인.한국", "홍길동", "ko", verified=True)
    await worker_for(db, postbox.url).work()
    (envelope,) = postbox.mails
    assert envelope.rcpt_tos == ["한글@도메인.한국"] and "홍길동님" in read(envelope).get_body(("plain",)).get_content()


@pytest.mark.one_database
async def test_nothing_of_a_person_gets_into_headers_or_markup(db: Database, postbox: Postbox) -> None:
    await person(db, nickname='<script>alert("1")</script>\r\nBcc: mallory@example.com', verified=True)
    await worker_for(db, postbox.url).work()
    mail = read(postbox.mails[0])
    assert mail["Bcc"] is None and postbox.mails[0].rcpt_tos == [ADDRESS]
    html = mail.get_body(("html",)).get_content()
    assert "<script>" not in html and "&lt;script&gt;" in html


@pytest.mark.parametrize("about", ["verify_email", "reset_password", "password_changed"])
@pytest.mark.parametrize("language", ["ko", "en"])
async def test_an_address_that_nobody_has_shown_to_be_theirs_reads_no_name_of_a_strangers_choosing(
    db: Database, postbox: Postbox, language: str, about: Any
) -> None:
    user_id = await person(db, nickname="Win at http://evil.example", language=language)
    async with db.transaction() as tx:
        await tx._connection.execute(update(OutboxItem).values(payload=mail_to(user_id, about)))
    await worker_for(db, postbox.url).work()
    mail = read(postbox.mails[0])
    for kind in ("plain", "html"):
        said = mail.get_body((kind,)).get_content()
        assert "evil" not in said and ("안녕하세요." if language == "ko" else "Hello,") in said


@pytest.mark.one_database
async def test_an_address_with_a_line_break_is_never_sent_to(db: Database, postbox: Postbox) -> None:
    await person(db, "anna@example.com\r\nBcc: mallory@example.com")
    await worker_for(db, postbox.url).work()
    assert postbox.mails == [] and len(await waiting(db)) == 1


@pytest.mark.one_database
async def test_without_a_server_mails_lie_in_private_files_and_the_log_says_so(
    db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await person(db)
    files = mailer_for("", tmp_path / "mail")
    assert isinstance(files, FileMailer)
    mails = Mails(db, files, "http://localhost:8000", "Chatty <chatty@localhost>")
    await OutboxWorker(db, {MAIL: mails.deliver}).work()
    (file,) = (tmp_path / "mail").iterdir()
    assert file.suffix == ".eml" and file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert "To: anna@example.com" in text and "http://localhost:8000/verify-email?token=" in text, "to be read as it is"
    said = capsys.readouterr().out
    assert "CHATTY_SMTP_URL" in said and file.name in said and ADDRESS not in said and "token" not in said


@pytest.mark.parametrize("url", ["http://mail.example", "mail.example:25", "smtp://", "smtp:///path"])
def test_an_address_of_a_server_that_cannot_be_is_refused_at_start(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CHATTY_SMTP_URL"):
        mailer_for(url, tmp_path)


async def test_a_password_goes_over_a_network_only_encrypted(postbox: Postbox) -> None:
    assert SmtpMailer("smtp://user:p%40ss@mail.example")._start_tls() is True
    assert SmtpMailer("smtp://mail.example")._start_tls() is None
    assert SmtpMailer("smtps://user:pass@mail.example")._start_tls() is False, "it is encrypted from the first byte"
    made = SmtpMailer("smtp://user:p%40ss@mail.example")
    assert (made._user, made._password, made._port) == ("user", "p@ss", 587)


def test_attempts_are_further_and_further_apart() -> None:
    waits = [delay(attempt).total_seconds() for attempt in range(1, outbox.MAX_ATTEMPTS + 1)]
    assert 24 <= waits[0] <= 36 and 48 <= waits[1] <= 72 and max(waits) <= 4 * 3600 * 1.2


def test_every_mail_is_written_in_both_languages() -> None:
    for about in ("verify_email", "reset_password", "password_changed"):
        link = "" if about == "password_changed" else "https://chatty.example/x?token=1&b=2"
        texts = [write(about, language, "Anna & Boris", link) for language in ("ko", "en")]
        assert texts[0].subject != texts[1].subject
        for text in texts:
            assert link in text.plain and "Anna & Boris" in text.plain and "Anna &amp; Boris" in text.html
            assert link.replace("&", "&amp;") in text.html
