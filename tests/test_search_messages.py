"""Search: what a person may read, by parts of its words, on either database alike (contract §5, §9)."""

import unicodedata
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from bench.corpus import Corpus
from src.db import bigrams, cursors, postgres_search, sqlite_search
from src.db.search_rows import Wanted
from src.services.housekeeping import Housekeeping
from src.services.search import snippet

from .cast import Cast, Person, Service
from .test_groups import make, say
from .test_rooms import open_room, send


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    return boris


@pytest.fixture
async def room(anna: Person, boris: Person) -> dict[str, Any]:
    return await make(anna, boris)


async def found(person: Person, q: str, **query: Any) -> list[str]:
    """The snippets of all that is found, page after page."""
    items: list[dict[str, Any]] = []
    while True:
        page = await person.get(f"/search/messages?{urlencode({'q': q, **query})}", expect=200)
        items += page["items"]
        if not page["next_cursor"]:
            return [item["snippet"] for item in items]
        query["cursor"] = page["next_cursor"]


FINDING = [
    "점심", "점심을", "심을", "점", "심", "을", "김치찌개", "치찌개", "찌개", "api", "API", "v2", "2", "ap", "I", "👍",
    "CAFÉ", "é", "점심 김치", "api 점심", "을 점", " 점심 ", "점심!", '"점심"', "(점심)", "점심*", "wi-fi", "Wi Fi",
    "STRASSE", "straße", *(unicodedata.normalize("NFD", each) for each in ("점심을", "을", "café")),
]  # fmt: skip
MISSING = [
    "심점", "점을", "점심은", "점심 라면국", "치찌김", "AND", "OR", "NOT", "NEAR(점심 저녁)", "grams:점심", "1심",
    "점심 OR 저녁 없음", "-점심x", "^없", "a:b:c", "'; DROP TABLE messages; --", "점심\" OR \"저녁", "@r", "@s",
    "저녁 & 점심 | x", "점심:*A",
]  # fmt: skip
WORDLESS = ["!?", "...", "\u200b", "~ ~", "%_%", "@", "\\", "<->", "%", "_", '"']


async def test_a_part_of_a_word_finds_it(anna: Person, room: dict[str, Any]) -> None:
    said = "점심을 김치찌개로 할까요? API v2, café, Wi-Fi, Straße 👍"
    await say(anna, room, "저녁은 라면")
    await say(anna, room, said)
    for q in FINDING:
        assert await found(anna, q) == [said], q


async def test_what_is_not_in_one_message_is_not_found_and_operators_are_words(
    anna: Person, room: dict[str, Any]
) -> None:
    await say(anna, room, "점심을 김치찌개로")
    await say(anna, room, "저녁은 라면 !? ... ~ ~ %_% @")
    for q in (*MISSING, *WORDLESS):
        assert await found(anna, q) == [], q
    assert len(await found(anna, "점심")) == 1


async def test_no_query_is_refused(anna: Person) -> None:
    for q in (None, "", "   ", "각" * 101, "nul\x00"):
        answer = await anna.raw("GET", f"/search/messages?{urlencode({'q': q} if q is not None else {})}")
        assert (answer.status, answer.json.get("code")) == (422, "invalid"), q


async def test_every_part_of_every_word_finds_its_line(anna: Person, room: dict[str, Any]) -> None:
    corpus = Corpus(seed=7, vocabulary=30)
    said = [corpus.line() for _ in range(60)]
    for line in said:
        await say(anna, room, line)
    words = {line: bigrams.words(line) for line in said}
    asked = {word[:2] for line in said for word in bigrams.words(line)}
    asked |= {word[-1] for line in said[:20] for word in bigrams.words(line)}
    asked |= {" ".join(bigrams.words(line)[:2]) for line in said[:20]} | {"점심", "는데", "ㅋ", "요"}
    for q in sorted(asked):
        parts = bigrams.words(q)
        there = [line for line in reversed(said) if all(any(part in word for word in words[line]) for part in parts)]
        assert await found(anna, q, limit=7) == there, q


