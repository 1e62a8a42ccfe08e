"""Deleting one's account: nobody signs in with it, what was written stays without a name, and others hear of it."""

import asyncio
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, or_, select, update

from src.clock import now
from src.db.models import Block, EmailToken, Friendship, Member, NameGram, Online, OutboxItem, Session, User
from src.errors import NotFound
from src.schemas.drafts import MessageDraft
from src.services import deletion, leaving
from src.services.notices import DIGEST, PUSH

from .accounts import alter, cookie_in, refresh, token_in
from .cast import PASSWORD, Cast, Person, Refused, Service, Socket, draft
from .conftest import Mailbox, StartService
from .test_groups import lines, make, say

NAMELESS = {"nickname": None, "intro": "", "avatar_url": None}


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def gildong(cast: Cast) -> Person:
    return await cast.join("홍길동")


async def delete(person: Person, expect: int = 204, **body: Any) -> Any:
    return await person.delete("/users/me", {"password": person.password} | body, expect=expect)


async def one(service: Service, statement: Any) -> Any:
    """The one row, or value, that a statement finds."""
    async with service.parts.database.snapshot() as reads:
        return (await reads._connection.execute(statement)).one()


async def count(service: Service, table: Any, *of: Any) -> int:
    (found,) = await one(service, select(func.count()).select_from(table).where(*of))
    return int(found)


async def until_told(socket: Socket, event: str, user_id: str) -> Any:
    """The next event of that name about this person."""
    while True:
        told = await socket.heard(event)
        if told.get("user_id") == user_id or told.get("id") == user_id or told.get("user", {}).get("id") == user_id:
            return told


async def link(service: Service, person: Person, provider: str) -> None:
    """Link somebody at a provider, as a sign-in there does."""
    who = {"provider": provider, "issuer": "https://issuer.example", "subject": "7"}
    async with service.parts.database.transaction() as tx:
        await tx.identities.add(UUID(person.id), **who, email=person.email, grant=None, moment=now())


class TestWhoMay:
    async def test_the_password_is_needed_where_one_is_set(self, anna: Person) -> None:
        for body in ({"password": "a warm morning"}, {"password": None}, {}, None):
            answer = await anna.raw("DELETE", "/users/me", body)
            assert (answer.status, answer.json["code"]) == (401, "wrong_credentials"), body
        assert (await anna.get("/users/me"))["nickname"] == "Anna"
        await delete(anna)

    async def test_it_cannot_be_guessed(self, start_service: StartService) -> None:
        guesser = await Cast(await start_service(rate_limits="on")).join("Anna")
        guesses = [(await guesser.raw("DELETE", "/users/me", {"password": f"guess {n}"})).status for n in range(11)]
        assert guesses == [401] * 10 + [429]

    async def test_who_has_no_password_must_have_just_signed_in(self, service: Service, anna: Person) -> None:
        await alter(service, update(User).values(password_hash=None))
        await alter(service, update(Session).values(created_at=now() - timedelta(minutes=6)))
        answer = await anna.raw("DELETE", "/users/me")
        assert (answer.status, answer.json["code"]) == (403, "reauthentication_required")
        assert (await anna.get("/users/me"))["nickname"] == "Anna"
        await alter(service, update(Session).values(created_at=now() - timedelta(minutes=4)))
        await anna.delete("/users/me", expect=204)

    async def test_a_password_is_no_replacement_for_a_recent_sign_in(self, service: Service, anna: Person) -> None:
        await alter(service, update(User).values(password_hash=None))
        await alter(service, update(Session).values(created_at=now() - timedelta(minutes=6)))
        assert (await delete(anna, expect=403))["code"] == "reauthentication_required"


