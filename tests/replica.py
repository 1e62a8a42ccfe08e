"""A device that holds rooms and messages by the rule of contract §7, written from the contract alone.

It starts from a `sync`, applies what carries the next `rev`, drops what carries none beyond its own, and on anything
higher asks `sync` again. It knows people by their ids, each as it saw them last. `differences` says where two states
differ that must not (contract §9, "Equal state").
"""

import asyncio
from collections.abc import Callable
from typing import Any

from .cast import PATIENCE, Person, Socket
from .files import without_addresses

State = dict[str, Any]
NAMES_SHOWN = 5
USER = {"id", "nickname", "intro", "avatar_url"}
"""The fields of a `User`, and of nothing else."""


class Held:
    """One room: as it is shown, its lines by number, and the `rev` up to which all is applied."""

    def __init__(self, room: dict[str, Any], messages: list[dict[str, Any]], rev: int) -> None:
        self.room = room
        self.lines = {message["seq"]: message for message in messages}
        self.rev = rev

    @property
    def state(self) -> State:
        me = self.room["me"]
        return {
            "rev": self.rev,
            "room": {name: value for name, value in self.room.items() if name not in ("rev", "members", "me")}
            | {"avatar_url": None, "last_message": _line(self.room["last_message"])}
            | {"notice": _line(self.room["notice"])},
            "members": {member["user"]["id"]: member for member in self.room["members"]},
            "me": me,
            "lines": {seq: _line(message) for seq, message in sorted(self.lines.items())},
        }


def _line(message: dict[str, Any] | None) -> dict[str, Any] | None:
    """A message, but for the words that it quotes, of which a client shows its own copy, and its files' addresses."""
    if message is None:
        return None
    quoted = message["reply_to"] and message["reply_to"]["id"]
    return message | {"reply_to": quoted, "files": without_addresses(message["files"])}


