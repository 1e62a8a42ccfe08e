"""The checker sees: each kind of broken promise, forged into a history that was sound before."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from .checker import check
from .history import Answer, Change, Held, HeldRoom, Journal, Line, Membership, Send, StoredRoom, Truth, Violation
from .mutations import MUTATIONS, Mutation
from .stage import ROOT

ANNA, BORIS, MALLORY, ROOM = "anna", "boris", "mallory", "room"


def line(seq: int, rev: int, sender: str | None, text: str | None, **fields: object) -> Line:
    made = Line(f"id{seq}", seq, rev, "text", sender, f"draft{seq}", text, False, False, frozenset(), None)
    return made._replace(**fields)  # type: ignore[arg-type]


def system(seq: int, rev: int, kind: str, actor: str, *targets: str) -> Line:
    told = (kind, actor, frozenset(targets))
    return line(seq, rev, None, None, kind="system", client_id=None, system=told)


class Story:
    """Anna makes a room with Boris and Mallory; two lines; Mallory leaves; Boris says a third and Anna edits hers."""

    def __init__(self) -> None:
        self.lines = [
            system(1, 1, "created", ANNA, ANNA, BORIS, MALLORY),
            line(2, 7, ANNA, "one, edited", edited=True),
            line(3, 3, BORIS, "two"),
            system(4, 4, "left", MALLORY),
            line(5, 6, BORIS, "three"),
        ]
        self.journal = Journal()
        for seq, sender, text in ((2, ANNA, "one"), (3, BORIS, "two"), (5, BORIS, "three")):
            send = Send(ROOM, sender, f"draft{seq}", text, steady=True, place=(f"wire of {sender}", seq))
            send.answers.append(Answer("acked", self.lines[seq - 1]._replace(text=text, edited=False)))
            self.journal.sends[send.client_id] = send
        self.journal.edits["draft2"].add("one, edited")
        self.journal.changes.append(Change(ROOM, self.lines[1]))
        self.journal.note_read(ROOM, ANNA, 3)
        members = {ANNA: Membership(1, 3), BORIS: Membership(1, 5)}
        self.truth: Truth = {ROOM: StoredRoom("group", "모임", 7, 5, self.lines, members)}
        self.anna, self.boris = self._holds("anna's phone", ANNA, 1), self._holds("boris' phone", BORIS, 0)
        self.mallory = Held("mallory's phone", MALLORY, {}, {(ROOM, 3): 3}, {(ROOM, 1)}, [], [], {}, 0, True)

    def _holds(self, device: str, user_id: str, unread: int) -> Held:
        lines = {each.seq: each for each in self.lines}
        room = HeldRoom(7, "모임", frozenset({ANNA, BORIS}), lines)
        heard = {(ROOM, each.seq): each.rev for each in self.lines}
        read = self.truth[ROOM].members[user_id].read_seq
        return Held(device, user_id, {ROOM: room}, heard, {(ROOM, 5)}, [], [], {ROOM: (read, unread)}, unread, True)

    @property
    def room(self) -> StoredRoom:
        return self.truth[ROOM]

    @property
    def kinds(self) -> set[str]:
        return {found.kind for found in check(self.journal, self.truth, [self.anna, self.boris, self.mallory])}


def test_a_sound_history_has_no_violation() -> None:
    assert Story().kinds == set()


def lose_an_acknowledged_line(story: Story) -> None:
    story.lines.pop()
    story.room.last_seq = 4


def lose_an_acknowledged_edit(story: Story) -> None:
    story.lines[1] = line(2, 2, ANNA, "one")


def bring_a_deleted_line_back(story: Story) -> None:
    story.journal.changes.append(Change(ROOM, line(3, 2, BORIS, None, deleted=True)))


def lose_a_cursor(story: Story) -> None:
    story.room.members[ANNA].read_seq = 2


def answer_a_retry_differently(story: Story) -> None:
    story.journal.sends["draft3"].answers.append(Answer("acked", line(5, 6, BORIS, "two", id="other")))


def store_another_number_than_acknowledged(story: Story) -> None:
    story.journal.sends["draft3"].answers[0] = Answer("acked", line(9, 9, BORIS, "two"))


def refuse_after_acknowledging(story: Story) -> None:
    story.journal.sends["draft3"].answers.append(Answer("refused", code="not_found", repeats=True))
    story.journal.sends["draft3"].steady = False


def store_a_retry_again(story: Story) -> None:
    story.lines.append(line(6, 8, BORIS, "three", client_id="draft5"))
    story.room.last_seq, story.room.rev = 6, 8


def deliver_a_line_twice(story: Story) -> None:
    story.anna.twice.append((ROOM, 3))


def show_a_line_under_two_numbers(story: Story) -> None:
    story.anna.rooms[ROOM].lines[6] = line(6, 6, BORIS, "three", id="id5")


def swap_two_lines_on_a_device(story: Story) -> None:
    lines = story.boris.rooms[ROOM].lines
    lines[2], lines[3] = lines[3]._replace(seq=2), lines[2]._replace(seq=3)


def change_a_line_on_a_device(story: Story) -> None:
    story.boris.rooms[ROOM].lines[2] = line(2, 7, ANNA, "one")


def leave_out_a_number(story: Story) -> None:
    story.lines[4] = line(6, 6, BORIS, "three")


def give_a_number_twice(story: Story) -> None:
    story.lines[4] = line(3, 6, BORIS, "three", id="id5")


def give_a_rev_twice(story: Story) -> None:
    story.lines[4] = line(5, 3, BORIS, "three")


def call_one_rev_two_things(story: Story) -> None:
    story.journal.note_rev(ROOM, 3, "line 3")
    story.journal.note_rev(ROOM, 3, "line 2")


def store_what_was_refused(story: Story) -> None:
    story.journal.sends["draft5"].answers[:] = [Answer("refused", code="forbidden")]


def store_what_nobody_sent(story: Story) -> None:
    del story.journal.sends["draft5"]


def store_other_words(story: Story) -> None:
    story.journal.sends["draft5"].text = "four"


def refuse_a_member(story: Story) -> None:
    story.journal.sends["draft9"] = Send(ROOM, ANNA, "draft9", "nine", steady=True, answers=[Answer("refused")])


def answer_nothing(story: Story) -> None:
    story.journal.sends["draft9"] = Send(ROOM, ANNA, "draft9", "nine", steady=True, answers=[Answer("unknown")])


def store_out_of_the_order_emitted(story: Story) -> None:
    story.journal.sends["draft3"].place = ("wire of boris", 99)


def lack_a_line(story: Story) -> None:
    del story.anna.rooms[ROOM].lines[3]


def be_behind(story: Story) -> None:
    story.anna.rooms[ROOM] = replace(story.anna.rooms[ROOM], rev=6)


def miss_a_room(story: Story) -> None:
    story.anna.rooms.clear()


def miss_a_rename(story: Story) -> None:
    story.anna.rooms[ROOM].name = "Old"


def miss_who_left(story: Story) -> None:
    story.anna.rooms[ROOM].members |= {MALLORY}


def tell_who_left_of_a_new_line(story: Story) -> None:
    story.mallory.heard[ROOM, 5] = 6


def tell_who_left_of_an_edit(story: Story) -> None:
    story.mallory.heard[ROOM, 2] = 7


def tell_who_left_of_a_change(story: Story) -> None:
    story.mallory.revs.add((ROOM, 5))


def leave_the_room_with_who_left(story: Story) -> None:
    story.mallory.rooms[ROOM] = HeldRoom(3, "모임", frozenset({ANNA, BORIS, MALLORY}), {})


def keep_who_left_as_a_member(story: Story) -> None:
    story.room.members[MALLORY] = Membership(1, 3)


def count_unread_wrongly(story: Story) -> None:
    story.anna.unread[ROOM] = (3, 2)


def add_up_unread_wrongly(story: Story) -> None:
    story.anna.unread_total = 2


def hear_pages_out_of_order(story: Story) -> None:
    story.anna.faults.append(Violation("order-or-content-differs", "a page"))


FORGERIES: dict[str, tuple[Callable[[Story], None], ...]] = {
    "acked-lost": (lose_an_acknowledged_line, lose_an_acknowledged_edit, bring_a_deleted_line_back, lose_a_cursor),
    "ack-changed": (answer_a_retry_differently, store_another_number_than_acknowledged, refuse_after_acknowledging),
    "duplicate-stored": (store_a_retry_again,),
    "duplicate-delivered": (deliver_a_line_twice, show_a_line_under_two_numbers),
    "order-or-content-differs": (
        swap_two_lines_on_a_device, change_a_line_on_a_device, hear_pages_out_of_order,
    ),
    "gap": (leave_out_a_number, give_a_number_twice, give_a_rev_twice, call_one_rev_two_things),
    "failed-but-stored": (store_what_was_refused,),
    "phantom": (store_what_nobody_sent, store_other_words),
    "refused-wrongly": (refuse_a_member,),
    "unresolved": (answer_nothing,),
    "reordered": (store_out_of_the_order_emitted,),
    "not-delivered": (lack_a_line, be_behind, miss_a_room, miss_a_rename, miss_who_left),
    "leak": (
        tell_who_left_of_a_new_line, tell_who_left_of_an_edit, tell_who_left_of_a_change, leave_the_room_with_who_left,
    ),
    "membership-differs": (keep_who_left_as_a_member,),
    "unread-wrong": (count_unread_wrongly, add_up_unread_wrongly),
}  # fmt: skip
CASES = [(kind, forge) for kind, forgeries in FORGERIES.items() for forge in forgeries]


@pytest.mark.parametrize(("kind", "forge"), CASES, ids=[forge.__name__ for _, forge in CASES])
def test_a_forged_history_is_seen_through(kind: str, forge: Callable[[Story], None]) -> None:
    story = Story()
    forge(story)
    assert kind in story.kinds


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_code_that_a_mutation_breaks_is_still_there(mutation: Mutation) -> None:
    assert all(edit.old in (ROOT / edit.file).read_text() for edit in mutation.edits)