class TestTheAccount:
    async def test_predecessor_15_nothing_signs_in_with_it_any_more(self, cast: Cast, anna: Person) -> None:
        phone = await anna.another_device()
        sockets = [await anna.connect(), await phone.connect("/notifications")]
        cookie = cookie_in(await cast.anonymous.raw("POST", "/auth/login", {"email": anna.email, "password": PASSWORD}))
        answer = await anna.raw("DELETE", "/users/me", {"password": PASSWORD})
        assert answer.status == 204 and cookie_in(answer) == '""'
        for socket in sockets:
            await socket.ended()
        for device in (anna, phone):
            assert (await device.raw("GET", "/users/me")).json["code"] == "unauthorized"
            await cast.anonymous.post("/auth/refresh", {"refresh_token": device.refresh_token}, expect=401)
            with pytest.raises(Refused):
                await device.connect()
        assert (await refresh(cast.anonymous, cookie)).status == 401
        await cast.anonymous.post("/auth/login", {"email": anna.email, "password": PASSWORD}, expect=401)

    async def test_its_devices_hear_nothing_of_it_but_the_end(self, cast: Cast, anna: Person, boris: Person) -> None:
        await cast.befriend(anna, boris)
        await make(anna, boris)
        sockets = [await anna.connect(), await anna.connect("/notifications")]
        await delete(anna)
        for socket in sockets:
            await socket.ended()
            assert {name for name, _ in socket.events} <= {"ready"}

    async def test_predecessor_49_nothing_personal_stays(
        self, cast: Cast, service: Service, mailbox: Mailbox, anna: Person, boris: Person, gildong: Person
    ) -> None:
        await anna.patch("/users/me", {"intro": "안나입니다"}, expect=200)
        await cast.befriend(anna, boris)
        await boris.patch(f"/friends/{anna.id}", {"alias": "Annie"}, expect=200)
        await anna.put(f"/blocks/{gildong.id}", expect=204)
        room = await cast.direct_room(anna, boris)
        await anna.patch(f"/rooms/{room}/me", {"alias": "my love", "pinned": True}, expect=200)
        await mailbox.next_to(anna.email)
        await anna.connect()
        await link(service, anna, "google")
        await delete(anna)
        me = UUID(anna.id)
        row = await one(service, select(User.__table__).where(User.id == me))
        kept = {name: value for name, value in row._mapping.items() if value not in (None, "")}
        assert kept.keys() == {"id", "language", "theme", "created_at", "deleted_at"}
        for table in (NameGram, EmailToken, Online):
            assert await count(service, table, table.user_id == me) == 0, table
        assert await count(service, Friendship, or_(Friendship.low_id == me, Friendship.high_id == me)) == 0
        assert await count(service, Block, or_(Block.blocker_id == me, Block.blocked_id == me)) == 0
        async with service.parts.database.snapshot() as reads:
            assert await reads.identities.of(me) == []
        places = await one(
            service, select(Session.client, Session.address, Session.network).where(Session.user_id == me)
        )
        assert set(places) == {""}
        mine = await one(service, select(Member.alias, Member.alias_key, Member.pinned).where(Member.user_id == me))
        assert tuple(mine) == (None, None, False)

    async def test_providers_are_asked_to_forget_it(
        self, start_service: StartService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = await start_service(providers={"google": {"client_id": "chatty", "client_secret": "not told"}})
        asked: list[tuple[str, str]] = []

        async def revoke(provider: str, subject: str, grant: Any) -> None:
            asked.append((provider, subject))

        monkeypatch.setattr(service.parts.oauth, "revoke", revoke)
        anna = await Cast(service).join("Anna")
        await link(service, anna, "google")
        await delete(anna)
        await nothing_waits(service)
        assert asked == [("google", "7")]

    async def test_predecessor_44_it_deletes_oneself_and_nobody_else(
        self, cast: Cast, service: Service, anna: Person, boris: Person
    ) -> None:
        await cast.befriend(anna, boris)
        before = await one(service, select(User.__table__).where(User.id == UUID(boris.id)))
        await anna.delete(f"/users/{boris.id}", {"password": PASSWORD}, expect=405)
        await delete(anna)
        assert await one(service, select(User.__table__).where(User.id == UUID(boris.id))) == before
        assert (await boris.get("/users/me"))["nickname"] == "Boris"

    async def test_predecessor_49_its_address_is_free_at_once_for_somebody_new(
        self, cast: Cast, anna: Person, boris: Person
    ) -> None:
        room = await cast.direct_room(anna, boris)
        await delete(anna)
        again = await cast.join("Anna", email=anna.email.upper())
        assert again.id != anna.id
        assert (await again.get("/rooms"))["items"] == []
        assert await cast.direct_room(boris, again) != room

    async def test_who_deletes_it_twice_at_once_has_deleted_it_once(self, anna: Person) -> None:
        body = {"password": PASSWORD}
        answers = await asyncio.gather(*(anna.raw("DELETE", "/users/me", body) for _ in range(2)))
        assert sorted(answer.status for answer in answers) == [204, 401]
        assert (await anna.raw("DELETE", "/users/me", body)).status == 401


class TestMail:
    async def verified(self, cast: Cast, mailbox: Mailbox, name: str, **how: Any) -> Person:
        person = await cast.join(name, **how)
        token = token_in(await mailbox.next_to(person.email))
        await cast.anonymous.post("/auth/email/verify", {"token": token}, expect=204)
        return person

    @pytest.mark.parametrize(("language", "subject"), [("ko", "계정이 삭제되었습니다"), ("en", "account was deleted")])
    async def test_goes_to_the_address_that_it_had(
        self, cast: Cast, service: Service, mailbox: Mailbox, language: str, subject: str
    ) -> None:
        anna = await self.verified(cast, mailbox, "Anna")
        await anna.patch("/users/me", {"settings": {"language": language}}, expect=200)
        await delete(anna)
        mail: EmailMessage = await mailbox.next_to(anna.email, count=2)
        assert subject in mail["Subject"]
        plain = mail.get_body(("plain",))
        assert plain is not None and "Anna" not in plain.get_content() and "http" not in plain.get_content()
        await nothing_waits(service)

    async def test_goes_to_no_address_that_nobody_has_shown(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        boris = await self.verified(cast, mailbox, "Boris")
        anna = await cast.join("Anna")
        await mailbox.next_to(anna.email)
        await delete(anna)
        await delete(boris)
        await mailbox.next_to(boris.email, count=2)
        await nothing_waits(service)
        assert [mail["To"] for mail in mailbox.mails].count(anna.email) == 1

    async def test_what_was_still_to_be_sent_is_not(self, cast: Cast, service: Service, mailbox: Mailbox) -> None:
        anna = await self.verified(cast, mailbox, "Anna")
        parts, later = service.parts, now() + timedelta(hours=1)
        async with parts.database.transaction() as tx:
            await tx.outbox.add("mail", {"about": "password_changed", "user_id": anna.id}, later)
            await tx.outbox.add("mail", {"about": "reset_password", "email_key": anna.email}, later)
        await delete(anna)
        await mailbox.next_to(anna.email, count=2)
        await alter(service, update(OutboxItem).values(due_at=now()))
        parts.outbox.wake()
        await nothing_waits(service)
        assert len(mailbox.mails) == 2


async def nothing_waits(service: Service) -> None:
    """Wait until the outbox has nothing but what waits for somebody not to read."""
    async with asyncio.timeout(5):
        while await count(service, OutboxItem, OutboxItem.kind.not_in((PUSH, DIGEST))):
            await asyncio.sleep(0.02)


class TestOthers:
    async def test_find_nobody(self, cast: Cast, anna: Person, boris: Person, gildong: Person) -> None:
        await cast.befriend(anna, boris)
        group = await make(boris, anna, name=None)
        await gildong.post("/friends/requests", {"user_id": anna.id}, expect=201)
        await boris.put(f"/blocks/{gildong.id}", expect=204)
        await delete(anna)
        for person in (boris, gildong):
            await person.get(f"/users/{anna.id}", expect=404)
            assert "Anna" not in str(await person.get("/users")) + str(await person.get("/users", params={"q": "ann"}))
            await person.post("/friends/requests", {"user_id": anna.id}, expect=404)
            await person.post("/rooms", {"kind": "direct", "user_id": anna.id}, expect=404)
            await person.put(f"/blocks/{anna.id}", expect=404)
            await person.post("/rooms", {"kind": "group", "member_ids": [anna.id]}, expect=403)
            assert (await person.get("/friends"))["items"] == []
            assert (await person.get("/friends/requests", params={"direction": "outgoing"}))["items"] == []
        await boris.post(f"/rooms/{group['id']}/members", {"user_ids": [anna.id]}, expect=403)
        assert (await boris.get("/rooms", params={"q": "ann"}))["items"] == []

    async def test_see_what_was_written_without_a_name(
        self, cast: Cast, anna: Person, boris: Person, gildong: Person
    ) -> None:
        for person in (anna, gildong):
            await cast.befriend(boris, person)
        group = await make(boris, anna, gildong)
        asked = await say(boris, group, "점심 뭐 먹지?")
        path = f"/rooms/{group['id']}/messages"
        said = (await anna.post(path, draft("비빔밥 어때", mentions=[boris.id])))["message"]
        await anna.put(f"/messages/{asked['id']}/reactions/👍", expect=200)
        await boris.post(path, draft("좋아요", reply_to=said["id"], mentions=[anna.id]), expect=201)
        await delete(anna)
        nobody = {"id": anna.id} | NAMELESS
        *_, kept, answer, left = await lines(gildong, group)
        assert (kept["text"], kept["sender"], answer["reply_to"]["sender"]) == ("비빔밥 어때", nobody, nobody)
        assert answer["mentions"] == [anna.id]
        assert (left["system"]["type"], left["system"]["actor"]) == ("left", nobody)
        (hit,) = (await boris.get("/search/messages", params={"q": "비빔", "sender_id": anna.id}))["items"]
        assert hit["seq"] == said["seq"] and hit["sender"] == nobody
        (reaction,) = (await gildong.get(f"/messages/{asked['id']}/reactions"))["items"]
        assert reaction["user"] == nobody
        shown = await boris.get(f"/rooms/{group['id']}")
        assert [member["user"]["nickname"] for member in shown["members"]] == ["Boris", "홍길동"]
        assert "Anna" not in str(await boris.get("/rooms")) + str(await lines(boris, group))

    async def test_keep_a_direct_room_with_its_history_and_nobody_to_write_to(
        self, cast: Cast, anna: Person, boris: Person
    ) -> None:
        room = await cast.direct_room(anna, boris)
        socket = await boris.connect()
        sent = (await socket.call("send_message", draft(room_id=room)))["message"]
        await anna.post(f"/rooms/{room}/read", {"seq": 1}, expect=200)
        await anna.post(f"/rooms/{room}/messages", draft("안녕"), expect=201)
        again = draft(room_id=room)
        assert (await socket.call("send_message", again))["ok"]  # who hears is remembered now
        await delete(anna)
        refusals = [await socket.call("send_message", draft(room_id=room)) for _ in range(2)]
        assert [refusal["error"]["code"] for refusal in refusals] == ["gone", "gone"]
        assert (await boris.raw("POST", f"/rooms/{room}/messages", draft())).status == 410
        assert (await socket.call("send_message", again))["replayed"]
        shown = await boris.get(f"/rooms/{room}")
        assert shown["display_name"] == "" and shown["last_seq"] == 3
        assert {"id": anna.id} | NAMELESS in [member["user"] for member in shown["members"]]
        assert [each["id"] for each in (await boris.get("/rooms"))["items"]] == [room]
        assert [each["sender"]["nickname"] for each in await lines(boris, shown)] == ["Boris", None, "Boris"]
        (receipt,) = (await boris.get(f"/messages/{sent['id']}/receipts"))["items"]
        assert receipt["user"] == {"id": anna.id} | NAMELESS and receipt["read_at"]
        await boris.post(f"/rooms/{room}/leave", {}, expect=204)
        assert (await boris.get("/rooms"))["items"] == []

    async def test_a_block_is_over_and_nobody_is_written_to(self, cast: Cast, anna: Person, boris: Person) -> None:
        room = await cast.direct_room(anna, boris)
        await boris.put(f"/blocks/{anna.id}", expect=204)
        await boris.raw("POST", f"/rooms/{room}/messages", draft())
        bell = await boris.connect("/notifications")
        await delete(anna)
        assert (await bell.heard("friend_changed")) == {"user": {"id": anna.id} | NAMELESS, "relationship": "none"}
        assert (await boris.get("/blocks"))["items"] == []
        assert (await boris.raw("POST", f"/rooms/{room}/messages", draft())).json["code"] == "gone"
        await boris.delete(f"/blocks/{anna.id}", expect=404)


class TestEvents:
    async def test_who_knew_them_is_told_that_they_are_nobody(
        self, cast: Cast, anna: Person, boris: Person, gildong: Person
    ) -> None:
        clara, mallory = await cast.join("Clara"), await cast.join("Mallory")
        await cast.befriend(anna, boris)
        await cast.befriend(boris, clara)
        await make(boris, anna, clara)
        await gildong.post("/friends/requests", {"user_id": anna.id}, expect=201)
        bells = {person.id: await person.connect("/notifications") for person in (boris, gildong, clara, mallory)}
        await delete(anna)
        nobody = {"id": anna.id} | NAMELESS
        for person in (boris, gildong):
            assert await bells[person.id].heard("friend_changed") == {"user": nobody, "relationship": "none"}
        for person in (boris, gildong, clara):
            assert await bells[person.id].heard("user_changed") == nobody
        await mallory.patch("/users/me", {"intro": "hello"}, expect=200)
        await bells[mallory.id].heard("user_changed")
        assert len(bells[mallory.id].events) == 1
        assert all("Anna" not in str(bell.events) for bell in bells.values())

    async def test_the_group_hears_that_somebody_left(self, cast: Cast, anna: Person, boris: Person) -> None:
        await cast.befriend(anna, boris)
        group = await make(anna, boris)
        await boris.post("/friends/requests", {"user_id": (await cast.join("Clara")).id}, expect=201)
        socket = await boris.connect()
        await delete(anna)
        line = await socket.heard("message_sent")
        assert (line["system"]["type"], line["system"]["actor"]) == ("left", {"id": anna.id} | NAMELESS)
        changed = await socket.heard("room_changed")
        assert (changed["left"], changed["roles"]) == ([anna.id], {boris.id: "owner"})
        assert changed["rev"] == line["rev"] + 1 and changed["member_count"] == 1
        assert (await boris.get(f"/rooms/{group['id']}"))["me"]["role"] == "owner"

    async def test_who_saw_them_online_sees_them_leave(self, cast: Cast, anna: Person, boris: Person) -> None:
        room = await cast.direct_room(anna, boris)
        await anna.post(f"/rooms/{room}/messages", draft(), expect=201)
        socket = await boris.connect()
        await anna.connect()
        assert (await until_told(socket, "presence_changed", anna.id))["online"]
        await delete(anna)
        assert not (await until_told(socket, "presence_changed", anna.id))["online"]


class TestGroups:
    async def test_the_group_of_one_alone_goes_with_them(self, anna: Person, service: Service) -> None:
        group = await make(anna)
        await delete(anna)
        assert await count(service, Member, Member.room_id == UUID(group["id"])) == 0
        async with service.parts.database.transaction() as tx:
            assert await tx.abandoned.next_room() == UUID(group["id"])

    async def test_many_are_left_in_portions_and_none_ever_hears_the_name(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch, anna: Person, boris: Person
    ) -> None:
        for module in (deletion, leaving):
            monkeypatch.setattr(module, "GROUPS_AT_ONCE", 2)
        await cast.befriend(anna, boris)
        groups = [await make(anna, boris, name=f"{n}") for n in range(7)]
        sockets = [await boris.connect(), await boris.connect("/notifications")]
        await delete(anna)
        await nothing_waits(service)
        changes = [await sockets[0].heard("room_changed") for _ in groups]
        assert {change["room_id"] for change in changes} == {group["id"] for group in groups}
        for group in groups:
            shown = await boris.get(f"/rooms/{group['id']}")
            assert (shown["member_count"], shown["me"]["role"], shown["rev"]) == (1, "owner", group["rev"] + 2)
        assert all("Anna" not in str(socket.events) for socket in sockets)

    async def test_those_that_remain_are_left_although_the_process_dies(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch, anna: Person, boris: Person
    ) -> None:
        for module in (deletion, leaving):
            monkeypatch.setattr(module, "GROUPS_AT_ONCE", 2)
        monkeypatch.setattr(service.parts.outbox, "wake", lambda: None)
        monkeypatch.setattr(service.parts.deletion, "_wake", lambda: None)
        await cast.befriend(anna, boris)
        groups = [await make(anna, boris, name=f"{n}") for n in range(5)]
        await delete(anna)
        item = await one(service, select(OutboxItem.__table__).where(OutboxItem.kind == leaving.LEAVE_GROUPS))
        late = MessageDraft(client_id=uuid4(), text="from beyond")
        for group in groups:  # between, they are nobody, and nobody acts for them
            assert (await boris.raw("POST", f"/rooms/{group['id']}/messages", draft())).status == 201
            with pytest.raises(NotFound):
                await service.parts.sending.send(UUID(anna.id), UUID(group["id"]), late)
        for _ in range(2):  # at least once
            await service.parts.leaving.finish(item)
        assert await count(service, Member, Member.user_id == UUID(anna.id)) == 0
        counts = {(await boris.get(f"/rooms/{group['id']}"))["rev"] for group in groups}
        assert counts == {groups[0]["rev"] + 3}
