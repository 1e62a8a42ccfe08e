"""Groups: made of friends, with roles; who is in hears, who was in hears nothing more (contract §4, §9)."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from .cast import Cast, Person, Service, Socket, draft
from .conftest import StartService

People = dict[str, Person]


@pytest.fixture
async def people(cast: Cast) -> People:
    """Anna with her friends Boris, Clara and 홍길동; Mallory, whom nobody knows."""
    found = {name: await cast.join(name) for name in ("Anna", "Boris", "Clara", "홍길동", "Mallory")}
    for name in ("Boris", "Clara", "홍길동"):
        await cast.befriend(found["Anna"], found[name])
    return found


async def make(owner: Person, *others: Person, name: str | None = "Hiking") -> dict[str, Any]:
    body = {"kind": "group", "name": name, "member_ids": [person.id for person in others]}
    made: dict[str, Any] = await owner.post("/rooms", body, expect=201)
    return made


async def say(person: Person, room: dict[str, Any], text: str = "hello") -> dict[str, Any]:
    sent: dict[str, Any] = (await person.post(f"/rooms/{room['id']}/messages", draft(text), expect=201))["message"]
    return sent


async def lines(person: Person, room: dict[str, Any]) -> list[Any]:
    items: list[Any] = (await person.get(f"/rooms/{room['id']}/messages"))["items"]
    return items


async def roles(person: Person, room: dict[str, Any]) -> dict[str, str]:
    shown = await person.get(f"/rooms/{room['id']}")
    return {member["user"]["nickname"]: member["role"] for member in shown["members"]}


async def heard_of_rooms(person: Person, socket: Socket) -> list[str]:
    """The names of all room events that reached a socket, up to a group that its owner makes now."""
    made = await make(person)
    while (await socket.heard("room_added"))["id"] != made["id"]:
        pass
    return [name for name, _ in socket.events if name not in ("ready", "presence_changed")][:-1]


def told(line: dict[str, Any]) -> tuple[str, str, list[str]]:
    """What a system line tells: its type, who did it, to whom."""
    assert line["kind"] == "system" and line["sender"] is None
    system = line["system"]
    return system["type"], system["actor"]["nickname"], sorted(each["nickname"] for each in system["targets"])


class TestMaking:
    async def test_everybody_has_a_new_group_at_once_with_a_line_that_is_not_unread(self, people: People) -> None:
        sockets = [await people[name].connect() for name in ("Anna", "Boris", "Clara")]
        mallorys = await people["Mallory"].connect()
        room = await make(people["Anna"], people["Boris"], people["Clara"])
        assert (room["kind"], room["name"], room["display_name"], room["member_count"]) == (
            "group",
            "Hiking",
            "Hiking",
            3,
        )
        assert (room["last_seq"], room["rev"], room["me"]["role"]) == (1, 1, "owner")
        assert told(room["last_message"]) == ("created", "Anna", ["Boris", "Clara"])
        for socket, role in zip(sockets, ("owner", "member", "member"), strict=True):
            added = await socket.heard("room_added")
            assert (added["id"], added["rev"], added["me"]["role"]) == (room["id"], 1, role)
            assert (added["me"]["unread_count"], added["me"]["first_seq"], added["me"]["read_seq"]) == (0, 1, 1)
        assert await people["Boris"].get(f"/rooms/{room['id']}") | {"me": None} == room | {"me": None}
        assert await heard_of_rooms(people["Mallory"], mallorys) == []

    async def test_a_group_is_made_of_friends_alone(self, people: People) -> None:
        anna = people["Anna"]
        for stranger in (people["Mallory"].id, str(uuid4())):
            body = {"kind": "group", "member_ids": [people["Boris"].id, stranger]}
            refused = await anna.raw("POST", "/rooms", body)
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
        assert (await people["Boris"].get("/rooms"))["items"] == []

    async def test_naming_somebody_twice_or_oneself_does_no_harm(self, people: People) -> None:
        room = await make(people["Anna"], people["Boris"], people["Boris"], people["Anna"])
        assert room["member_count"] == 2

    async def test_a_group_without_a_name_shows_its_other_members(self, people: People) -> None:
        room = await make(people["Anna"], people["Boris"], people["홍길동"], name=None)
        assert (room["name"], room["display_name"]) == (None, "Boris, 홍길동")
        theirs = await people["홍길동"].get(f"/rooms/{room['id']}")
        assert theirs["display_name"] == "Anna, Boris"

    @pytest.mark.parametrize("name", ["", " ", "\u200b", "two\nlines", "x" * 101, 7, "\u202eevil"])
    async def test_a_name_is_one_visible_line(self, people: People, name: Any) -> None:
        refused = await people["Anna"].raw("POST", "/rooms", {"kind": "group", "name": name, "member_ids": []})
        assert (refused.status, [each["field"] for each in refused.json["errors"]]) == (422, ["name"])

    async def test_a_name_is_kept_in_its_composed_form(self, people: People) -> None:
        room = await make(people["Anna"], name="\u1100\u1161\u11bc\u1105\u1173\u11bc")
        assert room["name"] == "강릉"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "kind"),
            ({"kind": "channel"}, "kind"),
            ({"kind": "group"}, "member_ids"),
            ({"kind": "group", "member_ids": "all"}, "member_ids"),
            ({"kind": "group", "member_ids": ["x"]}, "member_ids.0"),
            ({"kind": "group", "member_ids": [], "user_id": str(UUID(int=7))}, "user_id"),
            ({"kind": "direct"}, "user_id"),
            ({"kind": "direct", "user_id": str(UUID(int=7)), "name": "us"}, "name"),
        ],
    )
    async def test_what_is_wrong_with_a_new_room_is_said(self, people: People, body: Any, field: str) -> None:
        refused = await people["Anna"].raw("POST", "/rooms", body)
        assert (refused.status, [each["field"] for each in refused.json["errors"]]) == (422, [field])

    async def test_a_group_has_at_most_as_many_members_as_the_setting_says(self, start_service: StartService) -> None:
        cast = Cast(await start_service(group_members=3))
        anna, *others = [await cast.join(name) for name in ("Anna", "Boris", "Clara", "Dora")]
        for other in others:
            await cast.befriend(anna, other)
        body = {"kind": "group", "member_ids": [other.id for other in others]}
        refused = await anna.raw("POST", "/rooms", body)
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        room = await make(anna, *others[:2])
        refused = await anna.raw("POST", f"/rooms/{room['id']}/members", {"user_ids": [others[2].id]})
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        assert (await anna.get(f"/rooms/{room['id']}"))["member_count"] == 3


class TestInviting:
    async def test_a_newcomer_reads_from_the_line_that_says_so(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, boris)
        await say(anna, room, "before Clara")
        claras, boriss = await clara.connect(), await boris.connect()
        answer = await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [clara.id]}, expect=200)
        assert (answer["member_count"], answer["last_seq"], answer["rev"]) == (3, 3, 4)
        added = await claras.heard("room_added")
        assert (added["rev"], added["last_seq"], added["me"]["first_seq"], added["me"]["unread_count"]) == (4, 3, 3, 0)
        assert told(added["last_message"]) == ("joined", "Anna", ["Clara"])
        line, change = await boriss.heard("message_sent"), await boriss.heard("room_changed")
        assert (line["rev"], told(line)) == (3, ("joined", "Anna", ["Clara"]))
        assert (change["rev"], change["member_count"]) == (4, 3)
        assert [(each["user"]["id"], each["role"]) for each in change["joined"]] == [(clara.id, "member")]
        assert change.keys() == {"room_id", "rev", "member_count", "joined"}
        assert [each["seq"] for each in await lines(clara, room)] == [3]
        await say(boris, room, "welcome")
        assert (await claras.heard("message_sent"))["system"]
        assert (await claras.heard("message_sent"))["text"] == "welcome"

    async def test_every_member_may_invite_friends_and_nobody_else(self, people: People, cast: Cast) -> None:
        anna, boris, clara, mallory = (people[name] for name in ("Anna", "Boris", "Clara", "Mallory"))
        room = await make(anna, boris)
        members = f"/rooms/{room['id']}/members"
        for whom in ([clara.id], [mallory.id], [str(uuid4())], [boris.id, mallory.id]):
            refused = await boris.raw("POST", members, {"user_ids": whom})
            assert (refused.status, refused.json["code"]) == (403, "forbidden")
        await cast.befriend(boris, mallory)
        assert (await boris.post(members, {"user_ids": [mallory.id]}, expect=200))["member_count"] == 3
        assert (await anna.get(f"/rooms/{room['id']}"))["last_seq"] == 2

    async def test_who_is_in_already_stays_as_they_are(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, boris, clara)
        before = await boris.get(f"/rooms/{room['id']}")
        for inviting in (anna, boris):  # Boris and Clara are no friends
            answer = await inviting.post(f"/rooms/{room['id']}/members", {"user_ids": [boris.id, clara.id]}, expect=200)
            assert answer["rev"] == before["rev"]
        assert await boris.get(f"/rooms/{room['id']}") == before

    async def test_two_who_invite_the_same_person_add_them_once(self, people: People, cast: Cast) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        await cast.befriend(boris, clara)
        room = await make(anna, boris)
        await asyncio.gather(
            *(
                each.post(f"/rooms/{room['id']}/members", {"user_ids": [clara.id]}, expect=200)
                for each in (anna, boris) * 5
            )
        )
        shown = await clara.get(f"/rooms/{room['id']}")
        assert (shown["member_count"], shown["last_seq"], shown["rev"], shown["me"]["first_seq"]) == (3, 2, 3, 2)

    async def test_a_direct_room_stays_with_its_two(self, people: People, cast: Cast) -> None:
        room_id = await cast.direct_room(people["Anna"], people["Boris"])
        invitation = {"user_ids": [people["Clara"].id]}
        assert (await people["Anna"].raw("POST", f"/rooms/{room_id}/members", invitation)).status == 403

    @pytest.mark.parametrize("body", [{}, {"user_ids": []}, {"user_ids": None}, {"user_ids": ["x"]}])
    async def test_an_invitation_names_somebody(self, people: People, body: Any) -> None:
        room = await make(people["Anna"])
        await people["Anna"].post(f"/rooms/{room['id']}/members", body, expect=422)


class TestRoles:
    async def test_only_the_owner_gives_roles(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, boris, clara)
        clarass = await clara.connect()
        assert await self.give(anna, room, boris, "admin") == 200
        change = await clarass.heard("room_changed")
        assert change == {"room_id": room["id"], "rev": 2, "roles": {boris.id: "admin"}}
        for one in (boris, clara):
            for other in (anna, boris, clara):
                assert await self.give(one, room, other, "member") == 403
        assert await roles(clara, room) == {"Anna": "owner", "Boris": "admin", "Clara": "member"}

    async def test_the_same_role_again_changes_nothing(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        assert [await self.give(anna, room, boris, "member"), await self.give(anna, room, anna, "owner")] == [200, 200]
        assert (await anna.get(f"/rooms/{room['id']}"))["rev"] == 1

    async def test_an_owner_hands_the_group_over_and_is_an_admin_then(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        assert await self.give(anna, room, anna, "member") == 403
        boriss = await boris.connect()
        assert await self.give(anna, room, boris, "owner") == 200
        assert (await boriss.heard("room_changed"))["roles"] == {anna.id: "admin", boris.id: "owner"}
        assert await roles(anna, room) == {"Anna": "admin", "Boris": "owner"}
        assert await self.give(anna, room, boris, "member") == 403

    async def test_who_is_not_in_the_group_gets_no_role(self, people: People, cast: Cast) -> None:
        anna = people["Anna"]
        room = await make(anna, people["Boris"])
        assert await self.give(anna, room, people["Clara"], "admin") == 404
        assert await self.give(people["Mallory"], room, people["Boris"], "admin") == 404
        direct = {"id": await cast.direct_room(anna, people["Boris"])}
        assert await self.give(anna, direct, people["Boris"], "admin") == 403

    async def give(self, giver: Person, room: dict[str, Any], member: Person, role: str) -> int:
        return (await giver.raw("PATCH", f"/rooms/{room['id']}/members/{member.id}", {"role": role})).status


class TestLeaving:
    async def test_who_leaves_reads_and_hears_nothing_more(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        message = await say(anna, room, "while you were here")
        annas, boriss = await anna.connect(), await boris.connect()
        await boris.post(f"/rooms/{room['id']}/leave", expect=204)
        assert await boriss.heard("room_removed") == {"room_id": room["id"]}
        line, change = await annas.heard("message_sent"), await annas.heard("room_changed")
        assert (told(line), line["rev"]) == (("left", "Boris", []), 3)
        assert change == {"room_id": room["id"], "rev": 4, "member_count": 1, "left": [boris.id]}
        await say(anna, room, "alone at last")
        assert await heard_of_rooms(boris, boriss) == ["room_removed"]
        for method, path, body in self.doors(room, message, anna):
            answer = await boris.raw(method, path, body)
            assert (answer.status, answer.json["code"]) == (404, "not_found"), path
        assert room["id"] not in [each["id"] for each in (await boris.get("/rooms"))["items"]]

    def doors(self, room: dict[str, Any], message: dict[str, Any], anna: Person) -> list[tuple[str, str, Any]]:
        at = f"/rooms/{room['id']}"
        return [
            ("GET", at, None),
            ("GET", f"{at}/messages", None),
            ("POST", f"{at}/messages", draft()),
            ("GET", f"{at}/members", None),
            ("POST", f"{at}/members", {"user_ids": [anna.id]}),
            ("PATCH", at, {"notice_id": message["id"]}),
            ("PATCH", f"{at}/me", {"pinned": True}),
            ("PATCH", f"{at}/members/{anna.id}", {"role": "member"}),
            ("DELETE", f"{at}/members/{anna.id}", None),
            ("POST", f"{at}/leave", None),
        ]

    async def test_a_quiet_leave_writes_no_line(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        annas = await anna.connect()
        await boris.post(f"/rooms/{room['id']}/leave", {"quiet": True}, expect=204)
        change = await annas.heard("room_changed")
        assert change == {"room_id": room["id"], "rev": 2, "member_count": 1, "left": [boris.id]}
        assert "message_sent" not in [name for name, _ in annas.events]
        assert [each["seq"] for each in await lines(anna, room)] == [1]

    async def test_who_comes_back_begins_anew(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        await boris.post(f"/rooms/{room['id']}/leave", expect=204)
        await say(anna, room, "not for Boris")
        await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [boris.id]}, expect=200)
        back = await boris.get(f"/rooms/{room['id']}")
        assert (back["me"]["first_seq"], back["me"]["unread_count"], back["last_seq"]) == (4, 0, 4)
        assert [each["seq"] for each in await lines(boris, room)] == [4]

    async def test_the_longest_serving_admin_follows_the_owner(self, people: People) -> None:
        anna, boris, clara, gildong = (people[name] for name in ("Anna", "Boris", "Clara", "홍길동"))
        room = await make(anna, boris)
        for late in (clara, gildong):
            await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [late.id]}, expect=200)
        for admin in (gildong, clara):
            await anna.patch(f"/rooms/{room['id']}/members/{admin.id}", {"role": "admin"}, expect=200)
        boriss = await boris.connect()
        await anna.post(f"/rooms/{room['id']}/leave", expect=204)
        change = await boriss.heard("room_changed")
        assert (change["left"], change["roles"]) == ([anna.id], {clara.id: "owner"})
        assert await roles(boris, room) == {"Boris": "member", "Clara": "owner", "홍길동": "admin"}

    async def test_without_an_admin_the_longest_serving_member_follows(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, clara)
        await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [boris.id]}, expect=200)
        await anna.delete(f"/rooms/{room['id']}/members/{anna.id}", expect=204)
        assert await roles(boris, room) == {"Boris": "member", "Clara": "owner"}

    async def test_with_its_last_member_a_group_is_gone(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        await say(anna, room)
        answers = await asyncio.gather(*(each.raw("POST", f"/rooms/{room['id']}/leave") for each in (anna, boris)))
        assert [answer.status for answer in answers] == [204, 204]
        for each in (anna, boris):
            assert (await each.raw("GET", f"/rooms/{room['id']}")).status == 404

    async def test_inviting_and_leaving_at_once_end_in_a_group_that_agrees(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, boris, clara)
        for _ in range(5):
            await asyncio.gather(
                boris.raw("POST", f"/rooms/{room['id']}/leave"),
                anna.raw("POST", f"/rooms/{room['id']}/members", {"user_ids": [boris.id, clara.id]}),
                clara.raw("POST", f"/rooms/{room['id']}/messages", draft()),
                boris.raw("POST", f"/rooms/{room['id']}/messages", draft()),
            )
        await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [boris.id]}, expect=200)
        assert await roles(boris, room) == {"Anna": "owner", "Boris": "member", "Clara": "member"}
        seqs = [each["seq"] for each in await lines(anna, room)]
        assert seqs == list(range(1, len(seqs) + 1))


class TestRemoving:
    async def test_admins_remove_members_and_the_owner_anybody(self, people: People) -> None:
        anna, boris, clara, gildong = (people[name] for name in ("Anna", "Boris", "Clara", "홍길동"))
        room = await make(anna, boris, clara, gildong)
        for admin in (boris, clara):
            await anna.patch(f"/rooms/{room['id']}/members/{admin.id}", {"role": "admin"}, expect=200)
        assert await self.remove(gildong, room, boris) == 403
        assert await self.remove(boris, room, anna) == 403
        assert await self.remove(boris, room, clara) == 403
        assert await self.remove(boris, room, people["Mallory"]) == 404
        assert await self.remove(people["Mallory"], room, boris) == 404
        assert await self.remove(boris, room, gildong) == 204
        assert await self.remove(anna, room, clara) == 204
        assert await roles(boris, room) == {"Anna": "owner", "Boris": "admin"}

    async def test_who_is_removed_hears_that_and_nothing_more(self, people: People) -> None:
        anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
        room = await make(anna, boris, clara)
        boriss, clarass = await boris.connect(), await clara.connect()
        assert await self.remove(anna, room, boris) == 204
        assert await boriss.heard("room_removed") == {"room_id": room["id"]}
        line, change = await clarass.heard("message_sent"), await clarass.heard("room_changed")
        assert (told(line), change["left"], change["rev"]) == (
            ("removed", "Anna", ["Boris"]),
            [boris.id],
            line["rev"] + 1,
        )
        await say(anna, room, "about Boris")
        await clarass.heard("message_sent")
        assert await heard_of_rooms(boris, boriss) == ["room_removed"]

    async def test_what_was_removed_while_sending_is_stored_before_or_refused(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        sends = [boris.raw("POST", f"/rooms/{room['id']}/messages", draft(f"{number}")) for number in range(8)]
        *answers, removed = await asyncio.gather(*sends, self.remove(anna, room, boris))
        assert removed == 204
        stored = [answer.json["message"]["seq"] for answer in answers if answer.status == 201]
        assert {answer.status for answer in answers} <= {201, 404}
        seen = await lines(anna, room)
        (gone,) = (line["seq"] for line in seen if line["kind"] == "system" and line["system"]["type"] == "removed")
        assert all(seq < gone for seq in stored)
        assert len(seen) == 2 + len(stored)

    async def test_nobody_is_removed_from_a_direct_room(self, people: People, cast: Cast) -> None:
        room = {"id": await cast.direct_room(people["Anna"], people["Boris"])}
        assert await self.remove(people["Anna"], room, people["Boris"]) == 403

    async def remove(self, remover: Person, room: dict[str, Any], member: Person) -> int:
        return (await remover.raw("DELETE", f"/rooms/{room['id']}/members/{member.id}")).status


class TestBlocks:
    async def test_in_a_group_a_block_changes_nothing(self, people: People) -> None:
        anna, boris = people["Anna"], people["Boris"]
        room = await make(anna, boris)
        await anna.put(f"/blocks/{boris.id}", expect=204)
        annas = await anna.connect()
        await say(boris, room, "still here")
        assert (await annas.heard("message_sent"))["text"] == "still here"
        assert await roles(anna, room) == {"Anna": "owner", "Boris": "member"}


async def test_members_are_paged_the_earliest_first(people: People) -> None:
    anna = people["Anna"]
    room = await make(anna)
    names = ["Anna", "Clara", "Boris", "홍길동"]
    for name in names[1:]:
        await anna.post(f"/rooms/{room['id']}/members", {"user_ids": [people[name].id]}, expect=200)
    first = await anna.get(f"/rooms/{room['id']}/members", params={"limit": 3})
    rest = await anna.get(f"/rooms/{room['id']}/members", params={"limit": 3, "cursor": first["next_cursor"]})
    paged = first["items"] + rest["items"]
    assert [member["user"]["nickname"] for member in paged] == names
    assert (len(first["items"]), rest["next_cursor"]) == (3, None)
    assert paged == (await anna.get(f"/rooms/{room['id']}"))["members"]


async def test_what_waited_for_a_room_is_judged_by_the_membership_under_its_lock(
    service: Service, database: str, people: People
) -> None:
    if database == "sqlite":
        pytest.skip("one transaction at a time")
    anna, boris, clara = people["Anna"], people["Boris"], people["Clara"]
    room = await make(anna, boris, clara)
    room_id = UUID(room["id"])
    await anna.patch(f"/rooms/{room['id']}/members/{boris.id}", {"role": "admin"}, expect=200)
    sent = await say(anna, room)
    async with service.parts.database.transaction() as tx:
        await tx.rooms.joined_by_and_locked(UUID(anna.id), room_id)
        await tx.members.change(room_id, UUID(boris.id), role="member")
        await tx.members.change(room_id, UUID(clara.id), first_seq=sent["seq"] + 1)
        renaming = asyncio.create_task(boris.raw("PATCH", f"/rooms/{room['id']}", {"name": "Swimming"}))
        reacting = asyncio.create_task(clara.raw("PUT", f"/messages/{sent['id']}/reactions/👍"))
        await asyncio.sleep(0.5)
        assert not renaming.done() and not reacting.done()
    assert ((await renaming).status, (await reacting).status) == (403, 404)


async def test_a_former_member_who_repeats_an_answer_does_not_see_what_it_answered(people: People) -> None:
    anna, boris = people["Anna"], people["Boris"]
    room = await make(anna, boris)
    answer = draft("yes", reply_to=(await say(anna, room, "secret?"))["id"])
    path = f"/rooms/{room['id']}/messages"
    assert (await boris.post(path, answer, expect=201))["message"]["reply_to"]
    await boris.post(f"/rooms/{room['id']}/leave", expect=204)
    assert (await boris.post(path, answer, expect=200))["message"]["reply_to"] is None
