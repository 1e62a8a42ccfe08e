"""What a device holds of its rooms, kept by the rule of contract §7: apply n+1, drop what is older, else ask."""

from collections.abc import Mapping, Sequence
from typing import Any

from .history import Held, HeldRoom, Journal, Key, Line, Violation, line_of


class RoomCopy:
    """One room: `view` is the `Room` that the server gave, `rev` how far its changes have been applied."""

    def __init__(self, view: dict[str, Any], rev: int) -> None:
        self.view = view
        self.rev = rev
        self.members = {each["user"]["id"] for each in view["members"]}
        self.lines: dict[int, Line] = {}
        self.floor = view["last_seq"] + 1
        """The first line held: what changes below it is left to whoever pages back."""

    def take(self, lines: Sequence[Line]) -> None:
        """Hold these lines in their newest form, unless they lie below the floor."""
        for line in lines:
            held = self.lines.get(line.seq)
            if line.seq >= self.floor and (held is None or held.rev < line.rev):
                self.lines[line.seq] = line

    def take_view(self, view: dict[str, Any], rev: int) -> None:
        self.view, self.rev = view, rev
        self.members = {each["user"]["id"] for each in view["members"]}

    def held(self) -> HeldRoom:
        first = self.view["me"]["first_seq"]
        return HeldRoom(self.rev, self.view["name"], frozenset(self.members), dict(self.lines), first)