async def test_hits_say_where_they_are_the_latest_first(anna: Person, boris: Person, room: dict[str, Any]) -> None:
    direct = (await open_room(anna, boris))["id"]
    one, two = await say(anna, room, "점심 하나"), await send(boris, direct, "점심 둘")
    page = await anna.get("/search/messages?q=점심")
    assert page == {
        "items": [
            {"message_id": each["id"], "snippet": each["text"]}
            | {n: each[n] for n in ("room_id", "seq", "sender", "created_at")}
            for each in (two, one)
        ],
        "next_cursor": None,
    }


async def test_pages_join_without_a_gap_or_a_repeat(anna: Person, boris: Person, room: dict[str, Any]) -> None:
    for number in range(7):
        await say(boris, room, f"점심 {number}")
    first = await anna.get("/search/messages?q=점심&limit=3")
    await say(boris, room, "점심 after the first page")
    second = await anna.get(f"/search/messages?q=점심&limit=3&cursor={first['next_cursor']}")
    third = await anna.get(f"/search/messages?q=점심&limit=3&cursor={second['next_cursor']}")
    pages = [[item["snippet"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [[f"점심 {n}" for n in some] for some in ([6, 5, 4], [3, 2, 1], [0])]
    assert third["next_cursor"] is None
    assert (await anna.raw("GET", "/search/messages?q=점심&cursor=nonsense")).status == 422


async def test_filters_narrow_it_down(anna: Person, boris: Person, room: dict[str, Any]) -> None:
    direct = (await open_room(anna, boris))["id"]
    first = await say(anna, room, "점심 first")
    await say(boris, room, "점심 second")
    last = await send(boris, direct, "점심 third")
    assert await found(anna, "점심", room_id=room["id"]) == ["점심 second", "점심 first"]
    assert await found(anna, "점심", sender_id=boris.id) == ["점심 third", "점심 second"]
    assert await found(anna, "점심", sender_id=boris.id, room_id=room["id"]) == ["점심 second"]
    assert await found(anna, "점심", sender_id=str(uuid4())) == []
    assert "점심 first" not in await found(anna, "점심", after=first["created_at"])
    assert "점심 third" not in await found(anna, "점심", before=last["created_at"])
    assert await found(anna, "점심", before=first["created_at"]) == []
    assert len(await found(anna, "점심", after="2020-01-01T00:00:00+09:00", before="2999-01-01T00:00:00Z")) == 3
    assert await found(anna, "점심", has="image") == await found(anna, "점심", has="file") == []
    for query in ({"has": "video"}, {"after": "yesterday"}, {"room_id": "x"}, {"surprise": "1"}):
        assert (await anna.raw("GET", f"/search/messages?{urlencode({'q': '점심', **query})}")).status == 422


async def test_an_edited_text_is_found_by_its_new_words_only_and_a_deleted_one_by_none(
    anna: Person, room: dict[str, Any]
) -> None:
    sent, other = await say(anna, room, "점심 점심 김치찌개 👍"), await say(anna, room, "점심도 좋고")
    await anna.patch(f"/messages/{sent['id']}", {"text": "저녁 김치볶음밥"}, expect=200)
    for q in ("점심 김치", "찌개", "개", "👍"):
        assert await found(anna, q) == [], q
    assert await found(anna, "점심") == ["점심도 좋고"]
    assert await found(anna, "저녁") == await found(anna, "볶음") == ["저녁 김치볶음밥"]
    await anna.delete(f"/messages/{sent['id']}", expect=200)
    await anna.delete(f"/messages/{other['id']}", expect=200)
    for q in ("저녁", "김치", "점심", "밥"):
        assert await found(anna, q) == [], q


async def test_lines_of_the_house_are_not_found(anna: Person, room: dict[str, Any]) -> None:
    await anna.patch(f"/rooms/{room['id']}", {"name": "점심모임"}, expect=200)
    assert await found(anna, "점심모임") == await found(anna, "renamed") == []


class TestNobodyFindsWhatTheyMayNotRead:
    async def test_a_stranger_finds_nothing_by_any_query(self, cast: Cast, anna: Person, room: dict[str, Any]) -> None:
        sent, mallory = await say(anna, room, "점심 비밀"), await cast.join("Mallory")
        for query in ({}, {"sender_id": anna.id}, {"after": "2020-01-01T00:00:00Z"}, {"limit": 1}):
            answer = await mallory.get(f"/search/messages?{urlencode({'q': '점심', **query})}", expect=200)
            assert answer == {"items": [], "next_cursor": None}
        theirs = await mallory.raw("GET", f"/search/messages?q=점심&room_id={room['id']}")
        nobodys = await mallory.raw("GET", f"/search/messages?q=점심&room_id={uuid4()}")
        assert theirs.status == nobodys.status == 404
        assert theirs.json | {"request_id": ""} == nobodys.json | {"request_id": ""}
        nothing = await mallory.raw("GET", f"/search/messages?q=!&room_id={room['id']}")
        assert nothing.status == 404
        assert sent["text"] == "점심 비밀"

    async def test_who_left_finds_nothing_of_the_room(self, anna: Person, boris: Person, room: dict[str, Any]) -> None:
        await say(boris, room, "점심 before")
        await boris.post(f"/rooms/{room['id']}/leave", expect=204)
        await say(anna, room, "점심 after")
        assert await found(boris, "점심") == []
        assert (await boris.raw("GET", f"/search/messages?q=점심&room_id={room['id']}")).status == 404
        assert len(await found(anna, "점심")) == 2

    async def test_a_newcomer_finds_only_what_is_said_from_then_on(
        self, cast: Cast, anna: Person, room: dict[str, Any]
    ) -> None:
        await say(anna, room, "점심 before")
        nina = await cast.join("Nina")
        await cast.befriend(anna, nina)
        await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [nina.id]}, expect=200)
        assert await found(nina, "점심") == []
        await say(anna, room, "점심 after")
        assert await found(nina, "점심") == await found(nina, "점심", room_id=room["id"]) == ["점심 after"]

    async def test_a_direct_room_that_came_back_gives_only_what_is_new(self, anna: Person, boris: Person) -> None:
        direct = (await open_room(anna, boris))["id"]
        await send(boris, direct, "점심 before")
        await anna.post(f"/rooms/{direct}/leave", expect=204)
        assert await found(anna, "점심") == []
        await send(boris, direct, "점심 after")
        assert await found(anna, "점심") == ["점심 after"]
        assert len(await found(boris, "점심")) == 2

    async def test_a_page_follows_although_its_place_was_deleted(self, anna: Person, room: dict[str, Any]) -> None:
        lines = [await say(anna, room, f"점심 {number}") for number in range(5)]
        page = await anna.get("/search/messages?q=점심&limit=2")
        await anna.delete(f"/messages/{page['items'][-1]['message_id']}", expect=200)
        rest = await anna.get(f"/search/messages?q=점심&cursor={page['next_cursor']}")
        assert [hit["message_id"] for hit in rest["items"]] == [line["id"] for line in reversed(lines[:3])]

    async def test_a_cursor_does_not_tell_how_much_others_write(self, anna: Person, room: dict[str, Any]) -> None:
        for number in range(3):
            await say(anna, room, f"점심 {number}")
        page = await anna.get("/search/messages?q=점심&limit=2")
        assert cursors.decode(page["next_cursor"], UUID) == (UUID(page["items"][-1]["message_id"]),)

    async def test_a_cursor_of_anothers_search_leads_nowhere_else(
        self, cast: Cast, anna: Person, room: dict[str, Any]
    ) -> None:
        for number in range(4):
            await say(anna, room, f"점심 {number}")
        cursor = (await anna.get("/search/messages?q=점심&limit=1"))["next_cursor"]
        mallory = await cast.join("Mallory")
        assert (await mallory.get(f"/search/messages?q=점심&cursor={cursor}"))["items"] == []

    async def test_a_room_that_is_gone_is_gone_from_the_index(
        self, service: Service, anna: Person, boris: Person, room: dict[str, Any]
    ) -> None:
        await say(anna, room, "점심 비밀")
        for person in (anna, boris):
            await person.post(f"/rooms/{room['id']}/leave", expect=204)
        assert await found(anna, "점심") == []
        await Housekeeping(service.parts.database, timedelta(days=90)).sweep()
        async with service.parts.database.snapshot() as reads:
            assert await reads._connection.scalar(text("SELECT count(*) FROM search_lines")) == 0


async def test_who_is_in_many_rooms_finds_alike(service: Service, anna: Person, boris: Person) -> None:
    rooms = [await make(anna, boris, name=None) for _ in range(70)]
    for number, each in enumerate(rooms[::10]):
        await say(anna, each, f"점심 {number}")
    for person in (anna, boris):
        assert await found(person, "점심", limit=3) == [f"점심 {n}" for n in range(6, -1, -1)]
        assert await found(person, "점심 3", sender_id=anna.id) == ["점심 3"]


async def test_an_old_line_is_found_behind_any_number_of_new_ones(
    anna: Person, room: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_search, "NEWEST_LOOKED_THROUGH", (2, 4))
    for line in ("점심 1", "점심 2", "저녁", "점심 3", "저녁", "저녁"):
        await say(anna, room, line)
    assert await found(anna, "점심") == ["점심 3", "점심 2", "점심 1"]
    assert await found(anna, "점심", limit=1) == ["점심 3", "점심 2", "점심 1"]


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("said", "q", "shown"),
    [
        ("짧은 점심", "점심", "짧은 점심"),
        ("앞 " * 50 + "점심을" + " 뒤" * 50, "점심", "점심을"),
        ("줄\n\n바꿈\t점심", "점심", "줄 바꿈 점심"),
        ("<b>점심</b>", "점심", "<b>점심</b>"),
        ("İstanbul " * 20 + "점심", "점심", "점심"),
        ("👨‍👩‍👧 " * 40 + "Straße", "strasse", "Straße"),
        ("저녁 " * 40 + "점심 " + "저녁 " * 40, "없음 점심", "점심"),
    ],
)
def test_a_snippet_shows_the_text_around_the_hit(said: str, q: str, shown: str) -> None:
    cut = snippet(said, q)
    assert shown in cut
    assert len(cut) <= 102
    assert ("…" in cut) is (len(said) > 100)


async def test_the_index_answers(service: Service, anna: Person, room: dict[str, Any], database: str) -> None:
    for line in ("점심", "저녁", "점심시간"):
        await say(anna, room, line)
    async with service.parts.database.snapshot() as reads:
        wanted = Wanted(text="점심시간")
        index: Any = sqlite_search if database == "sqlite" else postgres_search
        statement: Any = sqlite_search.statement(wanted) if database == "sqlite" else postgres_search.indexed(wanted)
        if database == "postgres":
            await reads._connection.execute(text("SET LOCAL enable_seqscan = off"))
        asked = {"asked": index.match("점심시간", [], None), "me": uuid4(), "before": 2**63 - 1, "limit": 51}
        if database == "sqlite":
            asked["me"] = str(asked["me"])
        explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN"
        rows = await reads._connection.execute(text(f"{explain} {statement.element.text}"), asked)
        plan = "\n".join(map(str, rows))
    if database == "sqlite":
        assert "VIRTUAL TABLE INDEX" in plan and "SEARCH l USING INTEGER PRIMARY KEY" in plan
        assert "TEMP B-TREE" not in plan, "FTS5 hands out hits in order"
    else:
        assert "ix_search_lines_words" in plan
