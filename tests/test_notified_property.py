"""After whatever several people do, everybody's list is what a naive model says, and what their devices have heard."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from .cast import Cast, Person
from .notified import Bell, say, unread

NAMES = ("anna", "boris", "clara", "dora")
EMOJIS = ("👍", "🙂")


@dataclass
class Mine:
    """A membership."""

    first: int
    read: int
    dismissed: int = 0
    muted: bool = False


@dataclass
class Talk:
    """A room: its lines by number, None for the house's, and who is in it."""

    id: str
    lines: dict[int, dict[str, Any] | None] = field(default_factory=dict)
    members: dict[str, Mine] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return max(self.lines, default=0)


class Model:
    """What there is, counted by hand from what was done."""

    def __init__(self, people: dict[str, Person]) -> None:
        self.people = people
        self.names = {person.id: name for name, person in people.items()}
        self.talks: list[Talk] = []
        self.stored: list[dict[str, Any]] = []
        self.blocks: set[tuple[str, str]] = set()

    def barred(self, one: str, other: str) -> bool:
        return (one, other) in self.blocks or (other, one) in self.blocks

    def expected(self, name: str) -> set[tuple[Any, ...]]:
        return {*self._of_rooms(name), *self._of_stored(name)}

    def _of_rooms(self, name: str) -> Any:
        for talk in self.talks:
            mine = talk.members.get(name)
            if mine is None or mine.muted:
                continue
            lines = [line for seq, line in sorted(talk.lines.items()) if line and seq > mine.read and seq >= mine.first]
            lines = [line for line in lines if not self.barred(name, line["by"])]
            if lines and lines[-1]["seq"] > mine.dismissed:
                yield ("message", talk.id, lines[-1]["id"], len(lines), lines[-1]["text"])

    def _of_stored(self, name: str) -> Any:
        for row in self.stored:
            mine = row["talk"].members.get(name)
            if row["to"] != name or row["read"] or mine is None or self.barred(name, row["by"]):
                continue
            if row["seq"] < mine.first or (mine.muted and row["kind"] != "mention"):
                continue
            if (row["kind"] == "mention" and row["seq"] <= mine.read) or (
                row["kind"] == "room_invite" and row["seq"] < mine.read
            ):
                continue
            line = row["line"]
            shown = row["emoji"] or (line["text"] if line else None)
            yield (row["kind"], row["talk"].id, line and line["id"], 1, shown)

    def tell(self, kind: str, to: str, by: str, talk: Talk, seq: int, line: Any = None, emoji: str = "") -> None:
        row = {"kind": kind, "to": to, "by": by, "talk": talk, "seq": seq, "line": line, "emoji": emoji}
        self.stored.append({**row, "read": False})


