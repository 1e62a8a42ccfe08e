"""What nobody can use any more is forgotten, and nothing else."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.ids import new_id
from src.db.models import EmailToken, OutboxItem, Session
from src.services.housekeeping import Housekeeping


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
        await tx.outbox.give_up(rows[0].id, "SMTPDataError 554", long_ago)
    await Housekeeping(db).sweep()
    assert await counts(db) == [1, 1, 1]
    async with db.snapshot() as reads:
        assert (await reads._connection.execute(select(Session.id))).scalar_one() == kept
