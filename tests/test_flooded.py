"""Somebody with more unread than a statement can have parameters: whoever shares a group can bring that about."""

from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from src.db.models import Notification

from .cast import PASSWORD, Cast, Person, Service
from .notified import say

MANY = 33_000


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def room(cast: Cast, service: Service, database: str, anna: Person, boris: Person) -> str:
    """A room in which Anna has mentioned Boris all night."""
    if database == "sqlite":
        pytest.skip("it takes any number")
    await cast.befriend(anna, boris)
    room_id = await cast.direct_room(anna, boris)
    await say(anna, room_id, mentions=[boris.id])
    columns = "user_id, kind, actor_id, room_id, message_id, seq, created_at"
    again = f"SELECT gen_random_uuid(), {columns} FROM notifications, generate_series(1, {MANY}) WHERE kind = 'mention'"
    async with service.parts.database.transaction() as tx:
        await tx._connection.execute(text(f"INSERT INTO notifications (id, {columns}) {again}"))
    return room_id


async def still_unread(service: Service, person: Person) -> int:
    mine = (Notification.user_id == UUID(person.id), Notification.read_at.is_(None))
    async with service.parts.database.snapshot() as reads:
        return int(await reads._connection.scalar(select(func.count()).where(*mine)) or 0)


async def test_marks_all_read(service: Service, boris: Person, room: str) -> None:
    assert (await boris.post("/notifications/read", {"all": True}, expect=200)) == {"unread": 0}
    assert await still_unread(service, boris) == 0


async def test_reads_the_room(service: Service, boris: Person, room: str) -> None:
    await boris.post(f"/rooms/{room}/read", {"seq": 1}, expect=200)
    assert await still_unread(service, boris) <= 1  # that Anna has become a friend


async def test_writes_into_the_room_and_goes_on_hearing(
    service: Service, anna: Person, boris: Person, room: str
) -> None:
    ear = await boris.connect("/notifications")
    await say(boris, room)
    assert len((await ear.heard("notifications_read"))["ids"]) >= MANY
    last = await say(anna, room)
    assert (await ear.heard("notification_created"))["message_id"] == last["id"]
    assert await still_unread(service, boris) <= 1


async def test_deletes_the_account(service: Service, boris: Person, room: str) -> None:
    await boris.delete("/users/me", {"password": PASSWORD}, expect=204)
    async with service.parts.database.snapshot() as reads:
        theirs = select(func.count()).where(Notification.user_id == UUID(boris.id))
        assert await reads._connection.scalar(theirs) == 0
