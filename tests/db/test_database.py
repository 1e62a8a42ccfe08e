"""Transactions: all or nothing, published once committed and never otherwise; failures told for what they are."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from src.clock import now
from src.config import Settings
from src.db.database import Database
from src.db.models import Node, Online
from src.errors import Conflict, Unavailable
from src.events import Event, SessionsEnded

from ..cast import Cast


class Stage:
    """A database, and what it has published."""

    def __init__(self, url: str) -> None:
        self.published: list[Event] = []
        self.database = Database(url, self._hear)

    def _hear(self, events: Sequence[Event]) -> None:
        self.published += events

    async def nodes(self) -> int:
        async with self.database.snapshot() as reads:
            return len((await reads._connection.execute(text("SELECT id FROM nodes"))).all())


@pytest.fixture
async def stage(settings: Settings) -> AsyncIterator[Stage]:
    made = Stage(settings.database_url)
    yield made
    await made.database.close()


def news() -> SessionsEnded:
    return SessionsEnded(frozenset({uuid4()}), frozenset({uuid4()}))


async def test_what_is_committed_is_published(stage: Stage) -> None:
    async with stage.database.transaction() as tx:
        await tx.presence.add_node(uuid4(), now())
        tx.announce(event := news())
        assert stage.published == []
    assert stage.published == [event]
    assert await stage.nodes() == 1


async def test_what_is_rolled_back_is_neither_stored_nor_published(stage: Stage) -> None:
    with pytest.raises(ZeroDivisionError):
        async with stage.database.transaction() as tx:
            await tx.presence.add_node(uuid4(), now())
            tx.announce(news())
            raise ZeroDivisionError
    assert stage.published == []
    assert await stage.nodes() == 0


async def test_a_commit_is_seen_through_and_published_although_its_caller_is_cancelled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing, go_on = asyncio.Event(), asyncio.Event()
    commit = Database._commit

    async def slow(self: Database, *args: object) -> None:
        committing.set()
        await go_on.wait()
        await commit(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "_commit", slow)

    async def work() -> None:
        async with stage.database.transaction() as tx:
            await tx.presence.add_node(uuid4(), now())
            tx.announce(news())

    task = asyncio.create_task(work())
    await committing.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(stage.published), await stage.nodes()) == (1, 1)


async def test_what_a_unique_constraint_refuses_is_a_conflict(stage: Stage) -> None:
    node_id = uuid4()
    with pytest.raises(Conflict):
        async with stage.database.transaction() as tx:
            await tx.presence.add_node(node_id, now())
            await tx.presence.add_node(node_id, now())


async def test_any_other_broken_constraint_is_a_fault_of_ours(stage: Stage) -> None:
    with pytest.raises(IntegrityError):
        async with stage.database.transaction() as tx:
            await tx._connection.execute(insert(Online), {"user_id": uuid4(), "node_id": uuid4()})


async def test_a_faulty_statement_is_no_outage(stage: Stage) -> None:
    with pytest.raises(DBAPIError):
        async with stage.database.snapshot() as reads:
            await reads._connection.execute(text("SELECT no_such_column FROM nodes"))


async def test_an_outage_is_told_as_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = tmp_path_factory.mktemp("none") / "missing" / "chatty.db"
    for url in (f"sqlite+aiosqlite:///{nowhere}", "postgresql+asyncpg://nobody@127.0.0.1:1/none"):
        database = Database(url, lambda events: None)
        for reading in (database.snapshot(), database.single_read()):
            with pytest.raises(Unavailable):
                async with reading as reads:
                    await reads.users.me_row(uuid4())
        await database.close()


async def test_a_snapshot_is_of_one_moment(stage: Stage) -> None:
    async with stage.database.snapshot() as reads:
        before = await reads.presence.heartbeats([uuid4()])
        async with stage.database.transaction() as tx:
            await tx._connection.execute(insert(Node), {"id": uuid4(), "seen_at": now()})
        rows = (await reads._connection.execute(text("SELECT id FROM nodes"))).all()
    assert (before, rows) == ({}, [])
    assert await stage.nodes() == 1


async def test_single_reads_use_statements_that_were_built_once(cast: Cast) -> None:
    """One that is built at each call is compiled at each call, and would fill memory."""
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    await cast.befriend(anna, boris)
    parts = cast.service.parts
    prepared = parts.database._direct._connection._prepared  # type: ignore[attr-defined]

    async def everything() -> int:
        for path in ("/users/me", f"/users/{boris.id}", "/friends", "/auth/sessions", "/users", "/blocks"):
            await anna.get(path)
        await cast.sign_in("anna@example.com")
        await anna.post("/auth/email/resend", expect=202)
        await anna.raw("POST", "/auth/register", {"email": anna.email, "password": "a cold day", "nickname": "Anna"})
        await anna.put("/auth/password", {"current_password": anna.password, "new_password": anna.password})
        await parts.outbox.work()
        await parts.sessions._learn(now())
        return len(prepared)

    once = await everything()
    assert [await everything() for _ in range(2)] == [once, once]


async def test_a_single_read_gives_what_a_snapshot_gives(cast: Cast) -> None:
    anna = UUID((await cast.join("Anna")).id)
    database = cast.service.parts.database
    async with database.single_read() as quick, database.snapshot() as usual:
        assert (await quick.users.me_row(anna))._asdict() == (await usual.users.me_row(anna))._asdict()  # type: ignore[union-attr]
