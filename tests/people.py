"""A stage without a server: the services of people on a database, and what they announce."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from src.clock import now
from src.db.database import Database
from src.db.ids import new_id
from src.events import Event, NotificationsSettled, NotificationStored
from src.services.blocks import Blocks
from src.services.friends import Friends
from src.services.notices import Notices, Rungs
from src.services.people import People

from .cast import Person, Socket

NOTICES = Notices(Rungs(timedelta(seconds=20), timedelta(minutes=15)))


class House:
    """People, friends and blocks on the database at `url`; `heard` is all that was announced, in order."""

    def __init__(self, url: str) -> None:
        self.heard: list[Event] = []
        self.database = Database(url, self._hear)
        self.people = People(self.database)
        self.friends = Friends(self.database, NOTICES)
        self.blocks = Blocks(self.database)

    def _hear(self, events: Sequence[Event]) -> None:
        self.heard.extend(events)

    def heard_by(self, user_id: UUID) -> list[Event]:
        """What was announced to this person, but for hints that no device is shown."""
        shown = (event for event in self.heard if not isinstance(event, NotificationStored | NotificationsSettled))
        return [event for event in shown if user_id in event.audience]

    async def join(self, nickname: str) -> UUID:
        """Add a person; who they are."""
        user_id = new_id()
        async with self.database.transaction() as tx:
            await tx.users.add(
                user_id,
                email=None,
                email_key=None,
                password_hash=None,
                nickname=nickname,
                language="ko",
                moment=now(),
            )
        return user_id

    async def befriend(self, one_id: UUID, other_id: UUID) -> None:
        await self.friends.request(one_id, other_id)
        await self.friends.accept(other_id, one_id)


async def deaf_until(ear: Socket, person: Person) -> None:
    """Assert that nothing reached this person's socket to `/notifications`, up to a change of their own made now."""
    await person.patch("/users/me", {"intro": "and then I said something myself"}, expect=200)
    await ear.heard("user_changed")
    assert [payload["id"] for name, payload in ear.events if name == "user_changed"] == [person.id]
    assert len(ear.events) == 1, ear.events
