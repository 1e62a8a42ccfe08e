"""The checker: from the facts to the list of broken promises (contract §8), each named by its kind."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .history import Held, HeldRoom, Journal, Line, Send, StoredRoom, Truth, Violation


def check(journal: Journal, truth: Truth, devices: Sequence[Held]) -> list[Violation]:
    """Every violation in what the clients know, what is stored and what the devices hold."""
    found = [*journal.found, *_sends(journal, truth), *_changes(journal, truth), *_reads(journal, truth)]
    for room_id, room in truth.items():
        found += _numbers(room_id, room)
        found += _no_phantoms(room_id, room, journal)
    found += _order_of_emission(journal)
    stays = {room_id: intervals(room) for room_id, room in truth.items()}
    for room_id, room in truth.items():
        found += _memberships(room_id, room, stays[room_id])
    for device in devices:
        found += device.faults
        found += _held(device, truth)
        found += _leaks(device, stays)
        found += _unread(device, truth)
    return found


# What was sent


def _sends(journal: Journal, truth: Truth) -> Iterator[Violation]:
    stored = {line.client_id: (room_id, line) for room_id, room in truth.items() for line in room.lines}
    for send in journal.sends.values():
        room_id, line = stored.get(send.client_id, (None, None))
        yield from _answers(send, room_id, line)


def _answers(send: Send, room_id: str | None, line: Line | None) -> Iterator[Violation]:
    acks = send.acks
    unknown = any(answer.outcome == "unknown" for answer in send.answers)
    refusals = [answer.code for answer in send.answers if answer.outcome == "refused"]
    if acks and line is None:
        yield Violation("acked-lost", f"{send.text!r} was acknowledged as line {acks[0].seq} and is not stored")
    if len({(ack.id, ack.seq) for ack in acks}) > 1:
        yield Violation("ack-changed", f"{send.text!r} was acknowledged as {[ack.seq for ack in acks]}")
    if line and any((ack.id, ack.seq) != (line.id, line.seq) for ack in acks):
        yield Violation("ack-changed", f"{send.text!r} was acknowledged as line {acks[0].seq}, stored as {line.seq}")
    if line and refusals and not acks and not unknown:
        yield Violation("failed-but-stored", f"{send.text!r} was refused ({refusals}) and is stored as {line.seq}")
    if line and room_id != send.room_id:
        yield Violation("phantom", f"{send.text!r} was sent to {send.room_id} and stored in {room_id}")
    if send.steady and refusals:
        yield Violation("refused-wrongly", f"{send.text!r} was refused: {refusals}")
    if late := [answer.code for answer in send.answers if answer.outcome == "refused" and answer.repeats]:
        # Before, it may be: who is out of the room is refused, and once in it again is not.
        yield Violation("ack-changed", f"{send.text!r} was acknowledged, then refused ({late})")
    if not send.settled:
        yield Violation("unresolved", f"{send.text!r} never got an answer in {len(send.answers)} attempts")


def _changes(journal: Journal, truth: Truth) -> Iterator[Violation]:
    stored = {line.id: line for room in truth.values() for line in room.lines}
    for change in journal.changes:
        now = stored.get(change.line.id)
        if now is None or now.rev < change.line.rev:
            yield Violation("acked-lost", f"change {change.line.rev} of {change.line.id} was acknowledged, then lost")
        elif now.rev == change.line.rev and now != change.line:
            yield Violation("ack-changed", f"acknowledged {change.line}, stored {now}")
        elif change.line.deleted and not now.deleted:
            yield Violation("acked-lost", f"{change.line.id} was deleted and is back")


def _reads(journal: Journal, truth: Truth) -> Iterator[Violation]:
    for (room_id, user_id), seq in journal.reads.items():
        member = truth[room_id].members.get(user_id) if room_id in truth else None
        if member and member.read_seq < seq:
            yield Violation("acked-lost", f"{user_id} had read {room_id} up to {seq}, stored is {member.read_seq}")


def _order_of_emission(journal: Journal) -> Iterator[Violation]:
    """What one connection emitted to one room and had acknowledged there has numbers in that order."""
    emitted: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for send in journal.sends.values():
        if send.place and send.acks:
            connection, turn = send.place
            emitted[connection, send.room_id].append((turn, send.acks[0].seq))
    for (connection, room_id), turns in emitted.items():
        numbers = [seq for _, seq in sorted(turns)]
        if numbers != sorted(numbers):
            yield Violation("reordered", f"{connection} emitted to {room_id} in the order {numbers}")


# What is stored


def _numbers(room_id: str, room: StoredRoom) -> Iterator[Violation]:
    numbers = [line.seq for line in room.lines]
    if numbers != list(range(1, len(numbers) + 1)):
        yield Violation("gap", f"{room_id}: the stored numbers are not 1 to {len(numbers)}: {_oddities(numbers)}")
    if room.last_seq != (numbers[-1] if numbers else 0):
        yield Violation("gap", f"{room_id}: last_seq is {room.last_seq}, the last line {numbers[-1:]}")
    revs = [line.rev for line in room.lines]
    if len(set(revs)) != len(revs) or max(revs, default=0) > room.rev:
        yield Violation("gap", f"{room_id}: revs are not unique, or beyond {room.rev}")
    for what in ("client_id", "id", "text"):
        counted = Counter((line.sender, getattr(line, what)) for line in room.lines if line.kind != "system")
        for (_, value), count in counted.items():
            if count > 1 and value is not None:
                yield Violation("duplicate-stored", f"{room_id}: {count} lines with {what} {value}")


def _oddities(numbers: list[int]) -> list[int]:
    return sorted(set(numbers) ^ set(range(1, len(numbers) + 1)))[:10]


def _no_phantoms(room_id: str, room: StoredRoom, journal: Journal) -> Iterator[Violation]:
    for line in room.lines:
        if line.kind == "system":
            continue
        send = journal.sends.get(line.client_id or "")
        if send is None or send.sender != line.sender:
            yield Violation("phantom", f"{room_id}: line {line.seq} was sent by nobody: {line}")
        elif not line.deleted and line.text not in {send.text, *journal.edits[send.client_id]}:
            yield Violation("phantom", f"{room_id}: line {line.seq} says {line.text!r}, sent was {send.text!r}")


END = math.inf

# Who may read what


class Stay(NamedTuple):
    """From the line that let somebody in, up to the line that let them out."""

    first_seq: int
    first_rev: int
    left_seq: float = END
    left_rev: float = END


def intervals(room: StoredRoom) -> dict[str, list[Stay]]:
    """When each person was a member, told by the system lines of a group; in a direct room, always."""
    if room.kind == "direct":
        return {user_id: [Stay(member.first_seq, 0)] for user_id, member in room.members.items()}
    stays: dict[str, list[Stay]] = {}
    for line in room.lines:
        kind, actor, targets = line.system or ("", None, frozenset())
        if kind in ("created", "joined"):
            for user_id in targets | ({actor} if kind == "created" and actor else set()):
                stays.setdefault(user_id, []).append(Stay(line.seq, line.rev))
        elif kind in ("left", "removed"):
            for gone in targets if kind == "removed" else {actor}:
                if gone and gone in stays:
                    stays[gone][-1] = stays[gone][-1]._replace(left_seq=line.seq, left_rev=line.rev)
    return stays


def _memberships(room_id: str, room: StoredRoom, stays: dict[str, list[Stay]]) -> Iterator[Violation]:
    inside = {user_id: stay[-1].first_seq for user_id, stay in stays.items() if stay[-1].left_seq == END}
    stored = {user_id: member.first_seq for user_id, member in room.members.items()}
    if inside != stored:
        yield Violation("membership-differs", f"{room_id}: the lines tell {inside}, stored are {stored}")


def _leaks(device: Held, stays: dict[str, dict[str, list[Stay]]]) -> Iterator[Violation]:
    """A line belongs to who was a member when it was written; a change of it, to who still was when it was made."""
    for (room_id, seq), rev in device.heard.items():
        mine = stays.get(room_id, {}).get(device.user_id, [])
        if not any(stay.first_seq <= seq < stay.left_seq and rev < stay.left_rev for stay in mine):
            yield Violation("leak", f"{device.device} got line {seq} of {room_id} at rev {rev}, member {mine}")
    for room_id, rev in device.revs:
        mine = stays.get(room_id, {}).get(device.user_id, [])
        if not any(stay.first_rev <= rev < stay.left_rev for stay in mine):
            yield Violation("leak", f"{device.device} got change {rev} of {room_id}, member {mine}")


# What the devices hold


def _held(device: Held, truth: Truth) -> Iterator[Violation]:
    for room_id, seq in device.twice:
        yield Violation("duplicate-delivered", f"{device.device} heard line {seq} of {room_id} as new twice")
    mine = {room_id for room_id, room in truth.items() if device.user_id in room.members and room.lines}
    for room_id in mine - device.rooms.keys():
        yield Violation("not-delivered", f"{device.device} does not have {room_id}")
    for room_id in device.rooms.keys() - mine:
        if room_id not in truth or device.user_id not in truth[room_id].members:
            yield Violation("leak", f"{device.device} still has {room_id}")
    for room_id in mine & device.rooms.keys():
        yield from _room(device, room_id, device.rooms[room_id], truth[room_id])


def _room(device: Held, room_id: str, held: HeldRoom, stored: StoredRoom) -> Iterator[Violation]:
    where = f"{device.device} in {room_id}"
    if held.rev != stored.rev:
        yield Violation("not-delivered", f"{where} is at rev {held.rev}, the server at {stored.rev}")
    if (held.name, held.members) != (stored.name, frozenset(stored.members)):
        yield Violation("not-delivered", f"{where} shows {held.name!r} with {len(held.members)} members")
    first = stored.members[device.user_id].first_seq
    begin = first if device.complete else max(first, min(held.lines, default=stored.last_seq))
    there = {line.seq: line for line in stored.lines if line.seq >= begin}
    if missing := sorted(there.keys() - held.lines.keys()):
        yield Violation("not-delivered", f"{where} lacks lines {missing[:10]} ({len(missing)})")
    for seq in sorted(there.keys() & held.lines.keys()):
        if there[seq] != held.lines[seq]:
            yield Violation("order-or-content-differs", f"{where}: holds {held.lines[seq]}, stored {there[seq]}")
    if len({line.id for line in held.lines.values()}) != len(held.lines):
        yield Violation("duplicate-delivered", f"{where} holds a message under two numbers")


def _unread(device: Held, truth: Truth) -> Iterator[Violation]:
    total = 0
    for room_id, room in truth.items():
        member = room.members.get(device.user_id)
        if member is None or not room.lines:
            continue
        unread = sum(line.kind != "system" and line.seq > member.read_seq for line in room.lines)
        total += unread
        if device.unread.get(room_id) != (member.read_seq, unread):
            told = device.unread.get(room_id)
            yield Violation("unread-wrong", f"{device.device} in {room_id}: told {told}, is {member.read_seq, unread}")
    if device.unread_total != total:
        yield Violation("unread-wrong", f"{device.device}: told {device.unread_total} in all, are {total}")
