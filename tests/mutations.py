"""Everything that changes a room, each with what it must be to the people of `World`: the table of test_mutations.py.

`covers` names the route or the event. What another member does to a line that somebody may not read, they do not hear:
`unseen` are those who learn of it by `sync`, if there is anything to learn. `gone` has no account after it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from .cast import Attachment, Cast, Person, draft
from .pictures import picture
from .replica import Replica

Body = dict[str, Any]

FILES = Attachment("letter.txt", b"Dear all"), Attachment("photo.png", picture("PNG"))


@dataclass
class World:
    """Anna's group of Boris, an admin, 길동 and Nina, who came late; Fedor has left it. Vera is a friend outside it.

    Anna's direct rooms: `direct` with Boris, `silent` with Vera, who has not seen it, `left` with 길동, who left it.
    Mallory has nothing to do with any of it.
    """

    cast: Cast
    people: dict[str, Person]
    rooms: dict[str, str] = field(default_factory=dict)
    lines: dict[str, Body] = field(default_factory=dict)
    devices: dict[str, Replica] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Person:
        return self.people[name]

    async def say(self, who: str, room: str, text: str, **fields: Any) -> Body:
        path = f"/rooms/{self.rooms[room]}/messages"
        message: Body = (await self.people[who].post(path, draft(text, **fields)))["message"]
        return message

    async def patch(self, who: str, path: str, body: Body) -> None:
        await self.people[who].patch(f"/rooms/{self.rooms['group']}{path}", body, expect=200)

    async def emit(self, who: str, event: str, payload: Body) -> Body:
        """From a further socket of somebody's."""
        answer: Body = await (await self.people[who].connect()).call(event, payload)
        assert answer["ok"], answer
        return answer


NAMES = ("anna", "boris", "gildong", "nina", "fedor", "vera", "mallory")


async def build(cast: Cast) -> World:
    people = {name: await cast.join("홍길동" if name == "gildong" else name.title()) for name in NAMES}
    world = World(cast, people)
    for name in ("boris", "gildong", "nina", "fedor", "vera"):
        await cast.befriend(people["anna"], people[name])
    await _build_direct_rooms(world)
    await _build_group(world)
    return world


async def _build_direct_rooms(world: World) -> None:
    for room, name in (("direct", "boris"), ("silent", "vera"), ("left", "gildong")):
        world.rooms[room] = await world.cast.direct_room(world.anna, world.people[name])
    world.lines["direct"] = await world.say("anna", "direct", "hello Boris")
    await world.say("anna", "direct", "are you there?")
    await world.say("anna", "left", "hello")
    await world.gildong.post(f"/rooms/{world.rooms['left']}/leave", {}, expect=204)


async def _build_group(world: World) -> None:
    ids = [world.people[name].id for name in ("boris", "gildong", "fedor")]
    made = await world.anna.post("/rooms", {"kind": "group", "name": "Hiking", "member_ids": ids}, expect=201)
    world.rooms["group"] = made["id"]
    await world.patch("anna", f"/members/{world.boris.id}", {"role": "admin"})
    world.lines["old"] = await world.say("anna", "group", "before Nina came")
    world.lines["answer"] = await world.say("boris", "group", "an answer", reply_to=world.lines["old"]["id"])
    await world.patch("anna", "", {"notice_id": world.lines["old"]["id"]})
    await world.fedor.post(f"/rooms/{made['id']}/leave", {}, expect=204)
    await world.anna.post(f"/rooms/{made['id']}/members", {"user_ids": [world.nina.id]}, expect=200)
    world.lines["new"] = await world.say("anna", "group", "after Nina came")
    world.lines["last"] = await world.say("boris", "group", "the last line", mentions=[world.nina.id])


@dataclass(frozen=True)
class Mutation:
    name: str
    covers: tuple[str, str]
    act: Callable[[World], Awaitable[Any]]
    unseen: frozenset[str] = frozenset()
    gone: str = ""


