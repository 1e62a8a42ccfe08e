"""What a send may say, who hears it, and what it moves."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg.pgproto import pgproto

from src.clock import now
from src.db.ids import new_id
from src.db.sends import Membership
from src.schemas.links import Link
from src.schemas.messages import Changed, Message, Reaction, ReplyTo, Sent, SystemLine
from src.schemas.people import User
from src.services.audiences import Audiences

from .cast import Cast, Person, Service, Socket, draft
from .files import file_view, line_with
from .test_rooms import open_room, send


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast) -> Person:
    return await cast.join("Boris")


@pytest.fixture
async def mallory(cast: Cast) -> Person:
    return await cast.join("Mallory")


@pytest.fixture
async def group_id(cast: Cast, anna: Person, boris: Person) -> str:
    """A group of Anna and Boris."""
    await cast.befriend(anna, boris)
    return str((await anna.post("/rooms", {"kind": "group", "name": "Hill", "member_ids": [boris.id]}))["id"])


async def sent(person: Person, room_id: str, text: str = "hello", **fields: Any) -> Any:
    return (await person.post(f"/rooms/{room_id}/messages", draft(text, **fields), expect=201))["message"]


async def refused(person: Person, room_id: str, **fields: Any) -> tuple[int, str]:
    answer = await person.raw("POST", f"/rooms/{room_id}/messages", draft(**fields))
    return answer.status, answer.json["errors"][0]["field"] if answer.json.get("errors") else answer.json["code"]


async def heard_of(socket: Socket, event: str, room_id: str) -> Any:
    """The next such event of this room."""
    while True:
        payload = await socket.heard(event)
        if room_id in (payload["id"], payload.get("room_id")):
            return payload


class TestAReply:
    async def test_shows_what_it_quotes(self, anna: Person, boris: Person, group_id: str) -> None:
        listening = await anna.connect()
        quoted = await sent(anna, group_id, "lunch?")
        reply = await sent(boris, group_id, "yes", reply_to=quoted["id"])
        assert reply["reply_to"] == {name: quoted[name] for name in ("id", "seq", "sender", "text")}
        await heard_of(listening, "message_sent", group_id)
        assert await heard_of(listening, "message_sent", group_id) == reply
        (stored,) = (await anna.get(f"/rooms/{group_id}/messages", params={"after_seq": quoted["seq"]}))["items"]
        assert stored == reply

    async def test_quotes_no_system_line_and_nothing_deleted(self, anna: Person, boris: Person, group_id: str) -> None:
        system = (await anna.get(f"/rooms/{group_id}/messages"))["items"][0]
        deleted = await sent(anna, group_id)
        await anna.delete(f"/messages/{deleted['id']}")
        for line in (system, deleted):
            assert await refused(boris, group_id, reply_to=line["id"]) == (422, "reply_to")

    async def test_quotes_nothing_that_its_sender_may_not_read(
        self, cast: Cast, anna: Person, mallory: Person, group_id: str
    ) -> None:
        before, elsewhere = await sent(anna, group_id, "before"), (await open_room(anna, mallory))["id"]
        other = await sent(anna, elsewhere, "in another room")
        await cast.befriend(anna, mallory)
        await anna.post(f"/rooms/{group_id}/members", {"user_ids": [mallory.id]})
        for secret in (before["id"], other["id"], str(uuid4())):
            assert await refused(mallory, group_id, reply_to=secret) == (422, "reply_to")

    async def test_hides_what_it_quotes_from_who_may_not_read_it(
        self, cast: Cast, anna: Person, boris: Person, mallory: Person, group_id: str
    ) -> None:
        before = await sent(anna, group_id, "between us")
        await cast.befriend(anna, mallory)
        await anna.post(f"/rooms/{group_id}/members", {"user_ids": [mallory.id]})
        annas, mallorys = await anna.connect(), await mallory.connect()
        reply = await sent(boris, group_id, "yes, between us two", reply_to=before["id"])
        assert await heard_of(annas, "message_sent", group_id) == reply
        assert reply["reply_to"]["text"] == "between us"
        assert await heard_of(mallorys, "message_sent", group_id) == reply | {"reply_to": None}


class TestMentions:
    async def test_are_members_each_named_once(self, anna: Person, boris: Person, group_id: str) -> None:
        line = await sent(anna, group_id, mentions=[boris.id, anna.id, boris.id])
        assert line["mentions"] == [boris.id, anna.id]
        assert (await boris.get(f"/rooms/{group_id}/messages"))["items"][-1] == line

    async def test_of_others_are_refused(self, anna: Person, boris: Person, mallory: Person, group_id: str) -> None:
        assert await refused(anna, group_id, mentions=[boris.id, mallory.id]) == (422, "mentions")
        assert await refused(anna, group_id, mentions=[str(uuid4())]) == (422, "mentions")
        assert len((await anna.get(f"/rooms/{group_id}/messages"))["items"]) == 1

    async def test_of_who_has_left_are_refused(self, anna: Person, boris: Person, group_id: str) -> None:
        await sent(anna, group_id, mentions=[boris.id])
        await boris.post(f"/rooms/{group_id}/leave", {})
        assert await refused(anna, group_id, mentions=[boris.id]) == (422, "mentions")


class TestTheFirstLine:
    async def test_brings_a_direct_room_into_the_list_as_of_that_line(
        self, anna: Person, boris: Person, mallory: Person
    ) -> None:
        boriss = await boris.connect()
        room_id = (await open_room(anna, boris))["id"]
        socket = await anna.connect()
        first, second = [
            await socket.call("send_message", {"room_id": room_id, **draft(text)}) for text in ("one", "two")
        ]
        added = await boriss.heard("room_added")
        assert (added["id"], added["rev"], added["last_seq"]) == (room_id, 1, 1)
        assert added["last_message"] == first["message"]
        assert [await boriss.heard("message_sent") for _ in range(2)] == [first["message"], second["message"]]
        told = [name for name, _ in boriss.events if name != "presence_changed"]
        assert told == ["ready", "room_added", "message_sent", "message_sent"]

    async def test_brings_it_back_for_who_had_left(self, anna: Person, boris: Person) -> None:
        room_id = (await open_room(anna, boris))["id"]
        await sent(anna, room_id, "before")
        await boris.post(f"/rooms/{room_id}/leave", {})
        boriss = await boris.connect()
        back = await sent(anna, room_id, "come back")
        added = await boriss.heard("room_added")
        assert (added["last_message"], added["me"]["first_seq"]) == (back, back["seq"])
        assert (await boris.get(f"/rooms/{room_id}/messages"))["items"] == [back]

    async def test_brings_it_back_for_its_own_sender(self, anna: Person, boris: Person) -> None:
        room_id = (await open_room(anna, boris))["id"]
        await sent(anna, room_id, "before")
        await anna.post(f"/rooms/{room_id}/leave", {})
        annas = await anna.connect()
        mine = await sent(anna, room_id, "here I am again")
        assert (await annas.heard("room_added"))["last_message"] == mine
        assert await annas.heard("message_sent") == mine


class TestASend:
    async def test_moves_the_senders_cursor_and_the_rooms_moment(
        self, anna: Person, boris: Person, group_id: str
    ) -> None:
        other = (await open_room(anna, boris))["id"]
        await sent(boris, other)
        line = await sent(anna, group_id)
        room = await anna.get(f"/rooms/{group_id}")
        assert (room["me"]["read_seq"], room["me"]["unread_count"]) == (line["seq"], 0)
        assert (await boris.get(f"/rooms/{group_id}"))["me"]["unread_count"] == 1
        assert [each["id"] for each in (await boris.get("/rooms"))["items"]] == [group_id, other]

    async def test_does_not_go_back_in_time_within_a_room(
        self, service: Service, anna: Person, boris: Person, group_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = await sent(anna, group_id)
        monkeypatch.setattr("src.services.batches.now", lambda: now().replace(year=2020))
        assert (await sent(boris, group_id))["created_at"] >= first["created_at"]

    async def test_again_is_answered_although_one_has_left_since(
        self, anna: Person, boris: Person, group_id: str
    ) -> None:
        body = draft("I was here")
        line = (await boris.post(f"/rooms/{group_id}/messages", body))["message"]
        await boris.post(f"/rooms/{group_id}/leave", {})
        await anna.put(f"/messages/{line['id']}/reactions/👋")
        answer = await boris.raw("POST", f"/rooms/{group_id}/messages", body)
        assert (answer.status, answer.json["replayed"], answer.json["message"]["id"]) == (200, True, line["id"])
        assert answer.json["message"]["reactions"] == []
        assert await refused(boris, group_id) == (404, "not_found")

    async def test_again_shows_nothing_of_the_time_one_was_away(
        self, anna: Person, boris: Person, group_id: str
    ) -> None:
        body = draft("I was here")
        line = (await boris.post(f"/rooms/{group_id}/messages", body))["message"]
        await boris.post(f"/rooms/{group_id}/leave", {})
        await anna.put(f"/messages/{line['id']}/reactions/👋")
        await anna.post(f"/rooms/{group_id}/members", {"user_ids": [boris.id]}, expect=200)
        again = await boris.post(f"/rooms/{group_id}/messages", body, expect=200)
        assert (again["message"]["id"], again["message"]["reactions"]) == (line["id"], [])

    async def test_again_is_answered_across_a_block(self, anna: Person, boris: Person) -> None:
        room_id, body = (await open_room(anna, boris))["id"], draft()
        line = (await anna.post(f"/rooms/{room_id}/messages", body))["message"]
        await boris.put(f"/blocks/{anna.id}")
        assert await anna.post(f"/rooms/{room_id}/messages", body, expect=200) == {"message": line, "replayed": True}
        assert await refused(anna, room_id) == (403, "blocked")
        await boris.delete(f"/blocks/{anna.id}")
        await send(anna, room_id, "again")


class TestAMessage:
    def test_is_encoded_once_as_pydantic_would_and_a_copy_anew(self) -> None:
        message = Message(
            id=new_id(),
            room_id=new_id(),
            seq=1,
            rev=1,
            kind="text",
            sender=None,
            text="안녕",
            client_id=None,
            created_at=now(),
        )
        anna = User(id=pgproto.UUID(str(new_id())), nickname='"Anna"', intro="")  # as it is read there
        everything = message.model_copy(
            update={
                "sender": anna,
                "text": "\\ </script> \u2028 😀",
                "reply_to": ReplyTo(id=new_id(), seq=1, sender=None, text=None),
                "mentions": [new_id(), new_id()],
                "reactions": [Reaction(emoji="❤️", count=2, user_ids=[anna.id])],
                "client_id": new_id(),
                "system": SystemLine(type="joined", actor=anna, targets=[anna]),
                "edited_at": now(),
                "deleted_at": now(),
            }
        )
        assert everything.encoded() == everything.model_dump_json().encode()
        for view in (message, Sent(message=message, replayed=True), Sent(message=message, replayed=False)):
            assert view.encoded() == view.model_dump_json().encode()
        assert message.encoded() is message.encoded()
        for deep in (False, True):
            copied = message.model_copy(update={"text": "changed"}, deep=deep)
            assert copied.encoded() == copied.model_dump_json().encode() != message.encoded()

    def test_is_encoded_for_each_reader_where_they_read_different_things(self) -> None:
        class Reads(str):
            def address(self, link: Link) -> str:
                return f"{self}{link}"

        here, abroad = Reads("http://here"), Reads('http://abroad?"')
        pictured = User(id=new_id(), nickname="Anna", intro="", avatar_url=Link("/avatars/1"))
        for line in (line_with(file_view(), file_view(), sender=pictured), line_with(file_view())):
            for view in (line, Sent(message=line, replayed=False), Changed(message=line)):
                for reader in (here, None, abroad, here):
                    assert view.encoded(reader) == view.model_dump_json(context=reader).encode()
        line = line_with(sender=pictured)
        assert b'"/avatars/1"' in line.encoded(), "what has no address yet is not kept"
        assert b'"http://here/avatars/1"' in line.encoded(here)
        assert line.encoded(here) is line.encoded(here), "a picture is everybody's"


class TestAudiences:
    def test_hold_at_one_roster_and_are_forgotten_beyond_so_many_members(self) -> None:
        audiences, rooms, user = Audiences(max_members=4), [new_id() for _ in range(3)], new_id()
        for room_id in rooms:
            members = [Membership(room_id, each, 1, True, False, False) for each in (user, new_id())]
            assert audiences.remember(room_id, 7, members).hearing == {each.user_id for each in members}
        assert audiences.at(rooms[0], 7) is None
        assert [audiences.at(room_id, 7) is not None for room_id in rooms[1:]] == [True, True]
        assert audiences.at(rooms[1], 8) is None
        audiences.clear()
        assert audiences.at(rooms[2], 7) is None


async def test_a_blocks_roster_changes_with_it(service: Service, anna: Person, boris: Person) -> None:
    room_id = UUID((await open_room(anna, boris))["id"])

    async def roster() -> int:
        async with service.parts.database.snapshot() as reads:
            room = await reads.rooms.joined_by(UUID(anna.id), room_id)
            assert room is not None
            return int(room.roster)

    before = await roster()
    await anna.put(f"/blocks/{boris.id}")
    blocked = await roster()
    await anna.delete(f"/blocks/{boris.id}")
    assert before < blocked < await roster()
