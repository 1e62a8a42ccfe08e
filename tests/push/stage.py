"""A whole service with people whose browsers take pushes, and what is due done at once."""

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from src.clock import now
from src.db.models import Delivery, OutboxItem
from src.db.spans import Span
from src.services.notices import PUSH, push_key, push_of_room
from src.services.presence import ALIVE_FOR
from tests.cast import PATIENCE, Cast, Person, Service, draft

from .service import Browser, PushService

Pair = tuple[Person, Person, str]
"""Two friends and their direct room."""


class Stage:
    def __init__(self, service: Service, cast: Cast, post: PushService) -> None:
        self.service, self.cast, self.post = service, cast, post

    async def browser(self, person: Person) -> Browser:
        """One more browser that takes pushes for this device of somebody's."""
        browser = self.post.subscribe((await person.get("/notifications/push/key"))["key"])
        await person.put("/notifications/push", browser.subscription(), expect=204)
        return browser

    async def friends(self, *names: str) -> list[Person]:
        """People, all friends of the first."""
        people = [await self.cast.join(name) for name in names]
        for other in people[1:]:
            await self.cast.befriend(people[0], other)
        await self.forget()
        return people

    async def group(self, owner: Person, *others: Person, name: str | None = "Hiking", forget: bool = True) -> str:
        body = {"kind": "group", "name": name, "member_ids": [each.id for each in others]}
        room = await owner.post("/rooms", body, expect=201)
        if forget:
            await self.forget()
        return str(room["id"])

    async def say(self, person: Person, room: str, text: str = "hello", **fields: Any) -> Any:
        return (await person.post(f"/rooms/{room}/messages", draft(text, **fields), expect=201))["message"]

    async def due(self, person: Person, room: str, lines: tuple[int, int] | None = None) -> None:
        """What the ladder does of a room with unread lines, 20 s after the first; `lines`: the pending ones."""
        user_id, room_id, at = UUID(person.id), UUID(room), now()
        async with self.service.parts.database.transaction() as tx:
            await tx.outbox.add_each(PUSH, [(push_key(user_id, room_id), push_of_room(user_id, room_id))], at, at)
            if lines:
                await tx.deliveries.record([Span(room_id, user_id, "push", *lines, "pending", None, at)])

    async def tell(self, person: Person, room: str, lines: tuple[int, int] | None = None) -> None:
        await self.due(person, room, lines)
        await self.work()

    async def work(self) -> None:
        """Have the service do the pushes that are due."""
        self.service.parts.outbox.wake()
        async with asyncio.timeout(PATIENCE):
            while await self._is_busy():
                await asyncio.sleep(0.01)

    async def waiting(self) -> dict[str, Any]:
        """What waits of pushes, by its key."""
        return {row.key: row for row in await self._rows(select(OutboxItem.__table__).where(OutboxItem.kind == PUSH))}

    async def spans(self, person: Person, room: str) -> list[tuple[int, int, str, str | None]]:
        """First and last line, status and reason of what was decided of pushing."""
        of = (Delivery.user_id == UUID(person.id), Delivery.room_id == UUID(room), Delivery.channel == "push")
        columns = (Delivery.first_seq, Delivery.last_seq, Delivery.status, Delivery.reason)
        return [tuple(row) for row in await self._rows(select(*columns).where(*of).order_by(Delivery.first_seq))]

    async def prefer(self, person: Person, **values: Any) -> None:
        """Write these columns of somebody's preferences."""
        async with self.service.parts.database.transaction() as tx:
            await tx.notification_preferences.locked(UUID(person.id))
            await tx.notification_preferences.change(UUID(person.id), values)

    async def until_online(self, person: Person, online: bool = True) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self._is_online(person) is not online:
                await asyncio.sleep(0.02)

    async def forget(self) -> None:
        """Whatever waits is of no interest."""
        async with self.service.parts.database.transaction() as tx:
            await tx._connection.execute(OutboxItem.__table__.delete().where(OutboxItem.kind == PUSH))

    async def _is_online(self, person: Person) -> bool:
        async with self.service.parts.database.snapshot() as reads:
            seen = await reads.presence.heartbeats([UUID(person.id)])
        return any(seen_at > now() - ALIVE_FOR for seen_at in seen.values())

    async def _is_busy(self) -> bool:
        open_work = (OutboxItem.kind == PUSH, OutboxItem.failed_at.is_(None))
        return bool(
            await self._rows(
                select(OutboxItem.id).where(*open_work, or_(OutboxItem.key.is_(None), OutboxItem.due_at <= now()))
            )
        )

    async def _rows(self, query: Any) -> Any:
        async with self.service.parts.database.snapshot() as reads:
            return (await reads._connection.execute(query)).all()
