"""The list of notifications and marking them read: what somebody is told, and what nobody is told (contract §7, §8)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from src.clock import now
from src.db.excerpts import excerpt
from src.db.models import Notification
from src.services.housekeeping import Housekeeping

from .cast import Attachment, Cast, Person, Service, draft
from .notified import listed, say, told, unread


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    await boris.post("/notifications/read", {"all": True}, expect=200)
    return boris


@pytest.fixture
async def room(cast: Cast, anna: Person, boris: Person) -> str:
    return await cast.direct_room(anna, boris)


async def make_group(owner: Person, *members: Person) -> str:
    """A group whose invitations are read."""
    body = {"kind": "group", "member_ids": [each.id for each in members]}
    group = (await owner.post("/rooms", body, expect=201))["id"]
    for each in members:
        await each.post("/notifications/read", {"all": True}, expect=200)
    return str(group)


async def mark(person: Person, *ids: str) -> int:
    answer = await person.post("/notifications/read", {"ids": [*ids]}, expect=200)
    return int(answer["unread"])


class TestMessages:
    async def test_make_one_notification_of_a_room(self, anna: Person, boris: Person, room: str) -> None:
        await say(anna, room, "first")
        last = await say(anna, room, "second")
        (note,) = await unread(boris)
        assert note == {
            "id": room,
            "kind": "message",
            "actor": {name: anna.user[name] for name in ("id", "nickname", "intro", "avatar_url")},
            "room_id": room,
            "message_id": last["id"],
            "preview": "second",
            "count": 2,
            "created_at": last["created_at"],
            "read_at": None,
        }
        assert await told(anna) == []

    async def test_reading_the_room_reads_it(self, anna: Person, boris: Person, room: str) -> None:
        for text in ("first", "second"):
            await say(anna, room, text)
        await boris.post(f"/rooms/{room}/read", {"seq": 1}, expect=200)
        assert await told(boris) == [("message", 1)]
        await (await boris.connect()).call("mark_read", {"room_id": room, "seq": 2})
        assert await told(boris) == []

    async def test_so_does_writing_in_it(self, anna: Person, boris: Person, room: str) -> None:
        await say(anna, room)
        await say(boris, room)
        assert await told(boris) == []

    async def test_marked_read_it_hides_until_the_next_and_the_room_stays_unread(
        self, anna: Person, boris: Person, room: str
    ) -> None:
        chat = await anna.connect()
        await say(anna, room)
        assert await mark(boris, room) == 0
        assert await told(boris) == []
        mine = (await boris.get(f"/rooms/{room}"))["me"]
        assert (mine["read_seq"], mine["unread_count"]) == (0, 1)
        await say(anna, room)
        assert await told(boris) == [("message", 2)]
        await chat.call("nothing_of_that_name")
        assert "room_read" not in [name for name, _ in chat.events]
        receipts = await anna.get(f"/rooms/{room}/messages")
        assert (await anna.get(f"/messages/{receipts['items'][0]['id']}/receipts"))["items"] == []

    async def test_of_a_muted_room_make_none_until_it_is_muted_no_more(
        self, anna: Person, boris: Person, room: str
    ) -> None:
        await boris.patch(f"/rooms/{room}/me", {"muted_until": "2099-01-01T00:00:00.000Z"}, expect=200)
        await say(anna, room)
        assert await told(boris) == []
        await boris.patch(f"/rooms/{room}/me", {"muted_until": None}, expect=200)
        assert await told(boris) == [("message", 1)]

    async def test_of_the_house_make_none(self, anna: Person, boris: Person) -> None:
        group = await make_group(anna, boris)
        await anna.patch(f"/rooms/{group}", {"name": "Hiking"}, expect=200)
        assert await told(boris) == []
        line = await say(anna, group, "hello")
        await anna.patch(f"/rooms/{group}", {"name": "Climbing"}, expect=200)
        assert [(note["message_id"], note["count"]) for note in await unread(boris)] == [(line["id"], 1)]

    async def test_that_are_deleted_are_counted_and_show_nothing(self, anna: Person, boris: Person, room: str) -> None:
        line = await say(anna, room, "a secret")
        await anna.delete(f"/messages/{line['id']}", expect=200)
        (note,) = await unread(boris)
        assert (note["preview"], note["count"], note["message_id"]) == (None, 1, line["id"])

    async def test_with_files_show_the_name_of_the_first(self, anna: Person, boris: Person, room: str) -> None:
        files = Attachment("letter.txt", b"Dear Boris"), Attachment("more.txt", b"and so on")
        await anna.send(room, *files)
        assert [note["preview"] for note in await unread(boris)] == ["letter.txt"]
        await anna.send(room, *files, text="look")
        assert [note["preview"] for note in await unread(boris)] == ["look"]

    async def test_of_a_room_that_was_left_are_gone_and_the_next_begins_anew(
        self, anna: Person, boris: Person, room: str
    ) -> None:
        await say(anna, room)
        await boris.post(f"/rooms/{room}/leave", {}, expect=204)
        assert await told(boris) == []
        await say(anna, room, "are you there?")
        assert await told(boris) == [("message", 1)]


class TestMentions:
    async def test_are_told_beside_the_room(self, anna: Person, boris: Person) -> None:
        group = await make_group(anna, boris)
        line = await say(anna, group, "look,\n\n@Boris", mentions=[boris.id, anna.id])
        mention, message = sorted(await unread(boris), key=lambda note: note["kind"])[::-1]
        assert (message["kind"], mention["kind"]) == ("mention", "message")
        assert (message["preview"], message["message_id"], message["count"]) == ("look, @Boris", line["id"], 1)
        assert await told(anna) == []

    async def test_in_a_muted_room_are_told(self, anna: Person, boris: Person) -> None:
        group = await make_group(anna, boris)
        await boris.patch(f"/rooms/{group}/me", {"muted_until": "2099-01-01T00:00:00.000Z"}, expect=200)
        await say(anna, group, mentions=[boris.id])
        assert await told(boris) == [("mention", 1)]
        await boris.put("/notifications/preferences", {"kinds": {"mention": {"in_app": False}}}, expect=200)
        assert await told(boris) == []

    @pytest.mark.parametrize("way", ["rest", "socket", "sending", "marking"])
    async def test_are_read_with_the_room_in_every_way_and_say_when(
        self, anna: Person, boris: Person, way: str
    ) -> None:
        group = await make_group(anna, boris)
        line = await say(anna, group, mentions=[boris.id])
        (mention,) = [note for note in await unread(boris) if note["kind"] == "mention"]
        if way == "rest":
            await boris.post(f"/rooms/{group}/read", {"seq": line["seq"]}, expect=200)
        elif way == "socket":
            await (await boris.connect()).call("mark_read", {"room_id": group, "seq": line["seq"]})
        elif way == "sending":
            await say(boris, group)
            await say(boris, group)
        else:
            assert await mark(boris, mention["id"], group) == 0
        assert await told(boris) == []
        (after,) = [note for note in await listed(boris) if note["kind"] == "mention"]
        assert after == mention | {"read_at": after["read_at"]}
        assert after["read_at"] >= line["created_at"]

    async def test_of_deleted_messages_are_gone(self, anna: Person, boris: Person) -> None:
        group = await make_group(anna, boris)
        line = await say(anna, group, mentions=[boris.id])
        await anna.delete(f"/messages/{line['id']}", expect=200)
        assert await told(boris) == [("message", 1)]
        assert [note["kind"] for note in await listed(boris)].count("mention") == 0

    async def test_of_before_somebody_left_are_not_theirs_any_more(self, anna: Person, boris: Person) -> None:
        group = await make_group(anna, boris)
        await say(anna, group, mentions=[boris.id])
        await boris.post(f"/rooms/{group}/leave", {}, expect=204)
        assert await told(boris) == []
        await anna.post(f"/rooms/{group}/members", {"user_ids": [boris.id]}, expect=200)
        assert await told(boris) == [("room_invite", 1)]
        await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)
        assert await told(boris) == []


class TestReactions:
    async def test_to_mine_are_told_with_the_emoji(self, anna: Person, boris: Person, room: str) -> None:
        line = await say(boris, room, "hello")
        await anna.put(f"/messages/{line['id']}/reactions/👍", expect=200)
        await boris.put(f"/messages/{line['id']}/reactions/🙂", expect=200)
        (note,) = await unread(boris)
        assert (note["kind"], note["preview"], note["actor"]["id"]) == ("reaction", "👍", anna.id)
        assert (note["message_id"], note["room_id"]) == (line["id"], room)
        assert await told(anna) == [("message", 1)]

    async def test_that_are_taken_back_are_gone(self, anna: Person, boris: Person, room: str) -> None:
        line = await say(boris, room, "hello")
        await anna.put(f"/messages/{line['id']}/reactions/👍", expect=200)
        await anna.delete(f"/messages/{line['id']}/reactions/👍", expect=200)
        assert await told(boris) == []

    async def test_in_muted_rooms_are_not_told(self, anna: Person, boris: Person, room: str) -> None:
        line = await say(boris, room, "hello")
        await boris.patch(f"/rooms/{room}/me", {"muted_until": "2099-01-01T00:00:00.000Z"}, expect=200)
        await anna.put(f"/messages/{line['id']}/reactions/👍", expect=200)
        assert await told(boris) == []


class TestFriendsAndInvitations:
    async def test_requests_and_acceptances_are_told(self, cast: Cast, anna: Person) -> None:
        vera = await cast.join("Vera")
        await vera.post("/friends/requests", {"user_id": anna.id}, expect=201)
        (note,) = await unread(anna)
        assert (note["kind"], note["actor"]["id"], note["preview"]) == ("friend_request", vera.id, None)
        await anna.post(f"/friends/requests/{vera.id}/accept", expect=204)
        assert await unread(anna) == []
        assert [note["kind"] for note in await unread(vera)] == ["friend_accepted"]

    @pytest.mark.parametrize("how", ["withdrawn", "declined", "deleted"])
    async def test_a_request_that_is_no_more_is_gone(self, cast: Cast, anna: Person, how: str) -> None:
        vera = await cast.join("Vera")
        await vera.post("/friends/requests", {"user_id": anna.id}, expect=201)
        if how == "withdrawn":
            await vera.delete(f"/friends/requests/{anna.id}", expect=204)
        elif how == "declined":
            await anna.post(f"/friends/requests/{vera.id}/decline", expect=204)
        else:
            await vera.delete("/users/me", {"password": vera.password}, expect=204)
        assert await listed(anna) == []

    async def test_an_invitation_is_told_and_read_with_the_group(self, anna: Person, boris: Person) -> None:
        body = {"kind": "group", "member_ids": [boris.id]}
        group = (await anna.post("/rooms", body, expect=201))["id"]
        (note,) = await unread(boris)
        assert (note["kind"], note["room_id"], note["actor"]["id"]) == ("room_invite", group, anna.id)
        await boris.post(f"/rooms/{group}/read", {"seq": 1}, expect=200)
        assert await unread(boris) == []


class TestWhomNobodyIsToldOf:
    @pytest.mark.parametrize("blocker", ["anna", "boris"])
    async def test_who_is_across_a_block(
        self, cast: Cast, anna: Person, boris: Person, room: str, blocker: str
    ) -> None:
        vera = await cast.join("Vera")
        await cast.befriend(anna, vera)
        group = await make_group(anna, boris, vera)
        mine = await say(boris, group, "mine")
        await say(anna, room, "hello")
        await say(vera, group, "by Vera")
        await say(anna, group, "by Anna", mentions=[boris.id])
        await anna.put(f"/messages/{mine['id']}/reactions/👍", expect=200)
        assert sorted(await told(boris)) == [("mention", 1), ("message", 1), ("message", 2), ("reaction", 1)]
        one, other = (anna, boris) if blocker == "anna" else (boris, anna)
        await one.put(f"/blocks/{other.id}", expect=204)
        (note,) = await unread(boris)
        assert (note["room_id"], note["count"], note["preview"]) == (group, 1, "by Vera")
        assert not [note for note in await listed(boris) if note["actor"]["id"] == anna.id]
        await say(anna, group, "across the block", mentions=[boris.id])
        assert await told(boris) == [("message", 1)]
        assert await mark(boris, str(uuid4())) == 1
        await one.delete(f"/blocks/{other.id}", expect=204)
        told_again = await told(boris)
        assert ("message", 3) in told_again
        assert told_again.count(("mention", 1)) == 1, "of what was said across the block"

    async def test_who_has_deleted_the_account_stays_nameless_in_what_they_said(
        self, anna: Person, boris: Person
    ) -> None:
        group = await make_group(anna, boris)
        await say(anna, group, "farewell", mentions=[boris.id])
        await anna.delete("/users/me", {"password": anna.password}, expect=204)
        assert [(note["kind"], note["actor"]["nickname"]) for note in await unread(boris)] == [
            ("mention", None),
            ("message", None),
        ]

    async def test_strangers_are_told_nothing_and_mark_nothing(
        self, cast: Cast, anna: Person, boris: Person, room: str
    ) -> None:
        mallory = await cast.join("Mallory")
        group = await make_group(anna, boris)
        await say(anna, group, mentions=[boris.id])
        await say(anna, room)
        ids = [note["id"] for note in await unread(boris)]
        assert await mark(mallory, *ids) == 0
        assert await listed(mallory) == []
        assert [note["id"] for note in await unread(boris)] == ids


class TestTheList:
    async def test_pages_through_rooms_and_rows_by_time(self, cast: Cast, anna: Person, boris: Person) -> None:
        groups = [await make_group(anna, boris) for _ in range(6)]
        for place, group in enumerate(groups):
            await say(anna, group, f"{place}", mentions=[boris.id] if place % 2 else [])
        whole = await listed(boris)
        order = [(note["created_at"], note["id"]) for note in whole]
        assert order == sorted(order, reverse=True)
        assert len(whole) == 6 + 3 + 6 + 1  # rooms, mentions, invitations, a request
        for limit in (1, 2, 5):
            assert await listed(boris, limit=limit) == whole
        assert await listed(boris, "&unread=1", limit=2) == [note for note in whole if not note["read_at"]]

    @pytest.mark.parametrize("query", ["unread=2", "unread=true", "limit=0", "cursor=x", "kind=message"])
    async def test_refuses_what_it_does_not_know(self, anna: Person, query: str) -> None:
        await anna.get(f"/notifications?{query}", expect=422)

    async def test_keeps_what_is_told_for_so_long(self, service: Service, anna: Person, boris: Person) -> None:
        assert [note["kind"] for note in await listed(boris)] == ["friend_request"]
        for days, kept in ((89, 1), (91, 0)):
            async with service.parts.database.transaction() as tx:
                moved = update(Notification).where(Notification.user_id == UUID(boris.id))
                await tx._connection.execute(moved.values(created_at=now() - timedelta(days=days)))
            await Housekeeping(service.parts.database, service.settings.notifications.kept).sweep()
            assert len(await listed(boris)) == kept


class TestMarkingRead:
    async def test_takes_some_or_all_and_nothing_else(self, anna: Person) -> None:
        for body in (
            {},
            {"ids": [], "all": True},
            {"all": False},
            {"all": 1},
            {"ids": None},
            {"ids": ["x"]},
            {"id": []},
        ):
            await anna.post("/notifications/read", body, expect=422)
        await anna.post("/notifications/read", {"ids": [str(uuid4())] * 101}, expect=422)
        assert await mark(anna) == 0
        assert await mark(anna, str(uuid4()), anna.id) == 0

    async def test_all_are_all_there_are_also_in_muted_rooms(self, anna: Person, boris: Person, room: str) -> None:
        group = await make_group(anna, boris)
        await boris.patch(f"/rooms/{group}/me", {"muted_until": "2099-01-01T00:00:00.000Z"}, expect=200)
        for each in (room, group):
            await say(anna, each, mentions=[boris.id])
        bell = await boris.connect("/notifications")
        assert await bell.call("mark_notifications_read", {"all": True}) == {"ok": True, "unread": 0}
        assert await unread(boris) == []
        await boris.patch(f"/rooms/{group}/me", {"muted_until": None}, expect=200)
        assert await unread(boris) == []

    async def test_at_once_on_many_devices_while_messages_come_is_one(
        self, cast: Cast, anna: Person, boris: Person
    ) -> None:
        groups = [await make_group(anna, boris) for _ in range(5)]
        for group in groups:
            await say(anna, group, mentions=[boris.id])
        ids = [note["id"] for note in await unread(boris)]
        deeds: list[Any] = [boris.post("/notifications/read", {"all": True}, expect=200) for _ in range(6)]
        deeds += [boris.post("/notifications/read", {"ids": ids[::-1]}, expect=200) for _ in range(6)]
        deeds += [boris.post(f"/rooms/{group}/read", {"seq": 2}, expect=200) for group in groups]
        deeds += [say(boris, group) for group in groups * 2]
        await asyncio.gather(*deeds)
        assert await unread(boris) == []
        await say(anna, groups[0])
        assert await told(boris) == [("message", 1)]


class TestPreviews:
    def test_are_one_line_of_whole_characters(self) -> None:
        assert excerpt("  a\n\tb  ", 10) == "a b"
        assert excerpt("x" * 200, 200) == "x" * 200
        assert excerpt("x" * 201, 200) == "x" * 200 + "…"
        assert excerpt("가" * 300, 200) == "가" * 200 + "…"
        for whole in ("👩‍👩‍👧‍👧", "🇰🇷", "👍🏽", "é", "각", "☀️"):
            for before in range(195, 201):
                cut = excerpt("x" * before + whole + "y" * 100, 200).rstrip("…").rstrip("y").lstrip("x")
                assert cut in ("", whole)

    def test_are_cut_within_a_character_that_never_ends(self) -> None:
        assert len(excerpt("a" + "\u0301" * 5000, 200)) == 201


async def test_a_former_member_hears_and_lists_nothing_of_the_group(cast: Cast, anna: Person, boris: Person) -> None:
    group = await make_group(anna, boris)
    await anna.delete(f"/rooms/{group}/members/{boris.id}", expect=204)
    await anna.post(f"/rooms/{group}/messages", draft("not for Boris"), expect=201)
    assert await told(boris) == []
    assert await mark(boris, group) == 0