MUTATIONS: list[Mutation] = []


def mutation(covers: str, *, unseen: str = "", gone: str = "") -> Callable[[Callable[[World], Awaitable[Any]]], Any]:
    """Put a function into the table. `covers`: a method and a path, or a namespace and an event."""

    def enter(act: Callable[[World], Awaitable[Any]]) -> Any:
        where, _, what = covers.partition(" ")
        MUTATIONS.append(Mutation(act.__name__, (where, what), act, frozenset(unseen.split()), gone))
        return act

    return enter


SEND = "POST /rooms/{room_id}/messages"


@mutation(SEND)
async def a_member_sends(world: World) -> None:
    await world.say("gildong", "group", "hello all", reply_to=world.lines["new"]["id"])


@mutation(SEND)
async def somebody_answers_a_line_that_not_all_may_read(world: World) -> None:
    await world.say("gildong", "group", "as Anna said", reply_to=world.lines["old"]["id"])


@mutation("/chat send_message")
async def a_device_sends_over_its_own_socket(world: World) -> None:
    device = world.devices["anna"]
    device.applied(await device.chat.call("send_message", draft(room_id=world.rooms["direct"])))


@mutation(SEND)
async def a_send_is_repeated(world: World) -> None:
    body = draft("once")
    for status in (201, 200):
        await world.anna.post(f"/rooms/{world.rooms['group']}/messages", body, expect=status)


@mutation(SEND)
async def several_send_one_after_another(world: World) -> None:
    for name in ("anna", "boris", "gildong", "nina", "anna"):
        await world.say(name, "group", f"{name} speaks")


@mutation(SEND)
async def the_first_message_shows_a_direct_room(world: World) -> None:
    await world.say("anna", "silent", "hello Vera")


@mutation(SEND)
async def a_message_brings_a_room_back_that_was_left(world: World) -> None:
    await world.say("anna", "left", "are you still there?")


@mutation(SEND)
async def who_left_a_direct_room_writes_into_it(world: World) -> None:
    await world.say("gildong", "left", "here I am")


@mutation(SEND)
async def a_message_shows_files(world: World) -> None:
    await world.gildong.send(world.rooms["group"], *FILES, text="look", reply_to=world.lines["old"]["id"])


@mutation(SEND)
async def the_first_message_of_a_direct_room_shows_a_file(world: World) -> None:
    await world.anna.send(world.rooms["silent"], FILES[0])


@mutation("PATCH /rooms/{room_id}")
async def a_message_with_files_is_pinned(world: World) -> None:
    shown = await world.anna.send(world.rooms["group"], *FILES)
    await world.patch("anna", "", {"notice_id": shown["id"]})


@mutation("DELETE /messages/{message_id}")
async def a_message_with_files_is_reacted_to_and_deleted(world: World) -> None:
    shown = await world.boris.send(world.rooms["group"], *FILES)
    await world.nina.put(f"/messages/{shown['id']}/reactions/👍", expect=200)
    await world.boris.delete(f"/messages/{shown['id']}", expect=200)


@mutation("POST /rooms")
async def who_left_a_direct_room_opens_it_again(world: World) -> None:
    await world.gildong.post("/rooms", {"kind": "direct", "user_id": world.anna.id}, expect=200)


@mutation("POST /rooms")
async def somebody_opens_a_direct_room(world: World) -> None:
    await world.nina.post("/rooms", {"kind": "direct", "user_id": world.fedor.id}, expect=201)


@mutation("POST /rooms")
async def a_group_is_made(world: World) -> None:
    body = {"kind": "group", "member_ids": [world.vera.id, world.fedor.id]}
    await world.anna.post("/rooms", body, expect=201)


@mutation("PATCH /messages/{message_id}")
async def a_line_is_edited(world: World) -> None:
    await world.anna.patch(f"/messages/{world.lines['new']['id']}", {"text": "better"}, expect=200)


