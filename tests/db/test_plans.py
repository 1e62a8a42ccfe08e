"""What every device asks is answered by an index, on either database."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from src.clock import now
from src.db import postgres_sends, sqlite_sends
from src.db.database import Transaction
from src.db.ids import new_id
from src.db.models import Member, Room, User
from src.db.sends import Place

from ..people import House

EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN (COSTS OFF) "}
MEMBERS = 400


@pytest.fixture
async def mine(house: House) -> tuple[Any, Any]:
    """Somebody and a room of theirs, one of some with many members, of whom hardly one has read of late."""
    at, me, rooms = now(), new_id(), [new_id() for _ in range(5)]
    people = [me, *(new_id() for _ in range(MEMBERS))]
    plain = {"nickname": "x", "nickname_key": "x", "nickname_initials": "x", "intro": "", "language": "ko"}
    since = {"created_at": at, "active_at": at, "changed_at": at}
    room = {"kind": "group", "last_seq": 0, "last_ordinal": 0, "rev": 0, **since}
    member = {"role": "member", "first_seq": 1, "read_seq": 0, "read_ordinal": 0, "joined_at": at, "listed_at": at}
    async with house.database.transaction() as tx:
        users = [{**plain, "id": each, "theme": "system", "created_at": at} for each in people]
        await tx._connection.execute(insert(User), users)
        await tx._connection.execute(insert(Room), [{**room, "id": each} for each in rooms])
        for each in rooms:
            joined = {**member, "room_id": each, "touched_at": at - timedelta(days=1)}
            await tx._connection.execute(insert(Member), [{**joined, "user_id": person} for person in people])
        await tx._connection.execute(text("ANALYZE"))
    return me, rooms[0]


async def plans(tx: Transaction, database: str, asking: Any) -> str:
    """How the statements of `asking` are answered."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    connection = tx._connection.sync_connection
    event.listen(connection, "before_cursor_execute", note)
    await asking
    event.remove(connection, "before_cursor_execute", note)
    told = [await tx._connection.exec_driver_sql(EXPLAIN[database] + statement, given) for statement, given in asked]
    return "\n".join(str(row[-1]) for rows in told for row in rows)


async def test_what_moved_without_a_rev_is_found_by_its_time(house: House, database: str, mine: Any) -> None:
    async with house.database.transaction() as tx:
        plan = await plans(tx, database, tx.cursors.touched_rooms_of(mine[0], now() - timedelta(minutes=1)))
    assert "ix_members_room_id_touched_at" in plan, plan


async def test_what_is_unread_is_found_by_person(house: House, database: str, mine: Any) -> None:
    async with house.database.transaction() as tx:
        plan = await plans(tx, database, tx.cursors.unread_of([mine, (mine[0], new_id()), (new_id(), mine[1])]))
        assert await tx.cursors.unread_of([mine, (mine[0], mine[0])]) == {mine: (0, 0), (mine[0], mine[0]): (0, 0)}
    assert plan.count("ix_members_user_id") == 2, plan
    assert not re.search("SCAN members|Scan on members$", plan.replace("Bitmap Heap Scan", "")), plan


async def test_what_somebody_sent_before_is_found_by_all_its_names_in_an_empty_table_too(
    house: House, database: str
) -> None:
    given: Any
    async with house.database.transaction() as tx:
        if database == "postgres":
            for name, value in postgres_sends._SETTINGS.items():
                await tx._connection.exec_driver_sql(f"SET LOCAL {name} = '{value}'")
            asked, given = postgres_sends._STANDINGS, ([], [], [])
            index = "using uq_messages_sender_id_client_id_room_id"
        else:
            asked, given = sqlite_sends._STANDING, dict.fromkeys(Place._fields, "")
            index = "(sender_id=? AND client_id=? AND room_id=?)"
        rows = await tx._connection.exec_driver_sql(EXPLAIN[database] + asked, given)
        plan = "\n".join(str(row[-1]) for row in rows)
    assert index in plan, plan
