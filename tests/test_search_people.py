"""People are found by any part of a nickname and by initial consonants, through an index, and nobody else's way in."""

import random
import re
import unicodedata
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, insert, text

from src.clock import now
from src.db import cursors, names
from src.db.ids import new_id
from src.db.models import NameGram, User
from src.errors import Invalid
from src.schemas.people import MePatch, PeopleQuery

from .people import House

SOMEBODY = UUID("019aa5b0-7d3e-7000-8000-000000000000")


async def found(house: House, viewer: UUID, q: str | None, **page: object) -> list[str]:
    answer = await house.people.find(viewer, PeopleQuery(q=q, **page))
    return [str(person.nickname) for person in answer.items]


class TestBySubstring:
    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("Boris", ["Boris"]),
            ("oRi", ["Boris"]),
            ("BORIS", ["Boris"]),
            ("길동", ["홍길동", "홍길동이 아님"]),
            ("길", ["홍길동", "홍길동이 아님"]),
            ("동이 아", ["홍길동이 아님"]),
            (unicodedata.normalize("NFD", "홍길동이"), ["홍길동이 아님"]),
            ("STRASSE", ["Straße 7"]),
            ("ö", ["Jörg"]),
            ("  Boris  ", ["Boris"]),
            ("Борис", ["Борис Иванов"]),
            ("😀", ["smile 😀😀"]),
            ("nobody of that name at all", []),
            ("b" * 100, []),
        ],
    )
    async def test_a_part_of_the_nickname_finds_it(self, house: House, q: str, expected: list[str]) -> None:
        anna = await house.join("Anna")
        for name in ("Boris", "홍길동", "홍길동이 아님", "Straße 7", "Jörg", "Борис Иванов", "smile 😀😀"):
            await house.join(name)
        assert await found(house, anna, q) == expected

    async def test_wildcards_are_letters(self, house: House) -> None:
        anna = await house.join("Anna")
        await house.join("Boris")
        for literal in ("%", "_", "\\", "/", "*", "[", "^", "100%_sure/\\"):
            assert await found(house, anna, literal) == []
            assert await found(house, anna, f"B{literal}ris") == []
        await house.join("100%_sure/\\")
        for literal in ("%", "_", "\\", "0%_s", "100%_sure/\\", "%_sure/\\"):
            assert await found(house, anna, literal) == ["100%_sure/\\"]

    @pytest.mark.parametrize("invisible", ["\x1c", "\x1f", "\x1f\x1e", "\u200b"])
    async def test_a_query_that_cannot_be_seen_finds_nobody(self, house: House, invisible: str) -> None:
        anna = await house.join("Anna")
        await house.join("Boris")
        assert await found(house, anna, invisible) == []

    async def test_without_a_query_everybody_but_myself_is_listed(self, house: House) -> None:
        anna = await house.join("Anna")
        for name in ("Boris", "홍길동", "Clara"):
            await house.join(name)
        assert await found(house, anna, None) == ["Boris", "Clara", "홍길동"]
        assert await found(house, anna, "   ") == ["Boris", "Clara", "홍길동"]
        assert await found(house, anna, "anna") == []

    async def test_who_deleted_the_account_is_not_found(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        async with house.database.transaction() as tx:
            await tx.people.change(boris, {"deleted_at": now()})
        assert await found(house, anna, "Boris") == []
        assert await found(house, anna, None) == []

    async def test_a_new_nickname_is_found_and_the_old_one_no_longer(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await house.people.change_me(boris, MePatch(nickname="보리스"))
        assert await found(house, anna, "Boris") == []
        assert await found(house, anna, "ㅂㄹㅅ") == ["보리스"]


class TestByInitialConsonants:
    @pytest.mark.parametrize(
        ("q", "expected"),
        [
            ("ㅎㄱㄷ", {"홍길동", "한국도"}),
            ("ㅎㄱ", {"홍길동", "한국도", "홍나 하가"}),
            ("ㄱㄷ", {"홍길동", "한국도"}),
            ("ㄷ", {"홍길동", "한국도", "ㄳ합니다"}),
            ("홍ㄱ", {"홍길동"}),
            ("ㅎ길", {"홍길동"}),
            ("홍ㄱ동", {"홍길동"}),
            ("ㅎㄱㄷㄹ", set()),
            ("ㄲㅊ", {"까치"}),
            ("ㄱㅊ", set()),
            ("ㄱㅅ", {"감사"}),
            ("ㄳ", {"감사", "ㄳ합니다"}),
            ("ㄳㅎ", {"ㄳ합니다"}),
            ("ㅋㅋ", {"ㅋㅋ맨", "크크"}),
            ("ㅎㄴ ㅎ", {"홍나 하가"}),
            ("Ann ㄱ", {"Ann 김"}),
            ("ㅏ", set()),
        ],
    )
    async def test_consonants_find_the_syllables_they_begin(self, house: House, q: str, expected: set[str]) -> None:
        viewer = await house.join("viewer")
        for name in ("홍길동", "한국도", "까치", "감사", "ㄳ합니다", "ㅋㅋ맨", "크크", "홍나 하가", "Ann 김"):
            await house.join(name)
        assert set(await found(house, viewer, q)) == expected

    @pytest.mark.parametrize("q", ["홍ㄱ(", "ㄱ]", "[ㄱ", "ㄱ.*", "ㄱ\\d", "ㄱ-", "ㄱ|", "(ㄱ", "ㄱ&#~", "^ㄱ$"])
    async def test_signs_beside_consonants_are_letters(self, house: House, q: str) -> None:
        viewer = await house.join("viewer")
        await house.join("강남")
        named = await house.join(q.replace("ㄱ", "길"))
        assert [person.id for person in (await house.people.find(viewer, PeopleQuery(q=q))).items] == [named]


class TestPages:
    async def test_pages_join_to_the_whole_list_with_no_one_twice(self, house: House) -> None:
        anna = await house.join("Anna")
        for number in range(7):
            await house.join("Kim" if number % 2 else f"Kim {number}")
        whole = (await house.people.find(anna, PeopleQuery(q="kim"))).items
        paged, cursor = [], None
        for _ in range(10):
            page = await house.people.find(anna, PeopleQuery(q="kim", limit=2, cursor=cursor))
            paged += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert paged == whole
        assert len(whole) == 7

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "x",
            "nonsense!",
            "é",
            "WyJib3JpcyJd",  # one part too few
            cursors.encode(("boris", "no-id")),
            cursors.encode((7, SOMEBODY)),
            cursors.encode((None, SOMEBODY)),  # type: ignore[arg-type]
            cursors.encode(("nul \0", SOMEBODY)),
            cursors.encode(("boris", SOMEBODY)) + "=",
            cursors.encode(("boris", SOMEBODY)) + "\n",
            cursors.encode(("boris", SOMEBODY))[:-1],
            "W10",
            "e30",
        ],
    )
    async def test_a_cursor_that_was_not_given_out_is_invalid(self, house: House, cursor: str) -> None:
        anna = await house.join("Anna")
        with pytest.raises(Invalid) as refused:
            await house.people.find(anna, PeopleQuery(cursor=cursor))
        assert [error.field for error in refused.value.errors] == ["cursor"]