@mutation("PATCH /messages/{message_id}")
async def a_line_is_edited_to_what_it_is(world: World) -> None:
    await world.boris.patch(f"/messages/{world.lines['last']['id']}", {"text": "the last line"}, expect=200)


@mutation("PATCH /messages/{message_id}", unseen="nina")
async def the_notice_is_edited(world: World) -> None:
    await world.anna.patch(f"/messages/{world.lines['old']['id']}", {"text": "better"}, expect=200)


@mutation("/chat edit_message")
async def a_line_is_edited_over_a_socket(world: World) -> None:
    await world.emit("boris", "edit_message", {"message_id": world.lines["last"]["id"], "text": "even later"})


@mutation("DELETE /messages/{message_id}")
async def the_last_line_is_deleted(world: World) -> None:
    await world.boris.delete(f"/messages/{world.lines['last']['id']}", expect=200)


@mutation("DELETE /messages/{message_id}", unseen="nina")
async def the_notice_is_deleted(world: World) -> None:
    await world.anna.delete(f"/messages/{world.lines['old']['id']}", expect=200)


@mutation("/chat delete_message")
async def a_line_is_deleted_over_a_socket_twice(world: World) -> None:
    for _ in range(2):
        await world.emit("anna", "delete_message", {"message_id": world.lines["direct"]["id"]})


@mutation("PUT /messages/{message_id}/reactions/{emoji}")
async def somebody_reacts(world: World) -> None:
    for name in ("nina", "nina", "gildong"):
        await world.people[name].put(f"/messages/{world.lines['new']['id']}/reactions/👍", expect=200)


@mutation("PUT /messages/{message_id}/reactions/{emoji}", unseen="nina")
async def somebody_reacts_to_an_old_line(world: World) -> None:
    await world.gildong.put(f"/messages/{world.lines['answer']['id']}/reactions/👍", expect=200)


@mutation("DELETE /messages/{message_id}/reactions/{emoji}")
async def a_reaction_is_taken_back(world: World) -> None:
    path = f"/messages/{world.lines['last']['id']}/reactions/👍"
    await world.anna.put(path, expect=200)
    await world.gildong.put(path, expect=200)
    await world.anna.delete(path, expect=200)


@mutation("/chat react_to_message")
async def somebody_reacts_over_a_socket(world: World) -> None:
    payload = {"message_id": world.lines["new"]["id"], "emoji": "🙂"}
    await world.emit("boris", "react_to_message", payload | {"on": True})
    await world.emit("gildong", "react_to_message", payload | {"on": True})
    await world.emit("boris", "react_to_message", payload | {"on": False})


@mutation("POST /rooms/{room_id}/read")
async def somebody_reads_everything(world: World) -> None:
    answer = await world.boris.post(f"/rooms/{world.rooms['direct']}/read", {"seq": 1000}, expect=200)
    assert answer["unread_count"] == 0


@mutation("/chat mark_read")
async def somebody_reads_a_part_over_a_socket(world: World) -> None:
    await world.emit("boris", "mark_read", {"room_id": world.rooms["direct"], "seq": 1})


@mutation("POST /rooms/{room_id}/read")
async def a_cursor_does_not_go_back(world: World) -> None:
    await world.anna.post(f"/rooms/{world.rooms['direct']}/read", {"seq": 1}, expect=200)


@mutation("PATCH /rooms/{room_id}/me")
async def somebody_mutes_pins_and_names_a_room(world: World) -> None:
    body = {"muted_until": "2099-01-01T00:00:00.000Z", "pinned": True, "alias": "our hikes"}
    await world.patch("gildong", "/me", body)


@mutation("PATCH /rooms/{room_id}/me")
async def what_somebody_set_is_taken_back(world: World) -> None:
    await world.patch("gildong", "/me", {"pinned": True, "alias": "our hikes"})
    await world.patch("gildong", "/me", {"alias": None})


