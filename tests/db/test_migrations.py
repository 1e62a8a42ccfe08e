"""The migrations make exactly the tables of the models, on both databases, however often and wherever they run."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from src.clock import now
from src.config import Settings
from src.db import migrate
from src.db.database import Database
from src.db.models import Base, Message, Reaction, Room, User

from .. import servers

ROOT = Path(__file__).parents[2]
UPGRADE = "import sys; from src.db import migrate; migrate.upgrade(sys.argv[1])"


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL, as the service would have it, of a database without any table."""
    if database == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"
        return
    server: servers.Postgres = request.getfixturevalue("postgres_server")
    name = f"chatty_{uuid4().hex}"
    yield Settings(database_url=server.create(name), _env_file=None).database_url
    server.drop(name)


def tables_of(connection: Connection) -> dict[str, Any]:
    """All that the database itself says of its tables."""
    seen = inspect(connection)

    def told(rows: list[Any]) -> list[str]:
        return sorted(str(sorted((name, said(value)) for name, value in row.items())) for row in rows)

    def said(value: Any) -> str:
        """An index's conditions are objects of SQLAlchemy's in a dict."""
        return str({name: str(each) for name, each in value.items()} if isinstance(value, dict) else value)

    return {
        table: {
            "columns": told(seen.get_columns(table)),
            "key": str(seen.get_pk_constraint(table)),
            "foreign keys": told(seen.get_foreign_keys(table)),
            "unique": told(seen.get_unique_constraints(table)),
            "checks": told(seen.get_check_constraints(table)),
            "indexes": told(seen.get_indexes(table)),
        }
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


async def read(url: str, question: Any) -> Any:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        answer = await connection.run_sync(question)
    await engine.dispose()
    return answer


def differences(connection: Connection) -> list[Any]:
    """What the models say and the database does not, or the other way round."""
    sqlite = connection.dialect.name == "sqlite"

    def compared(item: Any, name: str | None, *_: Any) -> bool:
        """Of search, SQLite has FTS5's own tables, and PostgreSQL an index: the test below compares those."""
        return not (sqlite and str(name).startswith(("search_index", "ix_search_lines_words")))

    options = {"compare_type": True, "include_object": compared}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


async def test_the_migrations_make_what_the_models_say(settings: Settings) -> None:
    assert await read(settings.database_url, differences) == []


async def test_a_difference_would_be_seen(settings: Settings) -> None:
    def dropped(connection: Connection) -> list[Any]:
        connection.execute(text("DROP INDEX ix_users_nickname_key_id"))
        return differences(connection)

    assert len(await read(settings.database_url, dropped)) == 1


async def test_migrated_and_made_from_the_models_are_alike_to_the_last_check(
    settings: Settings, empty_url: str
) -> None:
    await read(empty_url, Base.metadata.create_all)
    migrated, made = await read(settings.database_url, tables_of), await read(empty_url, tables_of)
    assert migrated == made
    assert sum(len(table["checks"]) for table in made.values()) >= 10


async def test_a_second_upgrade_changes_nothing(empty_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_url)
    first = await read(empty_url, lambda connection: connection.scalar(text("SELECT epoch FROM installation")))
    before = await read(empty_url, tables_of)
    await asyncio.to_thread(migrate.upgrade, empty_url)
    again = await read(empty_url, lambda connection: connection.scalar(text("SELECT epoch FROM installation")))
    assert (again, await read(empty_url, tables_of)) == (first, before)
    assert first


async def test_processes_that_upgrade_at_once_all_succeed(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", UPGRADE, empty_url, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [(await process.communicate())[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    database = Database(empty_url, lambda events: None)
    assert await database.revision() == migrate.newest()
    await database.close()


async def test_a_database_that_was_never_migrated_says_so(empty_url: str) -> None:
    database = Database(empty_url, lambda events: None)
    assert await database.revision() is None
    await database.close()


async def test_an_upgrade_keeps_what_people_have_written(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the release before sign-in elsewhere: since then SQLite rebuilds `messages`, on which others hang."""
    newest = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: newest(config, "0003"))
    await asyncio.to_thread(migrate.upgrade, empty_url)
    monkeypatch.undo()
    await read(empty_url, write_something)
    before = await read(empty_url, rows)
    await asyncio.to_thread(migrate.upgrade, empty_url)
    assert await read(empty_url, rows) == before
    assert {table: len(found) for table, found in before.items()} == {"users": 1, "messages": 3, "reactions": 3}
    if empty_url.startswith("sqlite"):
        assert await read(empty_url, lambda it: it.execute(text("PRAGMA foreign_key_check")).all()) == []


TABLES, LATER = (User, Message, Reaction), {"email_bounced_at"}


def write_something(connection: Connection) -> None:
    moment, anna, room = now(), uuid4(), uuid4()
    person = {"nickname": "Anna", "nickname_key": "anna", "nickname_initials": "", "intro": "", "language": "ko"}
    connection.execute(insert(User).values(id=anna, theme="system", created_at=moment, **person))
    counters = {"last_seq": 3, "last_ordinal": 3, "rev": 3}
    connection.execute(insert(Room).values(id=room, kind="group", created_at=moment, **counters))
    for seq in (1, 2, 3):
        line = {"id": uuid4(), "seq": seq, "rev": seq, "ordinal": seq, "client_id": uuid4(), "text": f"line {seq}"}
        connection.execute(insert(Message).values(room_id=room, sender_id=anna, kind="text", created_at=moment, **line))
        liked = {"message_id": line["id"], "emoji": "👍", "user_id": anna}
        connection.execute(insert(Reaction).values(created_at=moment, **liked))


def rows(connection: Connection) -> dict[str, list[str]]:
    """What the columns hold that there were then."""
    columns = {each: [column for column in each.__table__.columns if column.name not in LATER] for each in TABLES}
    return {
        each.__tablename__: sorted(map(str, connection.execute(select(*of_it)).all()))
        for each, of_it in columns.items()
    }
