"""Who talks in the benchmarks, on Chatty and on the peers alike: tokens, rooms, and the frames of their messages."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .harness import Served, call, join
from .wires import masked

TEXT = "안녕하세요, 오늘 저녁에 시간 괜찮으세요? Shall we meet at seven?"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Room:
    """A room and the tokens of those in it; the first one's talks."""

    id: str
    tokens: tuple[str, ...]


def message(room_id: str, ack_id: int = 0) -> bytes:
    """The frame of a new message."""
    body = {"room_id": room_id, "client_id": f"00000000-0000-4000-8000-{next(_numbers):012x}", "text": TEXT}
    event = json.dumps(["send_message", body], ensure_ascii=False, separators=(",", ":"))
    return masked(f"42/chat,{ack_id}{event}".encode())


def pairs_on_a_peer(count: int) -> list[Room]:
    return [Room(f"pair{n}", (f"a{n} pair{n}", f"b{n} pair{n}")) for n in range(count)]


def room_on_a_peer(members: int) -> Room:
    return Room("room", tuple(f"m{n} room" for n in range(members)))


def pairs(served: Served, count: int) -> list[Room]:
    """So many direct rooms of two people each."""
    people = _people(served, 2 * count)
    made = []
    for one, other in zip(people[::2], people[1::2], strict=True):
        room = call(served, "/rooms", {"kind": "direct", "user_id": other["user"]["id"]}, one["access_token"])
        made.append(Room(room["id"], (one["access_token"], other["access_token"])))
    return made


def group(served: Served, members: int) -> Room:
    """One room of so many people."""
    owner, *others = _people(served, members)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda other: _befriend(served, owner, other), others))
    ids = [other["user"]["id"] for other in others]
    token = owner["access_token"]
    room = call(served, "/rooms", {"kind": "group", "name": "Bench", "member_ids": ids[:50]}, token)
    for at in range(50, len(ids), 50):
        call(served, f"/rooms/{room['id']}/members", {"user_ids": ids[at : at + 50]}, token)
    return Room(room["id"], (token, *(other["access_token"] for other in others)))


def _people(served: Served, count: int) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(lambda _: join(served, f"talker{next(_numbers)}"), range(count)))


def _befriend(served: Served, one: dict[str, Any], other: dict[str, Any]) -> None:
    call(served, "/friends/requests", {"user_id": other["user"]["id"]}, one["access_token"])
    call(served, f"/friends/requests/{one['user']['id']}/accept", {}, other["access_token"])
