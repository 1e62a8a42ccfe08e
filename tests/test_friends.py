"""Friends: asked, answered, ended; each person sees their own side of it, live, and nobody else sees any."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from src.db.models import Friendship
from src.errors import ChattyError, Conflict, Invalid, NotFound
from src.events import FriendChanged
from src.schemas.common import PageQuery
from src.schemas.people import FriendRequestsQuery

from .cast import Cast, Person, Socket
from .people import House, deaf_until

NOBODY = "019aa5b0-7d3e-7000-8000-000000000000"
Standings = dict[str, tuple[str, dict[str, Any]]]


async def standings(person: Person) -> Standings:
    """How this person stands to everybody, read afresh: from the lists, and the same from the profiles."""
    friends = (await person.get("/friends"))["items"]
    incoming = (await person.get("/friends/requests"))["items"]
    outgoing = (await person.get("/friends/requests", params={"direction": "outgoing"}))["items"]
    blocks = (await person.get("/blocks"))["items"]
    shown = ("id", "nickname", "intro", "avatar_url")
    listed = [("friend", {name: friend[name] for name in shown}) for friend in friends]
    listed += [("request_received", request["user"]) for request in incoming]
    listed += [("request_sent", request["user"]) for request in outgoing]
    listed += [("blocked", block["user"]) for block in blocks]
    everybody = (await person.get("/users"))["items"]
    by_profile = {each["id"]: each["relationship"] for each in everybody if each["relationship"] != "none"}
    assert {user["id"]: relationship for relationship, user in listed} == by_profile
    return {user["id"]: (relationship, user) for relationship, user in listed}


def applied(before: Standings, ear: Socket) -> Standings:
    """What a client knows that held `before` and heard what `ear` heard."""
    after = dict(before)
    for name, change in ear.events:
        if name in ("notification_created", "notifications_read"):
            continue
        assert name == "friend_changed"
        after[change["user"]["id"]] = (change["relationship"], change["user"])
    return {user_id: standing for user_id, standing in after.items() if standing[0] != "none"}


async def asked(anna: Person, boris: Person) -> None:
    await anna.post("/friends/requests", {"user_id": boris.id}, expect=201)


async def befriended(anna: Person, boris: Person) -> None:
    await asked(anna, boris)
    await boris.post(f"/friends/requests/{anna.id}/accept", expect=204)


async def strangers(anna: Person, boris: Person) -> None:
    pass


async def blocked(anna: Person, boris: Person) -> None:
    await anna.put(f"/blocks/{boris.id}", expect=204)


Scene = Callable[[Person, Person], Awaitable[Any]]
MUTATIONS: dict[str, tuple[Scene, Scene]] = {
    "ask": (strangers, asked),
    "ask back": (asked, lambda anna, boris: boris.post("/friends/requests", {"user_id": anna.id}, expect=200)),
    "accept": (asked, lambda anna, boris: boris.post(f"/friends/requests/{anna.id}/accept", expect=204)),
    "decline": (asked, lambda anna, boris: boris.post(f"/friends/requests/{anna.id}/decline", expect=204)),
    "withdraw": (asked, lambda anna, boris: anna.delete(f"/friends/requests/{boris.id}", expect=204)),
    "unfriend": (befriended, lambda anna, boris: anna.delete(f"/friends/{boris.id}", expect=204)),
    "be unfriended": (befriended, lambda anna, boris: boris.delete(f"/friends/{anna.id}", expect=204)),
    "block a stranger": (strangers, blocked),
    "block a friend": (befriended, blocked),
    "block whom one asked": (asked, blocked),
    "block who asked": (asked, lambda anna, boris: boris.put(f"/blocks/{anna.id}", expect=204)),
    "unblock": (blocked, lambda anna, boris: anna.delete(f"/blocks/{boris.id}", expect=204)),
}


class TestLive:
    @pytest.mark.parametrize("mutation", MUTATIONS)
    async def test_what_was_known_and_what_is_heard_make_what_is_read(self, cast: Cast, mutation: str) -> None:
        prepare, act = MUTATIONS[mutation]
        anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
        await prepare(anna, boris)
        people = (anna, boris, await anna.another_device())
        before = [await standings(person) for person in people]
        ears = [await person.connect("/notifications") for person in people]
        outside = await mallory.connect("/notifications")
        await act(anna, boris)
        after = [await standings(person) for person in people]
        for ear, person, old, new in zip(ears, people, before, after, strict=True):
            if old != new:
                await ear.heard("friend_changed")
            assert applied(old, ear) == new, (mutation, person.user["nickname"])
        assert after[0] == after[2] != before[0]
        await deaf_until(outside, mallory)

    @pytest.mark.parametrize("prepare", [strangers, asked, befriended])
    async def test_a_block_sounds_like_being_unfriended_or_like_nothing(self, cast: Cast, prepare: Scene) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await prepare(anna, boris)
        ear = await boris.connect("/notifications")
        await blocked(anna, boris)
        await anna.put(f"/blocks/{boris.id}", expect=204)  # once more
        await anna.delete(f"/blocks/{boris.id}", expect=204)
        await boris.patch("/users/me", {"intro": "the end"})
        await ear.heard("user_changed")
        heard = [payload for name, payload in ear.events if name == "friend_changed"]
        me = {"id": anna.id, "nickname": "Anna", "intro": "", "avatar_url": None}
        assert heard == ([] if prepare is strangers else [{"user": me, "relationship": "none"}])

    async def test_asking_again_says_nothing_again(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await asked(anna, boris)
        ear = await boris.connect("/notifications")
        assert await anna.post("/friends/requests", {"user_id": boris.id}, expect=201) == {"status": "pending"}
        await deaf_until(ear, boris)


class TestRequests:
    async def test_a_request_waits_on_both_sides(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        assert await anna.post("/friends/requests", {"user_id": boris.id}, expect=201) == {"status": "pending"}
        (outgoing,) = (await anna.get("/friends/requests", params={"direction": "outgoing"}))["items"]
        (incoming,) = (await boris.get("/friends/requests"))["items"]
        assert outgoing["user"] == {"id": boris.id, "nickname": "Boris", "intro": "", "avatar_url": None}
        assert incoming["user"] == {"id": anna.id, "nickname": "Anna", "intro": "", "avatar_url": None}
        assert outgoing["created_at"] == incoming["created_at"]
        assert (await anna.get("/friends/requests"))["items"] == []
        assert (await boris.get("/friends/requests", params={"direction": "outgoing"}))["items"] == []
        assert (await anna.get("/friends"))["items"] == (await boris.get("/friends"))["items"] == []

    async def test_who_had_asked_first_becomes_a_friend(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await asked(anna, boris)
        assert await boris.post("/friends/requests", {"user_id": anna.id}, expect=200) == {"status": "friends"}
        for one, other in ((anna, boris), (boris, anna)):
            assert [friend["id"] for friend in (await one.get("/friends"))["items"]] == [other.id]
            assert (await one.get("/friends/requests"))["items"] == []

    async def test_a_friend_cannot_be_asked(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await befriended(anna, boris)
        for one, other in ((anna, boris), (boris, anna)):
            assert (await one.post("/friends/requests", {"user_id": other.id}, expect=409))["code"] == "conflict"

    async def test_the_newest_comes_first_and_pages_join(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        asking = [await cast.join(name) for name in ("Boris", "Clara", "Dora", "Emil", "Fritz")]
        for person in asking:
            await asked(person, anna)
        whole = (await anna.get("/friends/requests"))["items"]
        assert sorted(whole, key=lambda item: (item["created_at"], item["user"]["id"]), reverse=True) == whole
        assert {item["user"]["id"] for item in whole} == {person.id for person in asking}
        paged: list[Any] = []
        cursor = None
        for _ in range(3):
            page = await anna.get("/friends/requests", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            paged, cursor = paged + page["items"], page["next_cursor"]
        assert (paged, cursor) == (whole, None)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/friends/requests/{id}/accept"),
            ("POST", "/friends/requests/{id}/decline"),
            ("DELETE", "/friends/requests/{id}"),
            ("DELETE", "/friends/{id}"),
        ],
    )
    async def test_what_is_not_there_is_not_found_whoever_it_is(self, cast: Cast, method: str, path: str) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        answers = [await anna.raw(method, path.format(id=each)) for each in (boris.id, NOBODY, anna.id)]
        assert [answer.status for answer in answers] == [404, 404, 404]
        assert {answer.json["code"] for answer in answers} == {"not_found"}

    async def test_only_the_one_who_was_asked_can_answer(self, cast: Cast) -> None:
        anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
        await asked(anna, boris)
        for person, other in ((anna, boris), (mallory, anna), (mallory, boris)):
            for answer in ("accept", "decline"):
                await person.post(f"/friends/requests/{other.id}/{answer}", expect=404)
        await boris.delete(f"/friends/requests/{anna.id}", expect=404)
        assert len((await boris.get("/friends/requests"))["items"]) == 1

    async def test_oneself_and_nobody_cannot_be_asked(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        problem = await anna.post("/friends/requests", {"user_id": anna.id}, expect=422)
        assert (problem["code"], problem["errors"][0]["field"]) == ("invalid", "user_id")
        assert (await anna.post("/friends/requests", {"user_id": NOBODY}, expect=404))["code"] == "not_found"

    @pytest.mark.parametrize("blocker", ["Anna", "Boris"])
    async def test_nobody_asks_across_a_block(self, cast: Cast, blocker: str) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        one, other = (anna, boris) if blocker == "Anna" else (boris, anna)
        await one.put(f"/blocks/{other.id}", expect=204)
        assert (await anna.post("/friends/requests", {"user_id": boris.id}, expect=403))["code"] == "blocked"
        await one.delete(f"/blocks/{other.id}", expect=204)
        await anna.post("/friends/requests", {"user_id": boris.id}, expect=201)


class TestFriends:
    async def test_friends_are_listed_by_nickname_in_pages(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        for name in ("clara", "Boris", "Dora"):
            await befriended(anna, await cast.join(name))
        first = await anna.get("/friends", params={"limit": 2})
        second = await anna.get("/friends", params={"limit": 2, "cursor": first["next_cursor"]})
        assert [friend["nickname"] for friend in first["items"] + second["items"]] == ["Boris", "clara", "Dora"]
        assert second["next_cursor"] is None
        assert (await anna.get("/friends", params={"cursor": "x"}, expect=422))["errors"][0]["field"] == "cursor"

    async def test_a_friend_has_all_that_is_promised(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await befriended(anna, boris)
        (friend,) = (await anna.get("/friends"))["items"]
        since = friend["since"]
        assert since.endswith("Z")
        assert friend == {
            "id": boris.id, "nickname": "Boris", "intro": "", "avatar_url": None,
            "since": since, "alias": None, "online": False, "last_seen_at": None,
        }  # fmt: skip
        assert [friend["since"] for friend in (await boris.get("/friends"))["items"]] == [since]

    async def test_an_alias_is_mine_alone(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await befriended(anna, boris)
        friend = await anna.patch(f"/friends/{boris.id}", {"alias": "  보리스 형  "}, expect=200)
        assert friend["alias"] == "보리스 형"
        assert (await anna.get("/friends"))["items"] == [friend]
        assert (await boris.get("/friends"))["items"][0]["alias"] is None
        await boris.patch(f"/friends/{anna.id}", {"alias": "Annie"}, expect=200)
        assert (await anna.get("/friends"))["items"] == [friend]
        assert (await anna.patch(f"/friends/{boris.id}", {"alias": None}, expect=200))["alias"] is None
        assert (await boris.get("/friends"))["items"][0]["alias"] == "Annie"

    @pytest.mark.parametrize("body", [{}, {"alias": ""}, {"alias": "x" * 51}, {"alias": 7}, {"name": "x"}])
    async def test_an_alias_is_a_name_of_at_most_fifty_characters(self, cast: Cast, body: dict[str, object]) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await befriended(anna, boris)
        await anna.patch(f"/friends/{boris.id}", body, expect=422)

    async def test_an_alias_is_for_friends(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await asked(anna, boris)
        for person in (anna, boris):
            for other in (anna.id, boris.id, NOBODY):
                await person.patch(f"/friends/{other}", {"alias": "x"}, expect=404)
        await boris.post(f"/friends/requests/{anna.id}/accept", expect=204)
        assert [(await person.get("/friends"))["items"][0]["alias"] for person in (anna, boris)] == [None, None]

    async def test_an_alias_ends_with_the_friendship(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await befriended(anna, boris)
        await anna.patch(f"/friends/{boris.id}", {"alias": "Bo"})
        await boris.delete(f"/friends/{anna.id}", expect=204)
        await befriended(boris, anna)
        assert (await anna.get("/friends"))["items"][0]["alias"] is None


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """What each call answered or raised; anything but a refusal fails."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, ChattyError):
            raise result
    return results