@mutation("POST /rooms/{room_id}/members")
async def friends_are_invited(world: World) -> None:
    body = {"user_ids": [world.vera.id, world.fedor.id, world.boris.id]}
    await world.anna.post(f"/rooms/{world.rooms['group']}/members", body, expect=200)


@mutation("DELETE /rooms/{room_id}/members/{user_id}")
async def a_member_is_removed(world: World) -> None:
    await world.boris.delete(f"/rooms/{world.rooms['group']}/members/{world.gildong.id}", expect=204)


@mutation("DELETE /rooms/{room_id}/members/{user_id}")
async def a_member_is_removed_and_invited_again(world: World) -> None:
    path = f"/rooms/{world.rooms['group']}/members"
    await world.anna.delete(f"{path}/{world.gildong.id}", expect=204)
    await world.say("boris", "group", "what 길동 must not read")
    await world.anna.post(path, {"user_ids": [world.gildong.id]}, expect=200)
    await world.say("boris", "group", "welcome back")


@mutation("PATCH /rooms/{room_id}/members/{user_id}")
async def a_member_becomes_an_admin(world: World) -> None:
    await world.patch("anna", f"/members/{world.gildong.id}", {"role": "admin"})


@mutation("PATCH /rooms/{room_id}/members/{user_id}")
async def another_becomes_the_owner(world: World) -> None:
    await world.patch("anna", f"/members/{world.nina.id}", {"role": "owner"})


@mutation("POST /rooms/{room_id}/leave")
async def a_member_leaves(world: World) -> None:
    await world.gildong.post(f"/rooms/{world.rooms['group']}/leave", {}, expect=204)


@mutation("POST /rooms/{room_id}/leave")
async def a_member_leaves_quietly(world: World) -> None:
    await world.nina.post(f"/rooms/{world.rooms['group']}/leave", {"quiet": True}, expect=204)


@mutation("POST /rooms/{room_id}/leave")
async def the_owner_leaves(world: World) -> None:
    await world.anna.post(f"/rooms/{world.rooms['group']}/leave", {}, expect=204)


@mutation("POST /rooms/{room_id}/leave")
async def the_last_one_leaves(world: World) -> None:
    for name in ("anna", "nina", "gildong", "boris"):
        await world.people[name].post(f"/rooms/{world.rooms['group']}/leave", {}, expect=204)


@mutation("POST /rooms/{room_id}/leave")
async def somebody_leaves_a_direct_room(world: World) -> None:
    await world.boris.post(f"/rooms/{world.rooms['direct']}/leave", {}, expect=204)


@mutation("POST /rooms/{room_id}/leave")
async def a_direct_room_is_left_and_written_into(world: World) -> None:
    await world.boris.post(f"/rooms/{world.rooms['direct']}/leave", {}, expect=204)
    await world.say("anna", "direct", "come back")
    await world.say("boris", "direct", "I am here")


@mutation("PATCH /rooms/{room_id}")
async def a_group_is_renamed(world: World) -> None:
    await world.patch("boris", "", {"name": "Seoraksan"})


@mutation("PATCH /rooms/{room_id}")
async def a_group_loses_its_name(world: World) -> None:
    await world.patch("boris", "", {"name": None})


@mutation("PATCH /rooms/{room_id}")
async def a_notice_is_set(world: World) -> None:
    await world.patch("boris", "", {"notice_id": world.lines["new"]["id"]})


@mutation("PATCH /rooms/{room_id}")
async def a_notice_is_set_that_not_all_may_read(world: World) -> None:
    await world.patch("anna", "", {"notice_id": world.lines["new"]["id"]})
    await world.patch("boris", "", {"notice_id": world.lines["answer"]["id"]})


@mutation("PATCH /rooms/{room_id}")
async def a_notice_is_taken_away(world: World) -> None:
    await world.patch("anna", "", {"notice_id": None})


