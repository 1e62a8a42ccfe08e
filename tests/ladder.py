"""A stage for the ladder: rooms with people on a database, the worker called by hand, and a clock that is moved."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import time_machine
from sqlalchemy import insert, select, update

from src.clock import now
from src.db.ids import new_id
from src.db.models import (
    Delivery,
    Message,
    Node,
    NotificationPreferences,
    Online,
    OutboxItem,
    PushSubscription,
    Room,
    Session,
    User,
)
from src.errors import Conflict
from src.schemas.drafts import MessageDraft
from src.schemas.rooms import GroupDraft, MembershipPatch
from src.services.cursors import Cursors
from src.services.edits import Edits
from src.services.groups import Groups
from src.services.ladder import Ladder
from src.services.leaving import Leaving
from src.services.notices import Rungs
from src.services.rooms import Rooms
from src.services.sending import Sending

from .people import NOTICES, House

PUSH_AFTER, EMAIL_AFTER = timedelta(seconds=20), timedelta(minutes=15)
RUNGS = Rungs(PUSH_AFTER, EMAIL_AFTER)


class Street:
    """A house whose people write to each other. What became of lines is read from the tables."""

    def __init__(self, house: House) -> None:
        self.house, self.database = house, house.database
        self.sending = Sending(house.database, PUSH_AFTER)
        self.groups = Groups(house.database, NOTICES, 1000)
        self.rooms = Rooms(house.database)
        self.cursors = Cursors(house.database)
        self.edits = Edits(house.database, 24, lambda: None)
        self.leaving = Leaving(house.database)
        self.ladder = Ladder(house.database, RUNGS)

    async def join(self, *names: str, email: bool = True, subscribed: bool = True) -> list[UUID]:
        """People with a verified address and a browser that takes pushes."""
        people = [await self.house.join(name) for name in names]
        for person in people:
            if email:
                await self.set(User, person, email=f"{person}@example.com", email_verified_at=now())
            if subscribed:
                await self.subscribe(person)
        return people

    async def group(self, owner: UUID, *others: UUID) -> UUID:
        for other in others:
            with contextlib.suppress(Conflict):
                await self.house.befriend(owner, other)
        draft = GroupDraft(kind="group", name="Hiking", member_ids=[*others])
        room_id = (await self.groups.make(owner, draft)).id
        await self.clear_outbox()
        return room_id

    async def say(self, person: UUID, room_id: UUID, **fields: Any) -> Any:
        draft = MessageDraft(client_id=uuid4(), text="hello", **fields)
        return (await self.sending.send(person, room_id, draft)).message

    async def read(self, person: UUID, room_id: UUID, seq: int = 2**40) -> None:
        await self.cursors.mark_read(person, room_id, seq)

    async def mute(self, person: UUID, room_id: UUID) -> None:
        until = now() + timedelta(days=1)
        await self.rooms.change_mine(person, room_id, MembershipPatch(muted_until=until.isoformat()))

    async def prefer(self, person: UUID, *, quiet: tuple[str, str] | None = None, **kinds: Any) -> None:
        begin, end = quiet or (None, None)
        row = {"user_id": person, "kinds": kinds, "hide_content": False, "time_zone": "UTC" if quiet else None}
        await self.execute(insert(NotificationPreferences).values(quiet_from=begin, quiet_to=end, **row))

    async def subscribe(self, person: UUID, **of_session: Any) -> None:
        session, at = new_id(), now()
        row = {
            "id": session, "user_id": person, "generation": 0, "rotated_at": at, "client": "", "address": "",
            "network": "", "created_at": at, "last_seen_at": at, "expires_at": at + timedelta(days=30),
        }  # fmt: skip
        await self.execute(insert(Session).values(row | of_session))
        browser = {
            "endpoint": f"https://push.example/{session}",
            "endpoint_hash": session.hex,
            "p256dh": "",
            "auth": "",
        }
        row = {"id": new_id(), "user_id": person, "session_id": session, "created_at": at, **browser}
        await self.execute(insert(PushSubscription).values(row))

    async def come(self, person: UUID) -> None:
        """Be online, on a node that has just been seen."""
        node = new_id()
        await self.execute(insert(Node).values(id=node, seen_at=now()))
        await self.execute(insert(Online).values(user_id=person, node_id=node))

    async def set(self, table: Any, one: UUID, **values: Any) -> None:
        await self.execute(update(table).where(table.id == one).values(**values))

    async def execute(self, statement: Any) -> None:
        async with self.database.transaction() as tx:
            await tx._connection.execute(statement)

    async def clear_outbox(self) -> None:
        await self.execute(OutboxItem.__table__.delete())

    async def climb(self) -> None:
        """Let the ladder do what is due."""
        while await self.ladder.work():
            pass

    async def room(self, room_id: UUID) -> Any:
        async with self.database.snapshot() as reads:
            return (await reads._connection.execute(select(Room.__table__).where(Room.id == room_id))).one()

    async def spans(self, room_id: UUID, person: UUID, channel: str) -> list[tuple[int, int, str, str | None]]:
        """First and last line, status and reason; ascending."""
        of = (Delivery.room_id == room_id, Delivery.user_id == person, Delivery.channel == channel)
        columns = (Delivery.first_seq, Delivery.last_seq, Delivery.status, Delivery.reason)
        async with self.database.snapshot() as reads:
            rows = await reads._connection.execute(select(*columns).where(*of).order_by(Delivery.first_seq))
            return [tuple(row) for row in rows.all()]

    async def work(self, kind: str) -> dict[str, datetime]:
        """What waits in the outbox: when it is due, by its key."""
        async with self.database.snapshot() as reads:
            rows = await reads._connection.execute(select(OutboxItem.__table__).where(OutboxItem.kind == kind))
            return {row.key: row.due_at for row in rows.all()}

    async def lines(self, room_id: UUID) -> list[Any]:
        async with self.database.snapshot() as reads:
            rows = select(Message.__table__).where(Message.room_id == room_id).order_by(Message.seq)
            return [*(await reads._connection.execute(rows)).all()]


@contextlib.contextmanager
def later(by: timedelta = PUSH_AFTER + timedelta(seconds=1)) -> Iterator[None]:
    """So much later, for the whole process."""
    with time_machine.travel(datetime.now(UTC) + by):
        yield
