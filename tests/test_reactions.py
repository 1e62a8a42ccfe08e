# ruff: noqa: F401, F811 - fixtures of another file
"""Reactions: one emoji, once a person, over either door (contract §5, §9)."""

import asyncio
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest

from .cast import Cast, Person
from .test_edits import people, quiet_until, room
from .test_groups import say
from .test_rooms import open_room, send

EMOJIS = "😀 😂 🥰 😎 🤔 😴 😭 😡 👍 👎 👏 🙏 💪 🔥 🎉 🚀 ✅ 🍜 🍺 🐶 🐱".split()  # noqa: SIM905


def path(message: dict[str, Any], emoji: str) -> str:
    return f"/messages/{message['id']}/reactions/{quote(emoji)}"


async def test_a_reaction_is_answered_and_heard_and_counted(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, gildong = people
    sent, socket = await say(anna, room), await anna.connect()
    first = await boris.put(path(sent, "👍"), expect=200)
    assert first["reactions"] == [{"emoji": "👍", "count": 1, "user_ids": [boris.id]}]
    assert first["rev"] == sent["rev"] + 1 and first["edited_at"] is None
    assert await socket.heard("message_changed") == first
    await gildong.put(path(sent, "🎉"), expect=200)
    both = await gildong.put(path(sent, "👍"), expect=200)
    assert both["reactions"] == [
        {"emoji": "👍", "count": 2, "user_ids": [boris.id, gildong.id]},
        {"emoji": "🎉", "count": 1, "user_ids": [gildong.id]},
    ]
    back = await boris.delete(path(sent, "👍"), expect=200)
    assert [each["user_ids"] for each in back["reactions"]] == [[gildong.id], [gildong.id]]
    assert (await anna.get(f"/rooms/{room['id']}"))["last_message"] == back


async def test_the_same_over_a_socket(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    annas, boriss = await anna.connect(), await boris.connect()
    for on, count in ((True, 1), (False, 0)):
        answer = await boriss.call("react_to_message", {"message_id": sent["id"], "emoji": "🍜", "on": on})
        assert answer == {"ok": True, "message": await annas.heard("message_changed")}
        assert len(answer["message"]["reactions"]) == count


async def test_what_is_already_so_changes_nothing(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    once = await boris.put(path(sent, "👍"))
    socket = await anna.connect()
    assert await boris.put(path(sent, "👍"), expect=200) == once
    assert await anna.delete(path(sent, "👍"), expect=200) == once
    assert await boris.delete(path(sent, "🎉"), expect=200) == once
    assert await quiet_until(socket, anna, room["id"]) == []


async def test_the_same_reaction_twice_at_once_is_one(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent, socket = await say(anna, room), await boris.connect()
    answers = await asyncio.gather(
        *(boris.put(path(sent, "👍"), expect=200) for _ in range(5)),
        *(socket.call("react_to_message", {"message_id": sent["id"], "emoji": "👍", "on": True}) for _ in range(5)),
    )
    assert {each.get("message", each)["rev"] for each in answers} == {sent["rev"] + 1}
    (item,) = (await anna.get(f"/messages/{sent['id']}/reactions"))["items"]
    assert (item["emoji"], item["user"]["id"]) == ("👍", boris.id)


@pytest.mark.parametrize("emoji", ["❤️", "❤", "👍🏽", "🇰🇷", "1️⃣", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☺", "🫠", "©️"])
async def test_one_emoji_is_one_however_it_is_made(
    people: list[Person],
    room: dict[str, Any],
    emoji: str,
) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    for spelling in (emoji, emoji.replace("\ufe0f", ""), unicodedata.normalize("NFD", emoji)):
        answer = await boris.put(path(sent, spelling), expect=200)
        assert [each["count"] for each in answer["reactions"]] == [1]
    assert (await boris.delete(path(sent, emoji.replace("\ufe0f", "")), expect=200))["reactions"] == []


@pytest.mark.parametrize(
    "emoji", ["a", "ㅋ", "1", "#", "👍👍", "👍a", ":+1:", " 👍", "🏽", "\u200d", "\ufe0f", "🇰", "점심", "👍" * 40]
)
async def test_what_is_not_one_emoji_is_refused(
    people: list[Person],
    room: dict[str, Any],
    emoji: str,
) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    answer = await boris.raw("PUT", path(sent, emoji))
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "emoji")
    refused = await (await boris.connect()).call(
        "react_to_message", {"message_id": sent["id"], "emoji": emoji, "on": True}
    )
    assert refused["error"]["code"] == "invalid"


async def test_a_message_has_twenty_different_emojis_at_most(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    sent = await say(anna, room)
    for emoji in EMOJIS[:20]:
        await boris.put(path(sent, emoji), expect=200)
    refused = await anna.raw("PUT", path(sent, EMOJIS[20]))
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert len((await anna.put(path(sent, EMOJIS[0]), expect=200))["reactions"]) == 20
    await boris.delete(path(sent, EMOJIS[1]))
    await anna.put(path(sent, EMOJIS[20]), expect=200)


async def test_nobody_reacts_to_a_line_of_the_house_or_a_tombstone(people: list[Person], room: dict[str, Any]) -> None:
    anna, boris, _ = people
    house = (await anna.get(f"/rooms/{room['id']}/messages"))["items"][0]
    assert (await boris.raw("PUT", path(house, "👍"))).status == 403
    sent = await say(anna, room)
    await anna.delete(f"/messages/{sent['id']}")
    assert (await boris.raw("PUT", path(sent, "👍"))).status == 410
    assert (await boris.raw("DELETE", path(sent, "👍"))).status == 410


async def test_nobody_reacts_across_a_block(people: list[Person]) -> None:
    anna, boris, _ = people
    room_id = (await open_room(anna, boris))["id"]
    sent = await send(anna, room_id, "hello")
    await boris.put(path(sent, "👍"))
    await anna.put(f"/blocks/{boris.id}", expect=204)
    for method, emoji in (("PUT", "🎉"), ("DELETE", "👍")):
        refused = await boris.raw(method, path(sent, emoji))
        assert (refused.status, refused.json["code"]) == (403, "blocked")


async def test_all_reactions_are_paged_the_earliest_first(
    cast: Cast, people: list[Person], room: dict[str, Any]
) -> None:
    sent = await say(people[0], room)
    given = [(person.id, emoji) for emoji in EMOJIS[:3] for person in people]
    for emoji in EMOJIS[:3]:
        for person in people:
            await person.put(path(sent, emoji), expect=200)
    found, cursor = [], None
    while True:
        query = {"limit": 4} | ({"cursor": cursor} if cursor else {})
        page = await people[1].get(f"/messages/{sent['id']}/reactions", params=query)
        found += [(item["user"]["id"], item["emoji"]) for item in page["items"]]
        if not (cursor := page["next_cursor"]):
            break
        assert len(page["items"]) == 4
    assert sorted(found) == sorted(given) and len(found) == 9
    refused = await people[1].raw("GET", f"/messages/{sent['id']}/reactions", params={"cursor": "nonsense"})
    assert refused.status == 422