class Play:
    """Does things at random, in the service and in the model."""

    def __init__(self, model: Model, bells: dict[str, Bell], dice: random.Random) -> None:
        self.model, self.bells, self.dice = model, bells, dice

    async def step(self) -> None:
        deeds = {
            self.send: 10, self.read: 4, self.dismiss: 3, self.dismiss_all: 1, self.mute: 2, self.block: 1,
            self.leave: 1, self.invite: 2, self.delete: 2, self.edit: 2, self.react: 4,
        }  # fmt: skip
        (deed,) = self.dice.choices([*deeds], [*deeds.values()])
        name = self.dice.choice(NAMES)
        talks = [talk for talk in self.model.talks if name in talk.members]
        if talks:
            await deed(name, self.model.people[name], self.dice.choice(talks))

    async def send(self, name: str, person: Person, talk: Talk) -> None:
        if len(talk.members) < 2:
            return
        named = [other for other in talk.members if other == name or self.dice.random() < 0.4]
        ids = [self.model.people[other].id for other in named]
        message = await say(person, talk.id, f"line {self.dice.random()}", mentions=ids)
        line = {"id": message["id"], "seq": message["seq"], "by": name, "text": message["text"]}
        talk.lines[message["seq"]] = line
        talk.members[name].read = message["seq"]
        for other in named:
            if other != name:
                self.model.tell("mention", other, name, talk, message["seq"], line)

    async def read(self, name: str, person: Person, talk: Talk) -> None:
        mine = talk.members[name]
        seq = self.dice.randint(1, max(talk.last, 1))
        await person.post(f"/rooms/{talk.id}/read", {"seq": seq}, expect=200)
        mine.read = max(mine.read, min(seq, talk.last))
        for row in self.model.stored:
            if row["to"] == name and row["talk"] is talk and row["seq"] <= seq and row["kind"] != "reaction":
                row["read"] = True

    async def dismiss(self, name: str, person: Person, talk: Talk) -> None:
        answer = await person.post("/notifications/read", {"ids": [talk.id]}, expect=200)
        talk.members[name].dismissed = talk.last
        assert answer["unread"] == len(self.model.expected(name))

    async def dismiss_all(self, name: str, person: Person, talk: Talk) -> None:
        assert (await person.post("/notifications/read", {"all": True}, expect=200)) == {"unread": 0}
        for each in self.model.talks:
            if name in each.members:
                each.members[name].dismissed = each.last
        for row in self.model.stored:
            row["read"] |= row["to"] == name

    async def mute(self, name: str, person: Person, talk: Talk) -> None:
        mine = talk.members[name]
        until = None if mine.muted else "2099-01-01T00:00:00.000Z"
        await person.patch(f"/rooms/{talk.id}/me", {"muted_until": until}, expect=200)
        mine.muted = not mine.muted

    async def block(self, name: str, person: Person, talk: Talk) -> None:
        other = self.dice.choice([each for each in NAMES if each != name])
        pair = (name, other)
        method = "DELETE" if pair in self.model.blocks else "PUT"
        await person.call(method, f"/blocks/{self.model.people[other].id}", expect=204)
        self.model.blocks ^= {pair}
        await self.bells[other].ring()  # a block is not announced to whom it is against: they see it when they look

    async def leave(self, name: str, person: Person, talk: Talk) -> None:
        if len(talk.members) > 2:
            await person.post(f"/rooms/{talk.id}/leave", {}, expect=204)
            del talk.members[name]
            await self._catch_up(talk)

    async def invite(self, name: str, person: Person, talk: Talk) -> None:
        friends = (await person.get("/friends"))["items"]
        away = [self.model.names[each["id"]] for each in friends if self.model.names[each["id"]] not in talk.members]
        if away:
            newcomer = self.dice.choice(away)
            ids = [self.model.people[newcomer].id]
            await person.post(f"/rooms/{talk.id}/members", {"user_ids": ids}, expect=200)
            await self._catch_up(talk)
            talk.members[newcomer] = Mine(first=talk.last, read=talk.last)
            self.model.tell("room_invite", newcomer, name, talk, talk.last)

    async def delete(self, name: str, person: Person, talk: Talk) -> None:
        if line := self._own_line(name, talk):
            await person.delete(f"/messages/{line['id']}", expect=200)
            line["text"] = None
            self.model.stored = [row for row in self.model.stored if row["line"] is not line]

    async def edit(self, name: str, person: Person, talk: Talk) -> None:
        if line := self._own_line(name, talk):
            line["text"] = f"better {self.dice.random()}"
            await person.patch(f"/messages/{line['id']}", {"text": line["text"]}, expect=200)

    async def react(self, name: str, person: Person, talk: Talk) -> None:
        lines = [each for seq, each in talk.lines.items() if each and each["text"] and seq >= talk.members[name].first]
        if not lines:
            return
        line, emoji = self.dice.choice(lines), self.dice.choice(EMOJIS)
        line.setdefault("reactions", set())
        on = (name, emoji) not in line["reactions"]
        await person.call("PUT" if on else "DELETE", f"/messages/{line['id']}/reactions/{emoji}", expect=200)
        line["reactions"] ^= {(name, emoji)}
        if on and line["by"] != name:
            self.model.tell("reaction", line["by"], name, talk, line["seq"], line, emoji)
        elif not on:
            of_it = {"kind": "reaction", "by": name, "line": line, "emoji": emoji}
            self.model.stored = [row for row in self.model.stored if not of_it.items() <= row.items()]

    def _own_line(self, name: str, talk: Talk) -> dict[str, Any] | None:
        first = talk.members[name].first
        own = [
            each for seq, each in talk.lines.items() if each and each["by"] == name and each["text"] and seq >= first
        ]
        return self.dice.choice(own) if own else None

    async def _catch_up(self, talk: Talk) -> None:
        """The house has written."""
        somebody = self.model.people[next(iter(talk.members))]
        last = (await somebody.get(f"/rooms/{talk.id}"))["last_seq"]
        for seq in range(talk.last + 1, last + 1):
            talk.lines[seq] = None


async def build(cast: Cast) -> Model:
    people = {name: await cast.join(name.title()) for name in NAMES}
    model = Model(people)
    for place, name in enumerate(NAMES):
        for other in NAMES[:place]:
            await cast.befriend(people[other], people[name])
    for names in (NAMES, NAMES[:3], NAMES[1:]):
        ids = [people[name].id for name in names[1:]]
        room = await people[names[0]].post("/rooms", {"kind": "group", "member_ids": ids}, expect=201)
        talk = Talk(room["id"], {1: None}, {name: Mine(first=1, read=1) for name in names})
        model.talks.append(talk)
        for name in names[1:]:
            model.tell("room_invite", name, names[0], talk, 1)
    for person in people.values():
        friendships = [note["id"] for note in await unread(person) if note["kind"].startswith("friend")]
        await person.post("/notifications/read", {"ids": friendships}, expect=200)
    return model


@pytest.mark.parametrize("seed", range(6))
async def test_lists_are_what_a_naive_model_says_and_what_devices_have_heard(cast: Cast, seed: int) -> None:
    model = await build(cast)
    bells = {name: await Bell(person).ring() for name, person in model.people.items()}
    play = Play(model, bells, random.Random(seed))
    for _ in range(6):
        for _ in range(play.dice.randint(1, 15)):
            await play.step()
        for name in NAMES:
            truth = await bells[name].settles()
            fields = ("kind", "room_id", "message_id", "count", "preview")
            assert {tuple(note[each] for each in fields) for note in truth.values()} == model.expected(name), name
