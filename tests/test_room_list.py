"""My rooms: the newest activity first, in pages, found by name, alias and member; quick however many there are."""

import random
import re
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert, text

from src.clock import now
from src.db import names
from src.db.ids import new_id
from src.db.models import Member, Message, Room
from src.db.snapshots import SnapshotReads
from src.schemas.rooms import RoomsQuery
from src.services.rooms import Rooms

from .cast import Cast, Person
from .people import House
from .test_groups import make, say


async def listed(person: Person, **params: Any) -> list[str]:
    """The names by which somebody sees the rooms in their list."""
    return [room["display_name"] for room in (await person.get("/rooms", params=params))["items"]]


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


async def friend(cast: Cast, anna: Person, name: str) -> Person:
    joined = await cast.join(name)
    await cast.befriend(anna, joined)
    return joined


class TestOrder:
    async def test_the_newest_activity_comes_first(self, cast: Cast, anna: Person) -> None:
        boris, clara = await friend(cast, anna, "Boris"), await friend(cast, anna, "Clara")
        rooms = {each.id: {"id": await cast.direct_room(anna, each)} for each in (boris, clara)}
        await make(anna, name="Hiking")
        assert await listed(anna) == ["Hiking", "Clara", "Boris"]
        await say(boris, rooms[boris.id], "hello")
        assert await listed(anna) == ["Boris", "Hiking", "Clara"]
        await anna.patch(f"/rooms/{rooms[clara.id]['id']}/me", {"pinned": True}, expect=200)
        assert await listed(anna) == ["Boris", "Hiking", "Clara"]

    async def test_each_shows_its_last_message_and_what_is_unread(self, cast: Cast, anna: Person) -> None:
        boris = await friend(cast, anna, "Boris")
        room = await make(anna, boris)
        await say(boris, room, "first")
        last = await say(boris, room, "last")
        (mine,) = (await anna.get("/rooms"))["items"]
        assert (mine["last_message"], mine["me"]["unread_count"]) == (last, 2)
        assert mine == await anna.get(f"/rooms/{room['id']}")

    async def test_pages_join_to_the_whole_list(self, cast: Cast, anna: Person) -> None:
        for number in range(7):
            await make(anna, name=f"Group {number}")
        whole, paged, cursor = await listed(anna), [], None
        for _ in range(9):
            page = await anna.get("/rooms", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            paged += [room["name"] for room in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert paged == whole == [f"Group {number}" for number in range(6, -1, -1)]

    @pytest.mark.parametrize("cursor", ["x", "W10", "WzEsMl0"])
    async def test_a_cursor_that_was_not_given_out_is_invalid(self, anna: Person, cursor: str) -> None:
        await anna.get("/rooms", params={"cursor": cursor}, expect=422)

    async def test_nobody_elses_rooms_are_listed_or_found(self, cast: Cast, anna: Person) -> None:
        boris, mallory = await friend(cast, anna, "Boris"), await cast.join("Mallory")
        await make(anna, boris, name="Secret")
        for params in ({}, {"q": "Secret"}, {"q": "Anna"}):
            assert await listed(mallory, **params) == []

    async def test_a_room_that_was_opened_to_write_is_not_yet_in_the_others_list(
        self, cast: Cast, anna: Person
    ) -> None:
        boris = await friend(cast, anna, "Boris")
        await cast.direct_room(anna, boris)
        assert (await listed(anna), await listed(boris), await listed(boris, q="Anna")) == (["Boris"], [], [])


class TestSearch:
    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("hik", {"Hiking"}),
            ("KING", {"Hiking"}),
            ("홍길", {"홍길동", "등산 모임"}),
            ("ㅎㄱㄷ", {"홍길동", "등산 모임"}),
            ("홍ㄱ", {"홍길동", "등산 모임"}),
            ("ㄷㅅ", {"등산 모임"}),
            ("등ㅅ", {"등산 모임"}),
            ("boris", {"Boris", "Hiking"}),
            ("여름", {"여름 휴가"}),
            ("ㅇㄹㅎ", set()),
            ("ㅇㄹ ㅎ", {"여름 휴가"}),
            ("100%", {"100%_sure/\\"}),
            ("%", {"100%_sure/\\"}),
            ("_", {"100%_sure/\\"}),
            ("/\\", {"100%_sure/\\"}),
            ("anna", set()),
            ("nobody", set()),
            ("Summer", set()),
            ("\u1112\u1169\u11bc", {"홍길동", "등산 모임"}),
        ],
    )
    async def test_a_room_is_found_by_name_alias_or_member(
        self, cast: Cast, anna: Person, q: str, expected: set[str]
    ) -> None:
        boris, gildong = await friend(cast, anna, "Boris"), await friend(cast, anna, "홍길동")
        await cast.direct_room(anna, boris)
        await cast.direct_room(anna, gildong)
        await make(anna, boris, name="Hiking")
        await make(anna, gildong, name="등산 모임")
        await make(anna, name="100%_sure/\\")
        renamed = await make(anna, name="Summer")
        await anna.patch(f"/rooms/{renamed['id']}", {"name": "Winter"}, expect=200)
        await anna.patch(f"/rooms/{renamed['id']}/me", {"alias": "여름 휴가"}, expect=200)
        assert set(await listed(anna, q=q)) == expected

    async def test_who_has_left_is_no_longer_what_a_room_is_found_by(self, cast: Cast, anna: Person) -> None:
        boris = await friend(cast, anna, "Boris")
        room = await make(anna, boris)
        assert await listed(anna, q="boris") == ["Hiking"]
        await boris.post(f"/rooms/{room['id']}/leave", expect=204)
        assert await listed(anna, q="boris") == []

    async def test_what_is_found_comes_in_pages_too(self, anna: Person) -> None:
        for number in range(5):
            await make(anna, name=f"Group {number}")
            await make(anna, name=f"Other {number}")
        first = await anna.get("/rooms", params={"q": "group", "limit": 3})
        rest = await anna.get("/rooms", params={"q": "group", "limit": 3, "cursor": first["next_cursor"]})
        found = [room["name"] for room in first["items"] + rest["items"]]
        assert (found, rest["next_cursor"]) == ([f"Group {number}" for number in range(4, -1, -1)], None)


