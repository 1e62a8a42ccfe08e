"""Profiles: what people see of themselves and of others, what they change, and who is told."""

import asyncio
import unicodedata
from uuid import UUID

import pytest

from src.clock import now
from src.schemas.people import MePatch, PeopleQuery, SettingsPatch

from .cast import Cast, Person, draft
from .people import House, deaf_until

NOBODY = "019aa5b0-7d3e-7000-8000-000000000000"


class TestMyself:
    async def test_i_see_all_of_myself(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        me = await anna.get("/users/me", expect=200)
        assert me == anna.user
        assert me == {
            "id": anna.id,
            "nickname": "Anna",
            "intro": "",
            "avatar_url": None,
            "email": "anna@example.com",
            "email_verified": False,
            "has_password": True,
            "identities": [],
            "created_at": me["created_at"],
            "settings": {"language": me["settings"]["language"], "theme": "system"},
        }

    async def test_nobody_unknown_has_a_self(self, cast: Cast) -> None:
        assert (await cast.anonymous.get("/users/me", expect=401))["code"] == "unauthorized"
        assert (await cast.anonymous.patch("/users/me", {"intro": "x"}, expect=401))["code"] == "unauthorized"

    async def test_only_what_is_given_changes(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        before = await anna.get("/users/me")
        after = await anna.patch("/users/me", {"intro": "  I paint.\nAnd sing.  "}, expect=200)
        assert after == before | {"intro": "I paint.\nAnd sing."}
        after = await anna.patch("/users/me", {"settings": {"theme": "dark"}}, expect=200)
        assert after["settings"] == before["settings"] | {"theme": "dark"}
        after = await anna.patch("/users/me", {"settings": {"language": "en"}, "nickname": "Annette"}, expect=200)
        assert after == before | {
            "nickname": "Annette",
            "intro": "I paint.\nAnd sing.",
            "settings": {"language": "en", "theme": "dark"},
        }
        assert await anna.get("/users/me") == after
        assert await anna.patch("/users/me", {}, expect=200) == after
        assert await anna.patch("/users/me", {"settings": {}}, expect=200) == after
        assert (await anna.patch("/users/me", {"intro": ""}, expect=200))["intro"] == ""

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"nickname": None}, "nickname"),
            ({"nickname": "   "}, "nickname"),
            ({"nickname": "x" * 51}, "nickname"),
            ({"nickname": "a\nb"}, "nickname"),
            ({"nickname": "\u202egnp.exe"}, "nickname"),
            ({"nickname": "\u3164\u200d"}, "nickname"),
            ({"nickname": 7}, "nickname"),
            ({"intro": None}, "intro"),
            ({"intro": "x" * 501}, "intro"),
            ({"settings": None}, "settings"),
            ({"settings": {"theme": None}}, "settings.theme"),
            ({"settings": {"theme": "pink"}}, "settings.theme"),
            ({"settings": {"language": "ko", "font": "big"}}, "settings.font"),
            ({"email": "other@example.com"}, "email"),
            ({"id": NOBODY}, "id"),
        ],
    )
    async def test_what_does_not_fit_is_refused_and_nothing_changes(self, cast: Cast, body: object, field: str) -> None:
        anna = await cast.join("Anna")
        problem = await anna.patch("/users/me", body, expect=422)
        assert (problem["code"], [error["field"] for error in problem["errors"]]) == ("invalid", [field])
        assert await anna.get("/users/me") == anna.user

    async def test_fifty_syllables_of_a_mac_are_fifty_characters(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        name = "홍길동" * 16 + "한글"
        me = await anna.patch("/users/me", {"nickname": unicodedata.normalize("NFD", name)}, expect=200)
        assert me["nickname"] == name

    async def test_changes_at_once_are_all_kept(self, house: House) -> None:
        anna = await house.join("Anna")
        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(house.people.change_me(anna, MePatch(intro=f"intro {number}")))
                group.create_task(house.people.change_me(anna, MePatch(nickname=f"Anna {number}")))
            group.create_task(house.people.change_me(anna, MePatch(settings=SettingsPatch(theme="dark"))))
            group.create_task(house.people.change_me(anna, MePatch(settings=SettingsPatch(language="en"))))
        me = await house.people.me(anna)
        assert (me.settings.theme, me.settings.language) == ("dark", "en")
        assert me.intro.startswith("intro ")
        boris = await house.join("Boris")
        assert [found.id for found in (await house.people.find(boris, PeopleQuery(q=me.nickname))).items] == [anna]
        stale = {f"Anna {number}" for number in range(10)} - {me.nickname}
        for nickname in stale:
            assert not (await house.people.find(boris, PeopleQuery(q=nickname))).items

    async def test_nothing_new_writes_and_says_nothing(self, house: House) -> None:
        anna = await house.join("Anna")
        same = MePatch(nickname="Anna", intro="", settings=SettingsPatch(language="ko", theme="system"))
        assert await house.people.change_me(anna, same) == await house.people.me(anna)
        await house.people.change_me(anna, MePatch())
        assert house.heard == []
        await house.people.change_me(anna, MePatch(settings=SettingsPatch(theme="dark")))
        assert house.heard == []  # nobody sees it


class TestOthers:
    async def test_a_profile_says_how_i_stand_to_them_and_no_more(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        profile = await anna.get(f"/users/{boris.id}", expect=200)
        shown = {"id": boris.id, "nickname": "Boris", "intro": "", "avatar_url": None}
        assert profile == shown | {"relationship": "none"}

    @pytest.mark.parametrize("path", [NOBODY, "b4817606-c32c-48ce-ab30-bcbd0fedb635"])
    async def test_nobody_is_not_found(self, cast: Cast, path: str) -> None:
        anna = await cast.join("Anna")
        assert (await anna.get(f"/users/{path}", expect=404))["code"] == "not_found"

    async def test_who_deleted_the_account_is_nobody(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        unknown = await anna.get(f"/users/{NOBODY}", expect=404)
        async with cast.service.parts.database.transaction() as tx:
            await tx.people.change(UUID(boris.id), {"deleted_at": now()})
        gone = await anna.get(f"/users/{boris.id}", expect=404)
        assert {**gone, "request_id": ""} == {**unknown, "request_id": ""}

    async def test_each_sees_their_own_side_in_profile_and_search(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")

        async def sides() -> tuple[str, str]:
            seen = []
            for viewer, other in ((anna, boris), (boris, anna)):
                profile = await viewer.get(f"/users/{other.id}")
                (hit,) = (await viewer.get("/users", params={"q": other.user["nickname"]}))["items"]
                assert hit == profile
                seen.append(profile["relationship"])
            return seen[0], seen[1]

        assert await sides() == ("none", "none")
        await anna.post("/friends/requests", {"user_id": boris.id}, expect=201)
        assert await sides() == ("request_sent", "request_received")
        await boris.post(f"/friends/requests/{anna.id}/accept", expect=204)
        assert await sides() == ("friend", "friend")
        await boris.put(f"/blocks/{anna.id}", expect=204)
        assert await sides() == ("none", "blocked")
        await anna.put(f"/blocks/{boris.id}", expect=204)
        assert await sides() == ("blocked", "blocked")
        await boris.delete(f"/blocks/{anna.id}", expect=204)
        assert await sides() == ("blocked", "none")

    async def test_a_stranger_sees_nothing_of_others_friendships(self, cast: Cast) -> None:
        anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
        before = [await mallory.get(path) for path in (f"/users/{anna.id}", "/users", "/friends", "/friends/requests")]
        await cast.befriend(anna, boris)
        after = [await mallory.get(path) for path in (f"/users/{anna.id}", "/users", "/friends", "/friends/requests")]
        assert after == before

    async def test_everybody_is_listed_in_pages(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        for name in ("Boris", "Clara", "Dora"):
            await cast.join(name)
        first = await anna.get("/users", params={"limit": 2}, expect=200)
        second = await anna.get("/users", params={"limit": 2, "cursor": first["next_cursor"]}, expect=200)
        assert [person["nickname"] for person in first["items"] + second["items"]] == ["Boris", "Clara", "Dora"]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize(
        "params", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "x"}, {"q": "x" * 101}]
    )
    async def test_a_faulty_query_is_refused(self, cast: Cast, params: dict[str, object]) -> None:
        anna = await cast.join("Anna")
        problem = await anna.get("/users", params=params, expect=422)
        assert [error["field"] for error in problem["errors"]] == list(params)


class TestWhoIsTold:
    async def rename(self, person: Person, nickname: str) -> dict[str, object]:
        await person.patch("/users/me", {"nickname": nickname}, expect=200)
        return {"id": person.id, "nickname": nickname, "intro": "", "avatar_url": None}

    async def test_friends_hear_of_a_new_name_and_so_do_my_devices(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await cast.befriend(anna, boris)
        ears = [await person.connect("/notifications") for person in (boris, anna, await anna.another_device())]
        user = await self.rename(anna, "Annette")
        for ear in ears:
            assert await ear.heard("user_changed") == user

    async def test_who_asked_and_who_was_asked_hear_of_it(self, cast: Cast) -> None:
        anna, boris, clara = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Clara")
        await anna.post("/friends/requests", {"user_id": boris.id})
        await clara.post("/friends/requests", {"user_id": anna.id})
        ears = [await person.connect("/notifications") for person in (boris, clara)]
        user = await self.rename(anna, "Annette")
        for ear in ears:
            assert await ear.heard("user_changed") == user

    async def test_who_shares_a_conversation_hears_of_it(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        room = await cast.direct_room(anna, boris)
        await anna.post(f"/rooms/{room}/messages", draft(), expect=201)
        ear = await boris.connect("/notifications")
        user = await self.rename(anna, "Annette")
        assert await ear.heard("user_changed") == user

    async def test_a_stranger_does_not(self, cast: Cast) -> None:
        anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
        await cast.direct_room(anna, mallory)  # nothing was said in it: Mallory does not know of it
        ear = await mallory.connect("/notifications")
        await self.rename(anna, "Annette")
        await deaf_until(ear, mallory)

    @pytest.mark.parametrize("blocker", ["Anna", "Boris"])
    async def test_nothing_crosses_a_block(self, cast: Cast, blocker: str) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        room = await cast.direct_room(anna, boris)
        await anna.post(f"/rooms/{room}/messages", draft(), expect=201)
        one, other = (anna, boris) if blocker == "Anna" else (boris, anna)
        await one.put(f"/blocks/{other.id}", expect=204)
        ear = await boris.connect("/notifications")
        await self.rename(anna, "Annette")
        await deaf_until(ear, boris)


class TestPredecessor:
    async def test_predecessor_33_search_shows_no_address_and_wildcards_find_nobody(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        await cast.join("Boris")
        for wildcard in ("%", "_", "%%", "____", "undefined"):
            assert (await anna.get("/users", params={"q": wildcard}))["items"] == []
        everybody = await anna.raw("GET", "/users")
        assert everybody.json["items"][0].keys() == {"id", "nickname", "intro", "avatar_url", "relationship"}
        assert "example.com" not in str(everybody.json)

    async def test_predecessor_34_a_profile_shows_no_address(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        assert "email" not in await anna.get(f"/users/{boris.id}")
        await cast.befriend(anna, boris)
        assert "example.com" not in str(await anna.get(f"/users/{boris.id}")) + str(await anna.get("/friends"))
