"""What nobody can use any more is forgotten, and nothing else."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.ids import new_id
from src.db.models import EmailToken, Message, OutboxItem, Reaction, ReadMark, Room, Session
from src.db.repositories import abandoned
from src.db.repositories.outbox import GivenUp
from src.db.search_models import SearchLine
from src.db.search_rows import Wanted
from src.schemas.drafts import MessageDraft
from src.schemas.rooms import GroupDraft
from src.services import housekeeping
from src.services.cursors import Cursors
from src.services.groups import Groups
from src.services.housekeeping import Housekeeping
from src.services.leaving import Leaving
from src.services.reactions import Reactions
from src.services.sending import Sending

from ..people import NOTICES, House


@pytest.fixture
async def db(settings: Settings) -> Any:
    made = Database(settings.database_url, lambda events: None)
    yield made
    await made.close()


async def counts(db: Database) -> list[int]:
    async with db.snapshot() as reads:
        asked = [select(func.count()).select_from(table) for table in (Session, EmailToken, OutboxItem)]
        return [(await reads._connection.execute(question)).scalar_one() for question in asked]


async def test_sessions_tokens_and_failed_work_go_when_they_are_over(db: Database) -> None:
    moment, long_ago = now(), now() - timedelta(days=31)
    user_id, kept, lapsed, ended = (new_id() for _ in range(4))
    async with db.transaction() as tx:
        await tx.users.add(
            user_id, email=None, email_key=None, password_hash=None, nickname="Anna", language="ko", moment=moment
        )
        for session_id, expires_at in ((kept, moment), (lapsed, long_ago), (ended, moment)):
            await tx.sessions.add(
                session_id, user_id, client="", address="", network="", moment=long_ago, expires_at=expires_at
            )
        await tx._connection.execute(update(Session).where(Session.id == ended).values(revoked_at=long_ago))
        await tx.email_tokens.replace("a" * 64, user_id, "verify", "", long_ago, moment)
        await tx.email_tokens.replace("b" * 64, user_id, "reset", "", moment, moment + timedelta(hours=1))
        await tx.outbox.add("mail", {}, long_ago)
        await tx.outbox.add("mail", {}, long_ago)
        rows = (await tx._connection.execute(select(OutboxItem.id))).all()
        await tx.outbox.give_up([GivenUp(rows[0].id, "SMTPDataError 554")], long_ago)
    await Housekeeping(db, timedelta(days=90)).sweep()
    assert await counts(db) == [1, 1, 1]
    async with db.snapshot() as reads:
        assert (await reads._connection.execute(select(Session.id))).scalar_one() == kept


async def test_sign_ins_under_way_and_used_tokens_go_when_they_have_expired(db: Database) -> None:
    moment, soon = now(), now() + timedelta(minutes=1)
    async with db.transaction() as tx:
        for state, expires_at in (("a" * 64, moment), ("b" * 64, soon)):
            await tx.sign_in_attempts.add(
                state, "", "kakao", nonce="", verifier="", redirect_to="/", session_id=None, expires_at=expires_at
            )
            assert await tx.sign_in_attempts.redeem(state, expires_at)
    await Housekeeping(db, timedelta(days=90)).sweep()
    async with db.transaction() as tx:
        assert await tx.sign_in_attempts.find("a" * 64, "kakao") is None
        assert await tx.sign_in_attempts.find("b" * 64, "kakao")
        assert await tx.sign_in_attempts.redeem("a" * 64, soon)
        assert not await tx.sign_in_attempts.redeem("b" * 64, soon)


OF_ROOMS = (Room, Message, SearchLine, Reaction, ReadMark)


async def rows_of(house: House, room_id: UUID) -> list[int]:
    """How many rows of each kind a room has; marks and reactions of all rooms."""
    kept = []
    async with house.database.snapshot() as reads:
        for table in OF_ROOMS:
            rows = select(func.count()).select_from(table)
            if table is Room:
                rows = rows.where(Room.id == room_id)
            elif hasattr(table, "room_id"):
                rows = rows.where(table.room_id == room_id)
            kept.append((await reads._connection.execute(rows)).scalar_one())
    return kept


async def test_a_room_without_members_goes_in_portions_and_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(housekeeping, "REST_SECONDS", 0)
    anna, boris = [await house.join(name) for name in ("Anna", "Boris")]
    await house.befriend(anna, boris)
    sending, leaving = Sending(house.database, timedelta(seconds=20)), Leaving(house.database)
    draft = GroupDraft(kind="group", name="Hiking", member_ids=[boris])
    kept, gone = [(await Groups(house.database, NOTICES, 10).make(anna, draft)).id for _ in range(2)]
    for room_id in (kept, gone):
        for number in range(5):
            line = (await sending.send(anna, room_id, MessageDraft(client_id=uuid4(), text=f"점심 {number}"))).message
            await Cursors(house.database).mark_read(boris, room_id, line.seq)
            await Reactions(house.database, NOTICES).react(boris, line.id, "👍", on=True)
    for person in (anna, boris):
        await leaving.leave(person, gone)
    assert await rows_of(house, gone) == [1, 7, 5, 10, 5]  # nothing of it is read by who leaves, nor deleted
    await Housekeeping(house.database, timedelta(days=90)).sweep()
    assert await rows_of(house, gone) == [0, 0, 0, 5, 0]
    assert await rows_of(house, kept) == [1, 6, 5, 5, 5]
    async with house.database.snapshot() as reads:
        found = await reads.search.found_by(anna, Wanted("점심"), None)
        assert len(found) == 5
        if house.database.is_sqlite:  # what it indexed of the lines is gone too, and not only their numbers
            of_all = "SELECT count(*) FROM search_index WHERE search_index MATCH '\"점심\"'"
            assert (await reads._connection.exec_driver_sql(of_all)).scalar_one() == 5
    await sending.close()


async def test_rooms_without_members_are_found_by_an_index(house: House, database: str) -> None:
    async with house.database.transaction() as tx:
        asked = str(abandoned._NEXT.compile(tx._connection.sync_connection, compile_kwargs={"literal_binds": True}))
        if database == "postgres":
            await tx._connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if database == "sqlite" else "EXPLAIN "
        plan = str((await tx._connection.exec_driver_sql(explain + asked)).all())
    assert "ix_rooms_abandoned_at" in plan, plan