class TestManyMembers:
    async def test_a_room_shows_its_first_hundred_members_and_how_many_there_are(self, house: House) -> None:
        anna = await house.join("Anna")
        crowd = [await house.join(f"Person {number}") for number in range(120)]
        at = now()
        async with house.database.transaction() as tx:
            for room_id, some in ((new_id(), crowd), (new_id(), crowd[:3])):
                await tx.rooms.add_group(room_id, f"{len(some)}", at)
                row = {"first_seq": 1, "first_rev": 0, "read_seq": 0, "read_ordinal": 0, "pinned": False}
                roles = dict.fromkeys([anna, *some], "member")
                await tx.members.add(room_id, roles, listed_at=at, joined_at=at, **row)
        rooms = (await Rooms(house.database).find(anna, RoomsQuery())).items
        assert {room.name: (room.member_count, len(room.members)) for room in rooms} == {"120": (121, 100), "3": (4, 4)}
        large = next(room for room in rooms if room.name == "120")
        assert [member.user.id for member in large.members] == sorted([anna, *crowd])[:100]


class TestStatements:
    """However many rooms a page has, and however many messages they have, so many statements read so many rows."""

    async def test_a_page_takes_the_same_statements_for_one_room_as_for_fifty(self, house: House) -> None:
        few, many = await house.join("Few"), await house.join("Many")
        await crowd(house, few, rooms=1)
        await crowd(house, many, rooms=50)
        asked = [len(await statements(house, viewer)) for viewer in (few, many)]
        assert asked[0] == asked[1] <= 8, asked

    async def test_no_statement_reads_a_table_from_end_to_end(self, house: House, database: str) -> None:
        viewer = await house.join("viewer")
        await crowd(house, viewer, rooms=40)
        async with house.database.transaction() as tx:
            if database == "postgres":
                await tx._connection.execute(text("ANALYZE"))
        for q in (None, "길동", "ㄱㄷ", "홍ㄱ"):
            for statement, parameters in await statements(house, viewer, q):
                plan = await explained(house, database, statement, parameters)
                assert not re.search(r"SCAN (rooms|members|messages|users|reactions)", plan), (statement, plan)
                assert "Seq Scan" not in plan, (statement, plan)


async def crowd(house: House, viewer: UUID, rooms: int) -> None:
    """So many direct rooms and groups of somebody, with three lines each."""
    chance, at = random.Random(7), now()
    for number in range(rooms):
        other = await house.join("".join(chr(chance.randrange(0xAC00, 0xD7A4)) for _ in range(3)))
        name = f"Group {number}"
        room = {
            "id": new_id(), "kind": "group", "name": name, "name_key": names.keys(name).key,
            "name_initials": names.keys(name).initials, "last_seq": 3, "last_ordinal": 3, "rev": 3, "roster": 1,
            "active_at": at, "changed_at": at, "created_at": at,
        }  # fmt: skip
        member = {
            "room_id": room["id"], "role": "member", "first_seq": 1, "first_rev": 0, "read_seq": 0, "read_ordinal": 0,
            "pinned": False, "listed_at": at, "joined_at": at,
        }  # fmt: skip
        line = {"room_id": room["id"], "kind": "text", "sender_id": other, "text": "x", "created_at": at}
        numbers = [{"id": new_id(), "seq": n, "rev": n, "ordinal": n, "client_id": new_id()} for n in (1, 2, 3)]
        async with house.database.transaction() as tx:
            await tx._connection.execute(insert(Room), room)
            await tx._connection.execute(insert(Member), [member | {"user_id": each} for each in (viewer, other)])
            await tx._connection.execute(insert(Message), [line | each for each in numbers])


async def statements(house: House, viewer: UUID, q: str | None = None) -> list[tuple[str, Any]]:
    """What a page of the list asks the database."""
    asked: list[tuple[str, Any]] = []
    note = partial(_note, asked)
    engine = house.database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patch:  # past SQLAlchemy nothing would be noted
        patch.setattr(SnapshotReads, "execute", lambda self, *what: self._connection.execute(*what))
        await Rooms(house.database).find(viewer, RoomsQuery(q=q))
    event.remove(engine, "before_cursor_execute", note)
    return [(statement, parameters) for statement, parameters in asked if statement.startswith(("SELECT", "WITH"))]


def _note(
    asked: list[tuple[str, Any]], _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> None:
    asked.append((statement, parameters))


async def explained(house: House, database: str, statement: str, parameters: Any) -> str:
    """How the database answers; a PostgreSQL with so few rows would rather read them all."""
    async with house.database.transaction() as tx:
        if database == "postgres":
            await tx._connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN " if database == "sqlite" else "EXPLAIN (COSTS OFF) "
        rows = await tx._connection.exec_driver_sql(explain + statement, parameters)
        return "\n".join(str(row[-1]) for row in rows)
