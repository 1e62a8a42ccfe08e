"""Blocks: both ways, everywhere, and told to nobody."""

import asyncio

import pytest

from src.schemas.common import PageQuery

from .cast import Cast, draft
from .people import House

NOBODY = "019aa5b0-7d3e-7000-8000-000000000000"


class TestBlocking:
    async def test_a_block_is_listed_for_its_maker_alone(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await anna.put(f"/blocks/{boris.id}", expect=204)
        (block,) = (await anna.get("/blocks", expect=200))["items"]
        assert block == {
            "user": {"id": boris.id, "nickname": "Boris", "intro": "", "avatar_url": None},
            "created_at": block["created_at"],
        }
        assert (await boris.get("/blocks"))["items"] == []
        await anna.put(f"/blocks/{boris.id}", expect=204)
        assert (await anna.get("/blocks"))["items"] == [block]
        await anna.delete(f"/blocks/{boris.id}", expect=204)
        assert (await anna.get("/blocks"))["items"] == []
        await anna.delete(f"/blocks/{boris.id}", expect=204)

    async def test_it_ends_the_friendship_for_good(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await cast.befriend(anna, boris)
        await anna.put(f"/blocks/{boris.id}", expect=204)
        await anna.delete(f"/blocks/{boris.id}", expect=204)
        for person in (anna, boris):
            assert (await person.get("/friends"))["items"] == []

    @pytest.mark.parametrize("asker", ["Anna", "Boris"])
    async def test_it_ends_requests_both_ways(self, cast: Cast, asker: str) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        one, other = (anna, boris) if asker == "Anna" else (boris, anna)
        await one.post("/friends/requests", {"user_id": other.id}, expect=201)
        await anna.put(f"/blocks/{boris.id}", expect=204)
        for person in (anna, boris):
            for direction in ("incoming", "outgoing"):
                assert (await person.get("/friends/requests", params={"direction": direction}))["items"] == []
        await other.post(f"/friends/requests/{one.id}/accept", expect=404)

    async def test_who_was_blocked_cannot_tell_by_looking(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        paths = (f"/users/{anna.id}", "/users?q=anna", "/users", "/friends", "/friends/requests", "/blocks")
        before = [await boris.get(path) for path in paths]
        await anna.put(f"/blocks/{boris.id}", expect=204)
        assert [await boris.get(path) for path in paths] == before

    async def test_both_can_block_and_each_takes_back_their_own(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await asyncio.gather(anna.put(f"/blocks/{boris.id}"), boris.put(f"/blocks/{anna.id}"))
        await boris.delete(f"/blocks/{anna.id}", expect=204)
        assert [len((await person.get("/blocks"))["items"]) for person in (anna, boris)] == [1, 0]
        assert (await boris.post("/friends/requests", {"user_id": anna.id}, expect=403))["code"] == "blocked"
        await anna.delete(f"/blocks/{boris.id}", expect=204)
        await boris.post("/friends/requests", {"user_id": anna.id}, expect=201)

    async def test_oneself_and_nobody_cannot_be_blocked(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        assert (await anna.put(f"/blocks/{anna.id}", expect=422))["code"] == "invalid"
        assert (await anna.put(f"/blocks/{NOBODY}", expect=404))["code"] == "not_found"
        assert (await anna.delete(f"/blocks/{NOBODY}", expect=404))["code"] == "not_found"

    @pytest.mark.parametrize("blocker", ["Anna", "Boris"])
    async def test_nobody_writes_across_a_block(self, cast: Cast, blocker: str) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        room = await cast.direct_room(anna, boris)
        await anna.post(f"/rooms/{room}/messages", draft(), expect=201)
        one, other = (anna, boris) if blocker == "Anna" else (boris, anna)
        await one.put(f"/blocks/{other.id}", expect=204)
        assert (await anna.post(f"/rooms/{room}/messages", draft(), expect=403))["code"] == "blocked"
        await one.delete(f"/blocks/{other.id}", expect=204)
        await anna.post(f"/rooms/{room}/messages", draft(), expect=201)

    async def test_the_newest_comes_first_and_pages_join(self, house: House) -> None:
        anna = await house.join("Anna")
        others = [await house.join(f"person {number}") for number in range(5)]
        for other in others:
            await house.blocks.block(anna, other)
        whole = (await house.blocks.list_blocks(anna, PageQuery())).items
        assert sorted(whole, key=lambda block: (block.created_at, block.user.id), reverse=True) == whole
        assert {block.user.id for block in whole} == set(others)
        first = await house.blocks.list_blocks(anna, PageQuery(limit=3))
        second = await house.blocks.list_blocks(anna, PageQuery(limit=3, cursor=first.next_cursor))
        assert (first.items + second.items, second.next_cursor) == (whole, None)

    async def test_twenty_at_once_are_one(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await house.befriend(anna, boris)
        house.heard.clear()
        await asyncio.gather(*(house.blocks.block(anna, boris) for _ in range(20)))
        assert len((await house.blocks.list_blocks(anna, PageQuery())).items) == 1
        assert [len(house.heard_by(person)) for person in (anna, boris)] == [1, 1]