class Copies:
    """All rooms of one device. `behind` says whether something was heard that only `sync` can explain."""

    def __init__(self, device: str, user_id: str, journal: Journal) -> None:
        self.device = device
        self.user_id = user_id
        self._journal = journal
        self.rooms: dict[str, RoomCopy] = {}
        self.epoch: str | None = None
        self.unread: dict[str, tuple[int, int]] = {}
        self.unread_total = 0
        self.gaps = 0
        self._seen: dict[str, int] = {}
        self._heard: dict[Key, int] = {}
        self._revs: set[Key] = set()
        self._new: set[Key] = set()
        self._twice: list[Key] = []
        self._faults: list[Violation] = []

    def begin(self) -> None:
        """A new connection: what it hears as new, it hears once."""
        self._new.clear()

    @property
    def behind(self) -> bool:
        return any(room_id not in self.rooms or rev > self.rooms[room_id].rev for room_id, rev in self._seen.items())

    def hear(self, name: str, payload: Any) -> None:
        """Apply an event."""
        if name == "message_sent":
            key = payload["room_id"], payload["seq"]
            if key in self._new:
                self._twice.append(key)
            self._new.add(key)
        if name in ("message_sent", "message_changed"):
            self.message(payload)
        elif name == "room_changed":
            self._revs.add((payload["room_id"], payload["rev"]))
            if self._is_next(payload["room_id"], payload["rev"], "room"):
                self._change(self.rooms[payload["room_id"]], payload)
        elif name == "room_added":
            self._added(payload)
        elif name == "room_removed":
            self._forget(payload["room_id"])
        elif name == "room_head":
            self._seen[payload["room_id"]] = max(payload["rev"], self._seen.get(payload["room_id"], 0))

    def message(self, payload: Mapping[str, Any]) -> None:
        """Apply a message: heard, or in an acknowledgement."""
        line = self._note(payload)
        if self._is_next(payload["room_id"], line.rev, f"line {line.seq}"):
            self.rooms[payload["room_id"]].take([line])

    def synced(self, answer: Mapping[str, Any]) -> bool:
        """Apply the answer to `sync`; True if there is more to ask for."""
        self.epoch, self.unread_total = answer["epoch"], answer["unread_total"]
        for each in answer["rooms"]:
            self._synced_room(each)
        for room_id in answer["removed"]:
            self._forget(room_id)
        for room_id in self._seen.keys() - self.rooms.keys():
            del self._seen[room_id]
        return any(each["has_more"] for each in answer["rooms"])

    def take_unread(self, answer: Mapping[str, Any]) -> None:
        """Keep what a full `sync` tells of cursors."""
        self.unread_total = answer["unread_total"]
        mine = {each["room"]["id"]: each["room"]["me"] for each in answer["rooms"]}
        self.unread = {room_id: (me["read_seq"], me["unread_count"]) for room_id, me in mine.items()}

    def page(self, room_id: str, items: list[dict[str, Any]], before: int) -> None:
        """Apply a page of history that ends just before a line: ascending, whole, and as what is held already."""
        numbers, copy = [item["seq"] for item in items], self.rooms[room_id]
        lines = [self._note(item) for item in items]
        if numbers != list(range(before - len(numbers), before)):
            found = f"{self.device}: the page of {room_id} before {before} is {numbers}"
            self._faults.append(Violation("order-or-content-differs", found))
        if differing := [line for line in lines if copy.lines.get(line.seq, line) != line]:
            found = f"{self.device} in {room_id}: holds {copy.lines[differing[0].seq]}, the page has {differing[0]}"
            self._faults.append(Violation("order-or-content-differs", found))
        copy.floor = min(copy.floor, *numbers)
        copy.take(lines)

    def result(self, complete: bool) -> Held:
        rooms = {room_id: copy.held() for room_id, copy in self.rooms.items()}
        return Held(
            self.device, self.user_id, rooms, self._heard, self._revs, self._twice, self._faults,
            self.unread, self.unread_total, complete,
        )  # fmt: skip

    def _note(self, payload: Mapping[str, Any]) -> Line:
        line, room_id = line_of(payload), payload["room_id"]
        key = room_id, line.seq
        self._heard[key] = max(line.rev, self._heard.get(key, 0))
        self._journal.note_rev(room_id, line.rev, f"line {line.seq}")
        return line

    def _is_next(self, room_id: str, rev: int, what: str) -> bool:
        """Is this the next change of the room? Then it counts as applied."""
        self._journal.note_rev(room_id, rev, what)
        self._seen[room_id] = max(rev, self._seen.get(room_id, 0))
        copy = self.rooms.get(room_id)
        if copy is None or rev > copy.rev + 1:
            self.gaps += 1
            return False
        if rev <= copy.rev:
            return False
        copy.rev = rev
        return True

    def _synced_room(self, each: Mapping[str, Any]) -> None:
        room_id = each["room"]["id"]
        copy = self.rooms.get(room_id)
        if copy is None or each["reset"]:
            copy = self.rooms[room_id] = RoomCopy(each["room"], each["rev"])
        elif each["rev"] < copy.rev:
            return  # events have been faster than this answer
        revs = [message["rev"] for message in each["messages"]]
        if revs != sorted(set(revs)):
            self._faults.append(Violation("order-or-content-differs", f"{self.device}: sync of {room_id} has {revs}"))
        lines = [self._note(message) for message in each["messages"]]
        if not copy.lines and lines:
            copy.floor = min(line.seq for line in lines)
        copy.take(lines)
        copy.take_view(each["room"], each["rev"])

    def _added(self, view: dict[str, Any]) -> None:
        room_id, copy = view["id"], self.rooms.get(view["id"])
        self._revs.add((room_id, view["rev"]))
        if copy is None:
            copy = self.rooms[room_id] = RoomCopy(view, view["rev"])
            if view["last_message"]:
                line = self._note(view["last_message"])
                copy.floor = line.seq
                copy.take([line])
        elif view["rev"] > copy.rev:
            self._seen[room_id] = max(view["rev"], self._seen.get(room_id, 0))

    def _change(self, copy: RoomCopy, change: Mapping[str, Any]) -> None:
        if "name" in change:
            copy.view["name"] = change["name"]
        copy.members |= {each["user"]["id"] for each in change.get("joined") or ()}
        copy.members -= set(change.get("left") or ())

    def _forget(self, room_id: str) -> None:
        self.rooms.pop(room_id, None)
        self._seen.pop(room_id, None)
