"""What somebody has not read is pushed to their browsers: what arrives there, and what does not."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import time_machine

from src.clock import now
from src.push.sender import MAX_PAYLOAD
from src.services.notices import push_of_room
from tests.cast import Attachment, Person
from tests.conftest import StartService
from tests.pictures import picture

from .stage import Pair, Stage


class TestAMessage:
    async def test_is_shown_with_who_says_what_and_where(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        message = await stage.say(anna, room, "안녕하세요")
        await stage.tell(boris, room, (1, 1))
        (push,) = browser.pushes
        assert push.json == {
            "type": "notification",
            "tag": room,
            "kind": "message",
            "title": "Anna",
            "body": "안녕하세요",
            "count": 1,
            "unread_total": 1,
            "room_id": room,
            "message_id": message["id"],
            "actor": {"id": anna.id, "nickname": "Anna", "avatar_url": None},
            "created_at": message["created_at"],
            "url": f"/rooms/{room}",
            "language": "ko",
        }
        assert (push.topic, push.urgency, push.ttl) == (UUID(room).hex, "high", 24 * 3600)
        assert await stage.spans(boris, room) == [(1, 1, "sent", None)]

    async def test_goes_to_every_device_and_to_nobody_else(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browsers = [await stage.browser(boris) for _ in range(7)]
        own = await stage.browser(anna)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        assert [len(each.pushes) for each in (*browsers, own)] == [1] * 7 + [0]

    async def test_says_how_many_more_there_are_in_the_place_of_the_one_before(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room, "one")
        await stage.tell(boris, room, (1, 1))
        for text in ("two", "three"):
            await stage.say(anna, room, text)
        await stage.tell(boris, room, (2, 3))
        first, second = browser.pushes
        assert (first.json["tag"], first.topic) == (second.json["tag"], second.topic)
        assert (second.json["body"], second.json["count"], second.json["unread_total"]) == ("three 외 2개", 3, 3)
        assert [span[:3] for span in await stage.spans(boris, room)] == [(1, 1, "sent"), (2, 3, "sent")]

    async def test_is_told_once_with_what_came_since(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        for text in ("one", "two"):
            await stage.say(anna, room, text)
        await stage.tell(boris, room, (1, 1))
        await stage.tell(boris, room, (2, 2))
        assert [push.json["body"] for push in browser.pushes] == ["two 외 1개"]
        assert [span[:3] for span in await stage.spans(boris, room)] in (
            [(1, 2, "sent")],
            [(1, 1, "sent"), (2, 2, "sent")],
        )

    async def test_of_a_group_says_where_it_is(self, stage: Stage) -> None:
        anna, boris, gildong = await stage.friends("Anna", "Boris", "홍길동")
        named, nameless = await stage.group(anna, boris), await stage.group(anna, boris, gildong, name=None)
        browser = await stage.browser(boris)
        for room in (named, nameless):
            await stage.say(anna, room)
            await stage.tell(boris, room)
        assert [(push.json["title"], push.json["body"]) for push in browser.pushes] == [
            ("Hiking", "Anna: hello"),
            ("Anna, 홍길동", "Anna: hello"),
        ]

    async def test_of_files_says_what_they_are(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await anna.send(room, Attachment("photo.png", picture("PNG")))
        await stage.tell(boris, room)
        await anna.send(room, Attachment("letter.txt", b"Dear Boris"))
        await stage.tell(boris, room)
        bodies = [push.json["body"] for push in browser.pushes]
        assert bodies == ["사진을 보냈습니다.", "파일: letter.txt 외 1개"]

    async def test_has_the_picture_of_who_sent_it_at_an_address_of_ours(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        me = Attachment("me.png", picture("PNG"))
        shown = (await anna.upload_raw("/users/me/avatar", me, field="profile", method="PUT")).json["avatar_url"]
        await stage.say(anna, room)
        await stage.tell(boris, room)
        address = browser.pushes[0].json["actor"]["avatar_url"]
        assert address == shown
        assert (await stage.cast.anonymous.fetch(address)).status == 200

    async def test_is_in_the_persons_language(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await boris.patch("/users/me", {"settings": {"language": "en"}})
        await stage.say(anna, room)
        await stage.say(anna, room)
        await stage.tell(boris, room)
        assert (browser.pushes[0].json["body"], browser.pushes[0].json["language"]) == ("hello (+1 more)", "en")

    async def test_fits_however_long_it_is(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room, "👨‍👩‍👧‍👦" * 700)
        await stage.tell(boris, room)
        (push,) = browser.pushes
        assert len(push.payload) <= MAX_PAYLOAD
        assert set(push.json["body"].removesuffix("…").split("👨‍👩‍👧‍👦")) == {""}, "no family is torn apart"

    async def test_hides_what_who_and_where_for_who_wants_that(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        room, browser = await stage.group(anna, boris), await stage.browser(boris)
        await stage.prefer(boris, hide_content=True)
        for _ in range(3):
            await stage.say(anna, room, "a secret for @Boris", mentions=[boris.id])
        await stage.tell(boris, room)
        (push,) = browser.pushes
        assert (push.json["title"], push.json["body"]) == ("Chatty", "새 메시지 3개")
        assert "actor" not in push.json
        for word in ("Anna", "secret", "Hiking"):
            assert word not in push.payload.decode()


class TestIsNotTold:
    """Nothing arrives, and why is written down."""

    async def refused(
        self, stage: Stage, boris: Person, room: str, reason: str, lines: tuple[int, int] = (1, 1)
    ) -> None:
        await stage.tell(boris, room, lines)
        assert stage.post.asked == []
        assert [span[2:] for span in await stage.spans(boris, room)][-1:] == [("skipped", reason)]
        assert await stage.waiting() == {}

    async def test_what_was_read_in_between(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.say(anna, room)
        await boris.post(f"/rooms/{room}/read", {"seq": 1})
        await self.refused(stage, boris, room, "read_before")

    async def test_what_was_answered_in_between(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.say(anna, room)
        await stage.say(boris, room)
        await self.refused(stage, boris, room, "read_before")

    async def test_who_is_here(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        socket = await boris.connect()
        await stage.until_online(boris)
        await stage.say(anna, room)
        await stage.tell(boris, room, (1, 1))
        assert stage.post.asked == []
        assert await stage.spans(boris, room) == [(1, 1, "pending", "active")]
        stage.service.parts.notifying.pushes._wait = timedelta(0)
        async with stage.service.parts.database.transaction() as tx:
            await tx.outbox.hasten_keys([(key, now()) for key in await stage.waiting()])
        await stage.work()
        assert stage.post.asked == []
        assert await stage.spans(boris, room) == [(1, 1, "skipped", "active")]
        await socket.close()

    async def test_who_wants_no_messages(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.prefer(boris, kinds={"message": {"push": False}})
        await stage.say(anna, room)
        await self.refused(stage, boris, room, "preference")

    async def test_who_has_muted_the_room(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await mute(boris, room)
        await stage.say(anna, room)
        await self.refused(stage, boris, room, "muted")

    async def test_who_has_left(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        room = await stage.group(anna, boris)
        await stage.browser(boris)
        line = await stage.say(anna, room)
        await stage.due(boris, room, (line["seq"], line["seq"]))
        await boris.post(f"/rooms/{room}/leave", {"quiet": True}, expect=204)
        await stage.work()
        assert stage.post.asked == []
        assert [span[2:] for span in await stage.spans(boris, room)] == [("skipped", "left")]

    async def test_who_blocked_the_sender_or_was_blocked(self, stage: Stage) -> None:
        for blocked in (0, 1):
            people = await stage.friends(f"Anna{blocked}", f"Boris{blocked}")
            room = await stage.group(*people)
            await stage.browser(people[1])
            line = await stage.say(people[0], room)
            await people[blocked].put(f"/blocks/{people[1 - blocked].id}", expect=204)
            await self.refused(stage, people[1], room, "blocked", (line["seq"], line["seq"]))

    async def test_what_was_deleted(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        message = await stage.say(anna, room)
        await anna.delete(f"/messages/{message['id']}")
        await self.refused(stage, boris, room, "deleted")

    async def test_who_has_no_browser(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.say(anna, room)
        await self.refused(stage, boris, room, "no_subscription")

    async def test_who_has_signed_out_there(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        device = await boris.another_device()
        await stage.browser(device)
        await device.post("/auth/logout", expect=204)
        await stage.say(anna, room)
        await self.refused(stage, boris, room, "no_subscription")

    async def test_who_used_the_browser_before(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser, clara = await stage.browser(boris), await stage.cast.join("Clara")
        await clara.put("/notifications/push", browser.subscription(), expect=204)
        await stage.say(anna, room)
        await self.refused(stage, boris, room, "no_subscription")

    async def test_who_has_deleted_the_account(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        await stage.say(anna, room)
        await stage.due(boris, room)
        await boris.delete("/users/me", {"password": boris.password}, expect=204)
        await stage.work()
        assert (stage.post.asked, await stage.spans(boris, room)) == ([], [])


class TestAnother:
    async def test_line_is_shown_where_the_newest_was_deleted(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room, "one")
        gone = await stage.say(anna, room, "two")
        await anna.delete(f"/messages/{gone['id']}")
        await stage.tell(boris, room, (1, 2))
        assert browser.pushes[0].json["body"].startswith("one")

    async def test_member_is_shown_where_one_is_blocked(self, stage: Stage) -> None:
        anna, boris, clara = await stage.friends("Anna", "Boris", "Clara")
        room, browser = await stage.group(anna, boris, clara), await stage.browser(boris)
        await boris.put(f"/blocks/{clara.id}", expect=204)
        await stage.say(anna, room, "mine")
        await stage.say(clara, room, "not mine")
        await stage.tell(boris, room)
        (push,) = browser.pushes
        assert (push.json["body"], push.json["count"]) == ("Anna: mine", 1)


class TestAMention:
    async def test_is_shown_before_what_was_said_after_it(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        room, browser = await stage.group(anna, boris), await stage.browser(boris)
        mention = await stage.say(anna, room, "@Boris hello", mentions=[boris.id])
        await stage.say(anna, room, "and so on")
        await stage.tell(boris, room)
        (push,) = browser.pushes
        assert (push.json["kind"], push.json["message_id"], push.urgency) == ("mention", mention["id"], "high")
        assert push.json["body"] == "Anna님이 나를 언급했습니다: @Boris hello 외 1개"
        await stage.say(anna, room, "something else")
        await stage.tell(boris, room)
        assert browser.pushes[1].json["kind"] == "message", "it was told of"

    async def test_is_told_in_a_muted_room_and_nothing_else_there(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        room, browser = await stage.group(anna, boris), await stage.browser(boris)
        await mute(boris, room)
        await stage.say(anna, room, "not for you")
        await stage.say(anna, room, "@Boris hello", mentions=[boris.id])
        await stage.say(anna, room, "nor this")
        await stage.tell(boris, room)
        await stage.tell(boris, room)
        assert [(push.json["kind"], push.json["count"]) for push in browser.pushes] == [("mention", 1)]

    async def test_is_not_told_there_to_who_wants_none(self, stage: Stage) -> None:
        anna, boris = await stage.friends("Anna", "Boris")
        room = await stage.group(anna, boris)
        await stage.browser(boris)
        await mute(boris, room)
        await stage.prefer(boris, kinds={"mention": {"push": False}})
        await stage.say(anna, room, "@Boris hello", mentions=[boris.id])
        await stage.tell(boris, room)
        assert stage.post.asked == []


class TestWhatIsStored:
    async def test_is_told_after_a_while_in_a_word_of_its_own(self, stage: Stage) -> None:
        anna, boris, clara = [await stage.cast.join(name) for name in ("Anna", "Boris", "Clara")]
        await stage.cast.befriend(anna, boris)
        room = await stage.group(anna, boris, forget=False)
        await clara.post("/friends/requests", {"user_id": boris.id}, expect=201)
        line = await stage.say(anna, room, "hi")
        await boris.put(f"/messages/{line['id']}/reactions/👍")
        browsers = [await stage.browser(each) for each in (anna, boris, clara)]
        await stage.work()
        assert stage.post.asked == []
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        assert [sorted((push.json["title"], push.json["body"]) for push in each.pushes) for each in browsers] == [
            [("Boris", "Boris님이 친구 요청을 수락했습니다."), ("Hiking", "Boris님이 👍 반응을 남겼습니다.")],
            [("Clara", "Clara님이 친구 요청을 보냈습니다."), ("Hiking", "Anna님이 대화방에 초대했습니다.")],
            [],
        ]
        urls = {push.json["kind"]: (push.json["url"], push.urgency) for push in stage.post.pushes}
        assert urls == {
            "friend_accepted": ("/friends", "normal"),
            "friend_request": ("/friends", "normal"),
            "reaction": (f"/rooms/{room}", "normal"),
            "room_invite": (f"/rooms/{room}", "normal"),
        }
        tags = [push.json["tag"] for push in stage.post.pushes]
        assert len(set(tags)) == len(tags)
        assert [UUID(tag).hex for tag in tags] == [push.topic for push in stage.post.pushes]

    async def test_says_only_that_there_is_something_to_who_wants_no_content(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.prefer(boris, hide_content=True)
        line = await stage.say(boris, room)
        await anna.put(f"/messages/{line['id']}/reactions/👍")
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        (push,) = browser.pushes
        assert (push.json["title"], push.json["body"]) == ("Chatty", "새 알림 1개")
        assert "Anna" not in push.payload.decode()
        assert "👍" not in push.payload.decode()

    async def test_is_not_told_once_it_was_taken_back(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        line = await stage.say(boris, room)
        await anna.put(f"/messages/{line['id']}/reactions/👍")
        await anna.delete(f"/messages/{line['id']}/reactions/👍")
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        assert stage.post.asked == []

    async def test_is_told_once(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        line = await stage.say(boris, room)
        await anna.put(f"/messages/{line['id']}/reactions/👍")
        (row,) = (await stage.waiting()).values()
        with time_machine.travel(now() + timedelta(seconds=21)):
            await stage.work()
        await stage.service.parts.notifying.pushes.carry_out(SimpleNamespace(payload=row.payload))  # type: ignore[arg-type]
        assert len(browser.pushes) == 1


class TestQuietHours:
    async def test_put_it_off_to_their_end(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        at = now()
        begin, end = at - timedelta(minutes=1), at + timedelta(minutes=5)
        await stage.prefer(boris, quiet_from=f"{begin:%H:%M}", quiet_to=f"{end:%H:%M}", time_zone="UTC")
        await stage.say(anna, room, "one")
        await stage.tell(boris, room, (1, 1))
        assert browser.pushes == []
        assert await stage.spans(boris, room) == [(1, 1, "pending", "quiet_hours")]
        ((key, row),) = (await stage.waiting()).items()
        assert key.startswith("push:")
        assert row.due_at == end.replace(second=0, microsecond=0)
        await stage.say(anna, room, "two")
        await stage.tell(boris, room)
        with time_machine.travel(end):
            await stage.work()
        assert [push.json["body"] for push in browser.pushes] == ["two 외 1개"]

    async def test_wake_nobody_who_has_read_meanwhile(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        await stage.browser(boris)
        at = now()
        end = at + timedelta(minutes=5)
        await stage.prefer(boris, quiet_from=f"{at:%H:%M}", quiet_to=f"{end:%H:%M}", time_zone="UTC")
        await stage.say(anna, room)
        await stage.tell(boris, room)
        await boris.post(f"/rooms/{room}/read", {"seq": 1})
        with time_machine.travel(end):
            await stage.work()
        assert (stage.post.asked, await stage.waiting()) == ([], {})


class TestTwoWorkers:
    async def test_of_one_process_tell_once(self, stage: Stage, pair: Pair) -> None:
        anna, boris, room = pair
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        work: Any = SimpleNamespace(payload=push_of_room(UUID(boris.id), UUID(room)))
        await asyncio.gather(*(stage.service.parts.notifying.pushes.carry_out(work) for _ in range(5)))
        assert len(browser.pushes) == 1

    async def test_of_two_processes_tell_under_one_tag(
        self, start_service: StartService, stage: Stage, pair: Pair
    ) -> None:
        anna, boris, room = pair
        other = (await start_service(notifications={"push_origins": stage.post.url})).parts
        browser = await stage.browser(boris)
        await stage.say(anna, room)
        work: Any = SimpleNamespace(payload=push_of_room(UUID(boris.id), UUID(room)))
        await asyncio.gather(*(each.notifying.pushes.carry_out(work) for each in (stage.service.parts, other)))
        assert 1 <= len(browser.pushes) <= 2
        assert len({push.topic for push in browser.pushes}) == 1
        assert await stage.spans(boris, room) == [(1, 1, "sent", None)]


async def mute(person: Person, room: str) -> None:
    until = (now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    await person.patch(f"/rooms/{room}/me", {"muted_until": until})