class TestAtOnce:
    """Twenty at once are twenty one after the other."""

    async def relations(self, house: House, one: UUID, other: UUID) -> tuple[str, str]:
        return (
            (await house.people.profile(one, other)).relationship,
            (await house.people.profile(other, one)).relationship,
        )

    def told(self, house: House, user_id: UUID) -> list[str]:
        return [event.change.relationship for event in house.heard_by(user_id) if isinstance(event, FriendChanged)]

    async def test_mutual_requests_make_one_friendship(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        answers = await outcomes(
            *(house.friends.request(*pair) for _ in range(10) for pair in ((anna, boris), (boris, anna)))
        )
        assert await self.relations(house, anna, boris) == ("friend", "friend")
        statuses = [answer.status for answer in answers if not isinstance(answer, ChattyError)]
        assert statuses.count("friends") == 1
        assert all(isinstance(answer, Conflict) for answer in answers if isinstance(answer, ChattyError))
        for one in (anna, boris):
            assert len((await house.friends.list_friends(one, PageQuery())).items) == 1
            assert self.told(house, one) in (["request_sent", "friend"], ["request_received", "friend"])

    async def test_one_request_is_made_of_twenty(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        answers = await outcomes(*(house.friends.request(anna, boris) for _ in range(20)))
        assert [answer.status for answer in answers] == ["pending"] * 20
        assert len((await house.friends.list_requests(boris, FriendRequestsQuery())).items) == 1
        assert (self.told(house, anna), self.told(house, boris)) == (["request_sent"], ["request_received"])

    async def test_a_request_is_accepted_or_withdrawn_or_declined_but_once(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await house.friends.request(anna, boris)
        answers = await outcomes(
            *(house.friends.accept(boris, anna) for _ in range(7)),
            *(house.friends.withdraw(anna, boris) for _ in range(7)),
            *(house.friends.decline(boris, anna) for _ in range(6)),
        )
        assert answers.count(None) == 1
        assert sum(isinstance(answer, NotFound) for answer in answers) == 19
        assert await self.relations(house, anna, boris) in [("friend", "friend"), ("none", "none")]
        assert len(self.told(house, anna)) == 2

    async def test_a_block_beats_every_request(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await outcomes(
            *(house.friends.request(boris, anna) for _ in range(9)),
            house.blocks.block(anna, boris),
            *(house.friends.request(anna, boris) for _ in range(10)),
        )
        assert await self.relations(house, anna, boris) == ("blocked", "none")
        for one in (anna, boris):
            assert (await house.friends.list_friends(one, PageQuery())).items == []
            for direction in ("incoming", "outgoing"):
                query = FriendRequestsQuery(direction=direction)  # type: ignore[arg-type]
                assert (await house.friends.list_requests(one, query)).items == []

    async def test_many_pairs_never_wait_for_each_other_in_a_ring(self, house: House) -> None:
        people = [await house.join(f"person {number}") for number in range(5)]
        pairs = [(one, other) for one in people for other in people if one != other]
        answers = await outcomes(*(house.friends.request(*pair) for pair in pairs))
        assert not [answer for answer in answers if isinstance(answer, ChattyError)]
        for one in people:
            assert len((await house.friends.list_friends(one, PageQuery())).items) == 4


class TestPredecessor:
    async def test_predecessor_32_friends_are_mine_whatever_the_path_says(self, cast: Cast) -> None:
        anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
        await befriended(anna, boris)
        for path in (f"/users/{anna.id}/friends", f"/friends/{anna.id}", f"/friends/requests/{anna.id}"):
            assert (await mallory.raw("GET", path)).status in (404, 405)
        await mallory.delete(f"/friends/{anna.id}", expect=404)
        await asked(mallory, anna)
        await mallory.post(f"/friends/requests/{anna.id}/accept", expect=404)  # one's own request, as the victim
        await mallory.post(f"/friends/requests/{mallory.id}/accept", expect=404)
        await mallory.post("/friends/requests", {"user_id": boris.id, "from_id": anna.id}, expect=422)
        assert (await mallory.get("/friends"))["items"] == []
        assert [friend["id"] for friend in (await anna.get("/friends"))["items"]] == [boris.id]

    async def test_predecessor_40_declining_does_not_accept(self, cast: Cast) -> None:
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await asked(anna, boris)
        await boris.post(f"/friends/requests/{anna.id}/accept?isAccept=false", expect=422)
        await boris.post(f"/friends/requests/{anna.id}/decline", expect=204)
        for person in (anna, boris):
            assert (await person.get("/friends"))["items"] == []
            assert (await person.get("/friends/requests"))["items"] == []
        await boris.post(f"/friends/requests/{anna.id}/accept", expect=404)

    async def test_predecessor_47_one_row_per_pair_of_two_who_exist(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        with pytest.raises(Invalid):
            await house.friends.request(anna, anna)
        with pytest.raises(NotFound):
            await house.friends.request(anna, UUID(NOBODY))
        await house.friends.request(anna, boris)
        await house.friends.request(boris, anna)
        async with house.database.snapshot() as reads:
            assert await reads._connection.scalar(select(func.count()).select_from(Friendship)) == 1