@mutation("PATCH /rooms/{room_id}")
async def a_direct_room_has_a_notice_and_loses_it(world: World) -> None:
    path = f"/rooms/{world.rooms['direct']}"
    await world.boris.patch(path, {"notice_id": world.lines["direct"]["id"]}, expect=200)
    await world.anna.patch(path, {"notice_id": None}, expect=200)


@mutation("PUT /blocks/{user_id}")
async def a_block_keeps_messages_from_both(world: World) -> None:
    await world.boris.put(f"/blocks/{world.anna.id}", expect=204)
    for person in (world.anna, world.boris):
        await person.post(f"/rooms/{world.rooms['direct']}/messages", draft(), expect=403)
    await world.say("anna", "group", "in the group both stay")


@mutation("DELETE /blocks/{user_id}")
async def after_a_block_both_write_again(world: World) -> None:
    await world.boris.put(f"/blocks/{world.anna.id}", expect=204)
    await world.boris.delete(f"/blocks/{world.anna.id}", expect=204)
    await world.say("anna", "direct", "hello again")


DELETE_ME = "DELETE /users/me"


@mutation(DELETE_ME, gone="anna")
async def the_owner_deletes_the_account(world: World) -> None:
    await world.anna.delete("/users/me", {"password": world.anna.password}, expect=204)


@mutation(DELETE_ME, gone="boris")
async def somebody_deletes_the_account_and_is_written_to(world: World) -> None:
    await world.boris.delete("/users/me", {"password": world.boris.password}, expect=204)
    await world.anna.post(f"/rooms/{world.rooms['direct']}/messages", draft(), expect=410)
    await world.say("gildong", "group", "who was that?", reply_to=world.lines["last"]["id"])


@mutation(DELETE_ME, gone="gildong")
async def who_left_a_direct_room_deletes_the_account(world: World) -> None:
    await world.gildong.delete("/users/me", {"password": world.gildong.password}, expect=204)


CHANGES_NO_ROOM = {
    ("POST", "/auth/register"), ("POST", "/auth/login"), ("POST", "/auth/refresh"), ("POST", "/auth/logout"),
    ("DELETE", "/auth/sessions/{session_id}"), ("DELETE", "/auth/sessions"), ("PUT", "/auth/password"),
    ("POST", "/auth/password/forgot"), ("POST", "/auth/password/reset"), ("POST", "/auth/email/verify"),
    ("POST", "/auth/email/resend"), ("PATCH", "/users/me"), ("POST", "/friends/requests"),
    ("POST", "/friends/requests/{user_id}/accept"), ("POST", "/friends/requests/{user_id}/decline"),
    ("DELETE", "/friends/requests/{user_id}"), ("PATCH", "/friends/{user_id}"), ("DELETE", "/friends/{user_id}"),
    ("POST", "/auth/exchange"), ("POST", "/auth/oauth/kakao/unlinked"), ("POST", "/notifications/unsubscribe"),
    ("PUT", "/users/me/identities/{provider}"), ("DELETE", "/users/me/identities/{provider}"),
    ("PUT", "/users/me/avatar"), ("DELETE", "/users/me/avatar"), ("POST", "/rooms/{room_id}/files"),
    ("OPTIONS", "/rooms/{room_id}/uploads"), ("PUT", "/notifications/push"), ("DELETE", "/notifications/push"),
    ("POST", "/rooms/{room_id}/uploads"), ("PATCH", "/uploads/{upload_id}"), ("DELETE", "/uploads/{upload_id}"),
    ("/chat", "set_typing"), ("/chat", "sync"), ("/chat", "refresh_session"),
    ("POST", "/notifications/read"), ("PUT", "/notifications/preferences"),
    ("/notifications", "mark_notifications_read"),
}  # fmt: skip
"""Of the registries: what concerns people alone, and what is not kept. Profiles follow `user_changed`."""
