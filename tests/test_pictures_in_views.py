"""Whoever shows a person shows their picture: over every route and event that does."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from .cast import Cast, Person, Service, draft


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    return boris


async def give_picture(service: Service, person: Person, key: str | None) -> str | None:
    """Put a picture's key into somebody's row; the address that is shown of it."""
    async with service.parts.database.transaction() as tx:
        await tx.people.change(UUID(person.id), {"avatar": key})
    return f"{service.settings.public_url}/api/v1/avatars/{key}" if key else None


def shown(told: Any, person: Person) -> Iterator[str | None]:
    """The picture of `person` wherever they are in what was told."""
    if isinstance(told, dict):
        if told.get("id") == person.id and "nickname" in told:
            yield told["avatar_url"]
        told = [*told.values()]
    if isinstance(told, list):
        for part in told:
            yield from shown(part, person)


async def test_every_answer_that_shows_a_person_has_their_picture(
    cast: Cast, service: Service, anna: Person, boris: Person
) -> None:
    address = await give_picture(service, anna, "0a1b")
    room_id = await cast.direct_room(boris, anna)
    line = (await anna.post(f"/rooms/{room_id}/messages", draft("a word"), expect=201))["message"]
    reply = await boris.post(f"/rooms/{room_id}/messages", draft("mine", reply_to=line["id"]), expect=201)
    reacted = await anna.put(f"/messages/{reply['message']['id']}/reactions/👍")
    assert list(shown(line, anna)) == [address]
    assert list(shown(reply["message"]["reply_to"], anna)) == [address]
    assert list(shown(reacted["reply_to"], anna)) == [address]
    await anna.post(f"/rooms/{room_id}/read", {"seq": 2})
    group = await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]})
    assert set(shown(group, anna)) == {address}, "a member, and who made it"
    mallory = await cast.join("Mallory")
    await anna.post("/friends/requests", {"user_id": mallory.id})
    for path in (
        f"/users/{anna.id}", "/users", "/users?q=Ann", "/friends", "/rooms", f"/rooms/{room_id}",
        f"/rooms/{room_id}/members", f"/rooms/{room_id}/messages", f"/rooms/{room_id}/messages?after_seq=1",
        f"/rooms/{group['id']}/messages", f"/messages/{reply['message']['id']}/reactions",
        f"/messages/{reply['message']['id']}/receipts", "/search/messages?q=word",
    ):  # fmt: skip
        pictures = list(shown(await boris.get(path), anna))
        assert pictures and set(pictures) == {address}, path
    assert list(shown(await mallory.get("/friends/requests"), anna)) == [address]
    await mallory.put(f"/blocks/{anna.id}")
    assert list(shown(await mallory.get("/blocks"), anna)) == [address]
    assert (await boris.get(f"/rooms/{room_id}"))["avatar_url"] == address
    assert [each["avatar_url"] for each in (await anna.get("/rooms"))["items"]] == [None, None], "a group has none"
    assert (await anna.get("/users/me"))["avatar_url"] == address
    assert (await anna.another_device()).user["avatar_url"] == address
    refreshed = await cast.anonymous.post("/auth/refresh", {"refresh_token": anna.refresh_token})
    assert refreshed["user"]["avatar_url"] == address


async def test_every_event_that_shows_a_person_has_their_picture(
    cast: Cast, service: Service, anna: Person, boris: Person
) -> None:
    address = await give_picture(service, anna, "0a1b")
    chat, bell = await boris.connect(), await boris.connect("/notifications")
    annas = await anna.connect()
    room_id = await cast.direct_room(anna, boris)
    answer = await annas.call("send_message", {"room_id": room_id, **draft("a word")})
    added = await chat.heard("room_added")
    assert (added["avatar_url"], set(shown(added, anna))) == (address, {address})
    assert list(shown(answer, anna)) == list(shown(await chat.heard("message_sent"), anna)) == [address]
    assert (await annas.heard("ready"))["user"]["avatar_url"] == address
    await anna.put(f"/messages/{answer['message']['id']}/reactions/👍")
    assert list(shown(await chat.heard("message_changed"), anna)) == [address]
    synced = await chat.call("sync", {"rooms": {}})
    assert set(shown(synced, anna)) == {address} and synced["rooms"][0]["room"]["avatar_url"] == address
    await anna.patch("/users/me", {"intro": "new"})
    assert (await bell.heard("user_changed"))["avatar_url"] == address
    group = await boris.post("/rooms", {"kind": "group", "member_ids": []})
    await boris.post(f"/rooms/{group['id']}/members", {"user_ids": [anna.id]}, expect=200)
    assert set(shown(await chat.heard("room_changed"), anna)) == {address}
    await anna.delete(f"/friends/{boris.id}")
    assert list(shown(await bell.heard("friend_changed"), anna)) == [address]


async def test_a_picture_that_was_taken_away_is_shown_nowhere(service: Service, anna: Person, boris: Person) -> None:
    await give_picture(service, anna, "0a1b")
    await give_picture(service, anna, None)
    assert set(shown(await boris.get("/friends"), anna)) == {None}
