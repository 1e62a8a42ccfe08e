"""What is changed of a room: name and notice for everybody, mute, pin and alias for me; and leaving a direct one."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from src.clock import now
from src.db.models import Room as RoomRow
from src.schemas.common import rfc3339
from src.services.throttle import POLICIES

from .cast import Cast, Person, Service, draft
from .conftest import StartService
from .test_groups import lines, make, say, told

IN_AN_HOUR = rfc3339(now() + timedelta(hours=1))
AN_HOUR_AGO = rfc3339(now() - timedelta(hours=1))


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    return boris


@pytest.fixture
async def group(anna: Person, boris: Person) -> dict[str, Any]:
    return await make(anna, boris)


@pytest.fixture
async def direct(cast: Cast, anna: Person, boris: Person) -> dict[str, Any]:
    return {"id": await cast.direct_room(anna, boris)}


async def change(person: Person, room: Mapping[str, Any], body: Any, *, expect: int = 200) -> Any:
    return await person.patch(f"/rooms/{room['id']}", body, expect=expect)


async def set_mine(person: Person, room: Mapping[str, Any], body: Any, *, expect: int = 200) -> Any:
    return await person.patch(f"/rooms/{room['id']}/me", body, expect=expect)


class TestName:
    async def test_a_new_name_is_a_line_and_a_change(self, anna: Person, boris: Person, group: dict[str, Any]) -> None:
        boriss = await boris.connect()
        renamed = await change(anna, group, {"name": " 등산 모임 "})
        assert (renamed["name"], renamed["display_name"], renamed["rev"]) == ("등산 모임", "등산 모임", 3)
        line, changed = await boriss.heard("message_sent"), await boriss.heard("room_changed")
        assert (line["rev"], line["system"]["type"], line["system"]["name"]) == (2, "renamed", "등산 모임")
        assert changed == {"room_id": group["id"], "rev": 3, "name": "등산 모임"}
        assert (await boris.get(f"/rooms/{group['id']}"))["me"]["unread_count"] == 0

    async def test_null_takes_the_name_away(self, anna: Person, boris: Person, group: dict[str, Any]) -> None:
        boriss = await boris.connect()
        unnamed = await change(anna, group, {"name": None})
        assert (unnamed["name"], unnamed["display_name"]) == (None, "Boris")
        assert (await boriss.heard("room_changed"))["name"] is None

    async def test_the_same_name_again_changes_nothing(self, anna: Person, group: dict[str, Any]) -> None:
        assert (await change(anna, group, {"name": group["name"]}))["rev"] == group["rev"]

    async def test_members_do_not_rename_and_admins_do(
        self, anna: Person, boris: Person, group: dict[str, Any]
    ) -> None:
        await change(boris, group, {"name": "mine"}, expect=403)
        await anna.patch(f"/rooms/{group['id']}/members/{boris.id}", {"role": "admin"}, expect=200)
        assert (await change(boris, group, {"name": "ours"}))["name"] == "ours"

    async def test_a_direct_room_has_no_name(self, anna: Person, direct: dict[str, Any]) -> None:
        await change(anna, direct, {"name": "us"}, expect=403)

    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 7}, {"colour": "red"}, {"notice_id": "x"}, []])
    async def test_nonsense_changes_nothing(self, anna: Person, group: dict[str, Any], body: Any) -> None:
        await change(anna, group, body, expect=422)


class TestNotice:
    async def test_a_notice_is_a_line_and_a_change(self, anna: Person, boris: Person, group: dict[str, Any]) -> None:
        message = await say(boris, group, "We meet at nine")
        boriss = await boris.connect()
        pinned = await change(anna, group, {"notice_id": message["id"]})
        assert (pinned["notice"]["text"], pinned["rev"]) == ("We meet at nine", 4)
        line, changed = await boriss.heard("message_sent"), await boriss.heard("room_changed")
        assert (told(line), line["system"]["seq"]) == (("notice_set", "Anna", []), message["seq"])
        assert (changed["rev"], changed["notice"]) == (line["rev"] + 1, message)
        assert (await change(anna, group, {"notice_id": message["id"]}))["rev"] == 4
        assert (await change(anna, group, {"notice_id": None}))["notice"] is None
        assert told(await boriss.heard("message_sent"))[0] == "notice_cleared"
        assert await boriss.heard("room_changed") == {"room_id": group["id"], "rev": 6, "notice": None}
        assert (await change(anna, group, {"notice_id": None}))["rev"] == 6

    async def test_who_came_later_sees_no_older_notice(
        self, cast: Cast, anna: Person, boris: Person, group: dict[str, Any]
    ) -> None:
        clara = await cast.join("Clara")
        await cast.befriend(anna, clara)
        secret = await say(anna, group, "Clara must not read this")
        await anna.post(f"/rooms/{group['id']}/members", {"user_ids": [clara.id]}, expect=200)
        boriss, clarass = await boris.connect(), await clara.connect()
        await change(anna, group, {"notice_id": secret["id"]})
        theirs, hers = await boriss.heard("room_changed"), await clarass.heard("room_changed")
        assert theirs["notice"]["text"] == secret["text"]
        assert hers == {"room_id": group["id"], "rev": theirs["rev"], "notice": None}
        assert (await clara.get(f"/rooms/{group['id']}"))["notice"] is None
        await anna.patch(f"/rooms/{group['id']}/members/{clara.id}", {"role": "admin"}, expect=200)
        await change(clara, group, {"notice_id": secret["id"]}, expect=422)

    async def test_who_came_later_sees_a_notice_without_the_older_line_that_it_quotes(
        self, cast: Cast, anna: Person, boris: Person, group: dict[str, Any]
    ) -> None:
        clara = await cast.join("Clara")
        await cast.befriend(anna, clara)
        secret = await say(anna, group, "Clara must not read this")
        await anna.post(f"/rooms/{group['id']}/members", {"user_ids": [clara.id]}, expect=200)
        answer = draft("I agree", reply_to=secret["id"])
        reply = (await boris.post(f"/rooms/{group['id']}/messages", answer, expect=201))["message"]
        boriss, clarass = await boris.connect(), await clara.connect()
        await change(anna, group, {"notice_id": reply["id"]})
        theirs, hers = await boriss.heard("room_changed"), await clarass.heard("room_changed")
        assert theirs["notice"]["reply_to"]["text"] == secret["text"]
        assert hers["notice"] == theirs["notice"] | {"reply_to": None}
        assert (await clara.get(f"/rooms/{group['id']}"))["notice"]["reply_to"] is None

    async def test_a_notice_is_a_message_of_this_room(
        self, anna: Person, boris: Person, group: dict[str, Any], direct: dict[str, Any]
    ) -> None:
        elsewhere = await say(boris, direct)
        (system,) = await lines(anna, group)
        for message_id in (elsewhere["id"], system["id"], str(uuid4())):
            refused = await change(anna, group, {"notice_id": message_id}, expect=422)
            assert [each["field"] for each in refused["errors"]] == ["notice_id"]
        assert (await anna.get(f"/rooms/{group['id']}"))["rev"] == group["rev"]

    async def test_members_pin_nothing_and_both_pin_in_a_direct_room(
        self, anna: Person, boris: Person, group: dict[str, Any], direct: dict[str, Any]
    ) -> None:
        message = await say(boris, group)
        await change(boris, group, {"notice_id": message["id"]}, expect=403)
        await change(boris, group, {"notice_id": None}, expect=403)
        message = await say(boris, direct)
        for each in (anna, boris):
            assert (await change(each, direct, {"notice_id": message["id"]}))["notice"]["id"] == message["id"]
            assert (await change(each, direct, {"notice_id": None}))["notice"] is None

    async def test_name_and_notice_change_together_or_not_at_all(self, anna: Person, group: dict[str, Any]) -> None:
        message = await say(anna, group)
        await change(anna, group, {"name": "new", "notice_id": str(uuid4())}, expect=422)
        assert (await anna.get(f"/rooms/{group['id']}"))["name"] == group["name"]
        both = await change(anna, group, {"name": "new", "notice_id": message["id"]})
        assert (both["name"], both["notice"]["id"], both["rev"]) == ("new", message["id"], 6)


class TestMine:
    async def test_what_i_set_reaches_my_devices_and_nobody_else(
        self, anna: Person, boris: Person, group: dict[str, Any]
    ) -> None:
        annas, boriss = await anna.connect(), await boris.connect()
        settings = {"muted_until": IN_AN_HOUR, "pinned": True, "alias": "Bergfreunde"}
        mine = await set_mine(anna, group, settings)
        assert {**mine["me"], **settings} == mine["me"]
        assert (mine["display_name"], mine["name"], mine["rev"]) == ("Bergfreunde", "Hiking", group["rev"])
        assert await annas.heard("room_settings_changed") == {"room_id": group["id"], "me": mine["me"]}
        await say(anna, group)
        await boriss.heard("message_sent")
        assert "room_settings_changed" not in [name for name, _ in boriss.events]
        assert (await boris.get(f"/rooms/{group['id']}"))["display_name"] == "Hiking"

    async def test_what_is_so_already_is_not_announced(self, anna: Person, group: dict[str, Any]) -> None:
        annas = await anna.connect()
        settings = {"muted_until": IN_AN_HOUR, "pinned": True, "alias": "Berg"}
        for body in (settings, settings, {"pinned": True}, {"alias": "Berg"}, {"pinned": False}):
            await set_mine(anna, group, body)
        heard = [await annas.heard("room_settings_changed") for _ in range(2)]
        assert [each["me"]["pinned"] for each in heard] == [True, False]

    async def test_what_is_absent_stays_and_null_takes_it_away(self, anna: Person, group: dict[str, Any]) -> None:
        await set_mine(anna, group, {"muted_until": IN_AN_HOUR, "alias": "Berg"})
        assert (await set_mine(anna, group, {"pinned": True}))["me"]["alias"] == "Berg"
        cleared = await set_mine(anna, group, {"muted_until": None, "alias": None})
        assert (cleared["me"]["muted_until"], cleared["me"]["alias"]) == (None, None)
        assert cleared["me"]["pinned"] is True
        assert cleared["display_name"] == "Hiking"

    async def test_muted_until_a_time_that_has_passed_is_not_muted(self, anna: Person, group: dict[str, Any]) -> None:
        await set_mine(anna, group, {"muted_until": IN_AN_HOUR})
        assert (await set_mine(anna, group, {"muted_until": AN_HOUR_AGO}))["me"]["muted_until"] is None

    async def test_a_time_of_any_zone_is_kept_in_utc(self, anna: Person, group: dict[str, Any]) -> None:
        muted = await set_mine(anna, group, {"muted_until": "2999-01-01T08:59:59.9999+09:00"})
        assert muted["me"]["muted_until"] == "2998-12-31T23:59:59.999Z"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"muted_until": "tomorrow"},
            {"muted_until": 1700000000},
            {"muted_until": "1700000000"},
            {"muted_until": "2999-01-01"},
            {"muted_until": "2999-01-01T00:00:00"},
            {"muted_until": "9999-12-31T23:59:59-09:00"},
            {"pinned": None},
            {"pinned": "yes"},
            {"alias": ""},
            {"alias": "x" * 101},
            {"role": "owner"},
        ],
    )
    async def test_nonsense_sets_nothing(self, anna: Person, group: dict[str, Any], body: Any) -> None:
        await set_mine(anna, group, body, expect=422)

    async def test_strangers_set_nothing(self, cast: Cast, group: dict[str, Any]) -> None:
        await set_mine(await cast.join("Mallory"), group, {"pinned": True}, expect=404)


class TestLeavingADirectRoom:
    async def test_it_leaves_my_list_with_its_history_and_the_other_keeps_it(
        self, anna: Person, boris: Person, direct: dict[str, Any]
    ) -> None:
        await say(boris, direct, "old story")
        annas = await anna.connect()
        await anna.post(f"/rooms/{direct['id']}/leave", expect=204)
        assert await annas.heard("room_removed") == {"room_id": direct["id"]}
        assert (await anna.get("/rooms"))["items"] == []
        assert await lines(anna, direct) == []
        assert [line["text"] for line in await lines(boris, direct)] == ["old story"]
        await anna.post(f"/rooms/{direct['id']}/leave", expect=204)
        assert (await boris.get(f"/rooms/{direct['id']}"))["member_count"] == 2

    async def test_leaving_is_not_reading(self, anna: Person, boris: Person, direct: dict[str, Any]) -> None:
        line = await say(boris, direct, "are you there?")
        before, boriss = await boris.get(f"/rooms/{direct['id']}"), await boris.connect()
        await anna.post(f"/rooms/{direct['id']}/leave", expect=204)
        assert await boris.get(f"/rooms/{direct['id']}") == before
        assert (await boris.get(f"/messages/{line['id']}/receipts"))["items"] == []
        assert (await anna.get(f"/rooms/{direct['id']}"))["me"]["unread_count"] == 0
        await boriss.call("set_typing", {"room_id": direct["id"], "on": True})
        assert [name for name, _ in boriss.events] == ["ready"]

    async def test_nobody_pins_across_a_block(self, anna: Person, boris: Person, direct: dict[str, Any]) -> None:
        line = await say(boris, direct, "read this")
        await anna.put(f"/blocks/{boris.id}", expect=204)
        for each in (anna, boris):
            answer = await each.patch(f"/rooms/{direct['id']}", {"notice_id": line["id"]}, expect=403)
            assert answer["code"] == "blocked"
        assert await lines(anna, direct) == [line]

    async def test_it_comes_back_empty_with_the_next_message(
        self, anna: Person, boris: Person, direct: dict[str, Any]
    ) -> None:
        await say(boris, direct, "old story")
        await anna.post(f"/rooms/{direct['id']}/leave", expect=204)
        annas = await anna.connect()
        await say(boris, direct, "are you there?")
        added = await annas.heard("room_added")
        assert (added["me"]["first_seq"], added["me"]["unread_count"], added["rev"]) == (2, 1, 2)
        assert added["last_message"]["text"] == "are you there?"
        assert [line["text"] for line in await lines(anna, direct)] == ["are you there?"]
        assert [room["id"] for room in (await anna.get("/rooms"))["items"]] == [direct["id"]]

    async def test_opening_it_again_answers_the_same_room_empty(
        self, anna: Person, boris: Person, direct: dict[str, Any]
    ) -> None:
        await say(boris, direct, "old story")
        await anna.post(f"/rooms/{direct['id']}/leave", expect=204)
        annas = await anna.connect()
        again = await anna.post("/rooms", {"kind": "direct", "user_id": boris.id}, expect=200)
        assert (again["id"], again["last_message"], again["me"]["first_seq"]) == (direct["id"], None, 2)
        assert again["me"]["unread_count"] == 0
        assert (await annas.heard("room_added"))["id"] == direct["id"]
        assert await lines(anna, direct) == []

    async def test_both_may_leave(self, anna: Person, boris: Person, direct: dict[str, Any]) -> None:
        await say(boris, direct, "old story")
        for each in (anna, boris):
            await each.delete(f"/rooms/{direct['id']}/members/{each.id}", expect=204)
            assert (await each.get("/rooms"))["items"] == []
        again = await boris.post("/rooms", {"kind": "direct", "user_id": anna.id}, expect=200)
        assert (again["id"], await lines(boris, direct)) == (direct["id"], [])
        assert (await anna.get("/rooms"))["items"] == []


async def test_a_line_of_the_house_is_not_older_than_the_line_before_it(
    service: Service, anna: Person, group: dict[str, Any]
) -> None:
    ahead = now() + timedelta(hours=1)  # a node whose clock is
    async with service.parts.database.transaction() as tx:
        await tx._connection.execute(update(RoomRow).where(RoomRow.id == UUID(group["id"])).values(active_at=ahead))
    await change(anna, group, {"name": "Swimming"})
    assert (await lines(anna, group))[-1]["created_at"] == rfc3339(ahead)
    assert (await anna.get("/rooms"))["items"][0]["id"] == group["id"]


@pytest.mark.one_database
async def test_who_changes_a_room_too_often_is_told_to_wait(start_service: StartService) -> None:
    cast = Cast(await start_service(rate_limits="on"))
    anna, boris = await cast.join("Anna"), await cast.join("Boris")
    await cast.befriend(anna, boris)
    group = await make(anna, boris)
    amount, _ = POLICIES["messages"]
    names = [anna.raw("PATCH", f"/rooms/{group['id']}", {"name": str(number)}) for number in range(2 * amount)]
    answers = [answer.status for answer in await asyncio.gather(*names)]
    assert set(answers) == {200, 429}
    assert answers.count(200) >= amount
