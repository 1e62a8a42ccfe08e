"""A stage for digests: a street with a post office, a real SMTP server, and a clock that is moved minute by minute."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from src.clock import now
from src.db.models import Notification, NotificationPreferences, Online, OutboxItem, User
from src.services.digest_mails import DigestMails
from src.services.digest_plans import Pace
from src.services.digests import AT_ONCE, Digests
from src.services.friends import Friends
from src.services.notices import DIGEST
from src.services.outbox import OutboxWorker
from src.services.reactions import Reactions
from src.services.smtp import SmtpMailer
from src.services.unsubscribing import UnsubscribeTokens

from .ladder import EMAIL_AFTER, Street
from .people import NOTICES, House
from .postbox import Postbox, read

HOME = "https://chatty.example"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
TOKENS = UnsubscribeTokens("a key", HOME)


class PostOffice(Street):
    """`clock`: time-machine's."""

    def __init__(self, house: House, box: Postbox, clock: Any) -> None:
        super().__init__(house)
        self.box, self.clock = box, clock
        self.mailer = SmtpMailer(box.url)
        self.digests = self.another()
        self.outbox = OutboxWorker(self.database, {})
        self.outbox.in_batches(DIGEST, self.digests.carry_out, at_once=AT_ONCE)
        self.friends = Friends(self.database, NOTICES)
        self.reactions = Reactions(self.database, NOTICES)

    def another(self) -> Digests:
        mails = DigestMails(HOME, "Chatty <chatty@chatty.example>", TOKENS)
        return Digests(self.database, self.mailer, mails, HOME, Pace(EMAIL_AFTER, HOUR))

    async def run(self) -> None:
        """Let the ladder and the outbox do what is due."""
        await self.climb()
        while await self.outbox.work():
            pass

    async def wait(self, minutes: float) -> list[Any]:
        """Let so much time pass, minute by minute; the mails that came."""
        before = len(self.box.mails)
        while minutes > 0:
            self.clock.shift(min(minutes, 1) * MINUTE)
            await self.run()
            minutes -= 1
        return [read(envelope) for envelope in self.box.mails[before:]]

    async def in_english(self, *people: UUID) -> None:
        for person in people:
            await self.set(User, person, language="en")

    async def go(self, person: UUID) -> None:
        await self.execute(Online.__table__.delete().where(Online.user_id == person))

    async def choose(self, person: UUID, **values: Any) -> None:
        row = {"user_id": person, "kinds": {}, "hide_content": False, **values}
        if await self.preferences(person):
            table = NotificationPreferences
            await self.execute(update(table).where(table.user_id == person).values(**values))
        else:
            await self.execute(insert(NotificationPreferences).values(row))

    async def preferences(self, person: UUID) -> Any:
        async with self.database.snapshot() as reads:
            return (await reads.notification_preferences.of([person])).get(person)

    async def user(self, person: UUID) -> Any:
        async with self.database.snapshot() as reads:
            return (await reads._connection.execute(select(User.__table__).where(User.id == person))).one()

    async def see_notifications(self) -> None:
        """All have marked read what is stored for them."""
        await self.execute(update(Notification).values(read_at=now()))

    async def left(self) -> list[Any]:
        """What waits in the outbox to be mailed."""
        async with self.database.snapshot() as reads:
            rows = select(OutboxItem.__table__).where(OutboxItem.kind == DIGEST)
            return [*(await reads._connection.execute(rows)).all()]


def words(mail: Any) -> str:
    """What a mail says, as text."""
    return str(mail.get_body(("plain",)).get_content())


def subject(mail: Any) -> str:
    return str(mail["Subject"])