class TestIndex:
    """A search reads what the index of grams says, however many people there are."""

    async def test_the_grams_lead_to_the_people(self, house: House, database: str) -> None:
        viewer = await house.join("viewer")
        await self.crowd(house)
        for q in ("홍길동", "길동", "ㅎㄱㄷ", "홍ㄱ", "a", "ㄳ"):
            plan = await self.plan(house, viewer, q)
            if database == "sqlite":
                assert "SEARCH name_grams USING COVERING INDEX" in plan, (q, plan)
                assert "SCAN" not in plan, (q, plan)
            else:
                assert re.search(r"Index Cond: \(+gram", plan), (q, plan)
                assert not re.search(r"Seq Scan|ix_users_nickname_key_id", plan), (q, plan)

    async def crowd(self, house: House) -> None:
        """2,000 people of three syllables each, of which most have no gram in common."""
        chance = random.Random(7)
        people, grams = [], []
        for _ in range(2000):
            name = "".join(chr(chance.randrange(0xAC00, 0xD7A4)) for _ in range(3))
            keys, user_id = names.keys(name), new_id()
            people.append(
                {
                    "id": user_id, "nickname": name, "nickname_key": keys.key, "nickname_initials": keys.initials,
                    "intro": "", "language": "ko", "theme": "system", "created_at": now(),
                }
            )  # fmt: skip
            grams += [{"gram": gram, "user_id": user_id} for gram in names.grams(keys)]
        async with house.database.transaction() as tx:
            await tx._connection.execute(insert(User), people)
            await tx._connection.execute(insert(NameGram), grams)

    async def plan(self, house: House, viewer: UUID, q: str) -> str:
        """How the database answers; a PostgreSQL with so few people would rather read them all."""
        asked: list[tuple[str, Any]] = []
        async with house.database.transaction() as tx:
            explain = "EXPLAIN QUERY PLAN "
            if tx._connection.dialect.name == "postgresql":
                explain = "EXPLAIN (COSTS OFF) "
                await tx._connection.execute(text("ANALYZE"))
                await tx._connection.execute(text("SET LOCAL enable_seqscan = off"))
            connection = tx._connection.sync_connection
            note = partial(_note, asked)
            event.listen(connection, "before_cursor_execute", note)
            await tx.people.found(viewer, q, None, 50)
            event.remove(connection, "before_cursor_execute", note)
            ((statement, parameters),) = asked
            rows = await tx._connection.exec_driver_sql(explain + statement, parameters)
            return "\n".join(str(row[-1]) for row in rows)


def _note(
    asked: list[tuple[str, Any]], _connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any
) -> None:
    asked.append((statement, parameters))