class Replica:
    """A person's device. `heard`: the events on both namespaces since `mark`, but for who is online."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.rooms: dict[str, Held] = {}
        self.epoch: str | None = None
        self.unread_total = 0
        self.syncs = 0
        self.heard: list[tuple[str, Any]] = []
        self.people: dict[str, dict[str, Any]] = {}
        self.chat: Socket
        self.bell: Socket
        self._applied = {"/chat": 0, "/notifications": 0}

    async def connect(self) -> "Replica":
        """Open both namespaces, and catch up."""
        self.chat, self.bell = await self.person.connect("/chat"), await self.person.connect("/notifications")
        self._applied = {"/chat": 0, "/notifications": 0}
        await self.sync()
        await self.listen()
        self.mark()
        return self

    async def close(self) -> None:
        await self.chat.close()
        await self.bell.close()

    def mark(self) -> None:
        """Begin anew to count what is heard and asked."""
        self.heard, self.syncs = [], 0

    @property
    def state(self) -> State:
        rooms: State = self._with_people({key: held.state for key, held in self.rooms.items()})
        return {"unread_total": self.unread_total, "rooms": rooms}

    async def sync(self) -> None:
        """Ask for what this device lacks until there is no more."""
        self.syncs += 1
        more = True
        while more:
            held = {room_id: held.rev for room_id, held in self.rooms.items()}
            answer = await self.chat.call("sync", {"rooms": held} | ({"epoch": self.epoch} if self.epoch else {}))
            assert answer.pop("ok"), answer
            self._meet(answer)
            self._take(answer)
            more = any(entry["has_more"] for entry in answer["rooms"])

    def _take(self, answer: dict[str, Any]) -> None:
        self.epoch, self.unread_total = answer["epoch"], answer["unread_total"]
        for room_id in answer["removed"]:
            del self.rooms[room_id]
        for entry in answer["rooms"]:
            room_id = entry["room"]["id"]
            if entry["reset"]:
                self.rooms.pop(room_id, None)
            lines = self.rooms[room_id].lines if room_id in self.rooms else {}
            held = Held(entry["room"], [], entry["rev"])
            held.lines = lines | {message["seq"]: message for message in entry["messages"]}
            self.rooms[room_id] = held

    async def listen(self) -> None:
        """Apply everything that the server has sent so far: an answer comes after all that went before it."""
        for socket in (self.chat, self.bell):
            await socket.call("nothing_of_that_name")
        stale = False
        for socket in (self.chat, self.bell):
            events = socket.events[self._applied[socket.namespace] :]
            self._applied[socket.namespace] = len(socket.events)
            for name, payload in events:
                stale |= self._hear(name, payload)
        if stale:
            await self.sync()

    def _hear(self, name: str, payload: Any) -> bool:
        """Apply one event. True if something before it was missed."""
        if name in ("ready", "presence_changed"):
            return False
        self.heard.append((name, payload))
        self._meet(payload)
        apply: Callable[[Any], bool | None] | None = getattr(self, f"_on_{name}", None)
        return bool(apply(payload)) if apply else False

    def _due(self, payload: dict[str, Any]) -> tuple[Held | None, bool]:
        """The room, if the event is the next one of it; and whether one before it was missed."""
        held = self.rooms.get(payload["room_id"])
        if held is None:
            return None, True
        if payload["rev"] != held.rev + 1:
            return None, payload["rev"] > held.rev
        held.rev = payload["rev"]
        return held, False

    def _on_message_sent(self, message: dict[str, Any]) -> bool:
        held, missed = self._due(message)
        if held:
            held.lines[message["seq"]] = message
            held.room |= {"last_message": message, "last_seq": message["seq"]}
            if message["sender"]:
                self._read(held, message["sender"]["id"], message["seq"])
        return missed

    def applied(self, answer: dict[str, Any]) -> None:
        """The acknowledgement of what this device's own socket sent: the event does not come here."""
        assert answer["ok"], answer
        self._on_message_sent(answer["message"])

    def _on_message_changed(self, message: dict[str, Any]) -> bool:
        held, missed = self._due(message)
        if held:
            if message["seq"] in held.lines:
                held.lines[message["seq"]] = message
            for place in ("last_message", "notice"):
                if held.room[place] and held.room[place]["id"] == message["id"]:
                    held.room[place] = message
        return missed

    def _on_room_added(self, room: dict[str, Any]) -> None:
        self.rooms[room["id"]] = Held(room, [room["last_message"]] if room["last_message"] else [], room["rev"])

    def _on_room_removed(self, removed: dict[str, Any]) -> None:
        del self.rooms[removed["room_id"]]

    def _on_room_changed(self, change: dict[str, Any]) -> bool:
        held, missed = self._due(change)
        if held:
            room = held.room
            room |= {name: change[name] for name in ("name", "notice", "member_count") if name in change}
            room["members"] = [each for each in room["members"] if each["user"]["id"] not in change.get("left", [])]
            room["members"] += change.get("joined", [])
            for member in room["members"]:
                member["role"] = change.get("roles", {}).get(member["user"]["id"], member["role"])
            room["me"]["role"] = change.get("roles", {}).get(self.person.id, room["me"]["role"])
            self._name(room)
        return missed

    def _on_room_settings_changed(self, settings: dict[str, Any]) -> None:
        room = self.rooms[settings["room_id"]].room
        room["me"] = settings["me"]
        self._name(room)

    def _on_room_read(self, read: dict[str, Any]) -> None:
        self._read(self.rooms[read["room_id"]], read["user_id"], read["read_seq"])

    def _on_room_head(self, head: dict[str, Any]) -> bool:
        held = self.rooms.get(head["room_id"])
        return held is None or held.rev < head["rev"]

    def _on_unread_changed(self, unread: dict[str, Any]) -> None:
        self.unread_total = unread["total"]
        if unread["room_id"] in self.rooms:
            self.rooms[unread["room_id"]].room["me"]["unread_count"] = unread["unread_count"]

    def _on_user_changed(self, user: dict[str, Any]) -> None:
        for held in self.rooms.values():
            for member in held.room["members"]:
                if member["user"]["id"] == user["id"]:
                    member["user"] = user
            self._name(held.room)

    def _meet(self, told: Any) -> None:
        """Know everybody as they are shown in `told`."""
        if isinstance(told, dict) and told.keys() == USER:
            self.people[told["id"]] = told
        elif isinstance(told, dict | list):
            for part in told.values() if isinstance(told, dict) else told:
                self._meet(part)

    def _with_people(self, held: Any) -> Any:
        """What is held, with everybody as they are known now."""
        if isinstance(held, dict):
            if held.keys() == USER:
                return self.people[held["id"]]
            return {key: self._with_people(part) for key, part in held.items()}
        return [self._with_people(part) for part in held] if isinstance(held, list) else held

    def _read(self, held: Held, user_id: str, seq: int) -> None:
        whose = [each for each in held.room["members"] if each["user"]["id"] == user_id]
        if user_id == self.person.id:
            whose.append(held.room["me"])
        for each in whose:
            each["read_seq"] = max(each["read_seq"], seq)

    def _name(self, room: dict[str, Any]) -> None:
        """What a room is called: by me, by its members, else by who they are."""
        others = [each["user"]["nickname"] for each in room["members"] if each["user"]["id"] != self.person.id]
        names = ", ".join([name for name in others if name][:NAMES_SHOWN])
        room["display_name"] = room["me"]["alias"] or room["name"] or names


async def fresh(person: Person) -> State:
    """What a new device of this person's gets."""
    device = Replica(person)
    device.chat = await person.connect("/chat")
    await device.sync()
    await device.chat.close()
    return device.state


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, by their paths."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other}, key=str)
        return [each for key in keys for each in differences(one.get(key), other.get(key), f"{path}/{key}")]
    return [] if one == other else [f"{path}: {one!r}, not {other!r}"]


async def settle(device: Replica, truth: State, *but: str) -> None:
    """Listen until a device holds `truth`, leaving aside paths that contain one of `but`. Fails after a while."""
    wrong: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                await device.listen()
                wrong = [each for each in differences(device.state, truth) if not any(part in each for part in but)]
                if not wrong:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    heard = [name for name, _ in device.heard]
    raise AssertionError(f"{device.person.user['nickname']} heard {heard} and holds: " + "; ".join(wrong))
