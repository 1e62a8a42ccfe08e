"""Events with addresses that are signed for whoever hears them: the same event, made for each person who is here."""

import json
from typing import Any
from uuid import UUID

import pytest

from src.clock import now
from src.controllers.broadcast import Broadcast
from src.db.ids import new_id
from src.errors import Unauthorized
from src.events import Event, MessageChanged, MessageSent, RoomAdded, RoomChanged, UserChanged
from src.schemas.files import File
from src.schemas.links import Link
from src.schemas.messages import Message
from src.schemas.people import User
from src.schemas.rooms import MyMembership, Room, RoomChange
from src.services.file_signatures import FileSignatures

from ..files import file_view, line_with, signed_for, without_addresses
from .stage import ORIGIN, Stage, Wire, person

ANNA, BORIS, MALLORY = person("anna"), person("boris"), person("mallory")
BOTH = frozenset({ANNA, BORIS})


@pytest.fixture
def broadcast(stage: Stage) -> Broadcast:
    return Broadcast(stage.connections, stage.links)


async def heard(wire: Wire) -> Any:
    """The payload of the next event."""
    packet = await wire.read()
    return json.loads(packet[packet.index("[") :])[1]


def people_of(stage: Stage, told: Any) -> set[UUID]:
    """Whom the addresses in `told` speak for."""
    if isinstance(told, list):
        return {each for part in told for each in people_of(stage, part)}
    if not isinstance(told, dict):
        return set()
    addresses = [told[name] for name in ("url", "thumbnail_url") if told.get(name)]
    return {signed_for(each, ORIGIN, stage.signatures) for each in addresses} | people_of(stage, [*told.values()])


def room_with(line: Message) -> Room:
    me = MyMembership(role="member", read_seq=0, unread_count=1, first_seq=1)
    return Room(
        id=line.room_id, kind="group", name="Hill", display_name="Hill", avatar_url=None, members=[], member_count=2,
        last_message=line, last_seq=1, rev=1, notice=line, me=me, created_at=now(),
    )  # fmt: skip


LINE = line_with(
    file_view(), file_view(), sender=User(id=ANNA, nickname="Anna", intro="", avatar_url=Link("/avatars/a"))
)
EVENTS: list[Event] = [
    MessageSent(BOTH, LINE),
    MessageChanged(BOTH, LINE),
    RoomAdded(BOTH, room_with(LINE)),
    RoomChanged(BOTH, RoomChange(room_id=LINE.room_id, rev=2, notice=LINE)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
async def test_each_hears_every_file_s_address_signed_for_them(
    stage: Stage, broadcast: Broadcast, event: Event
) -> None:
    annas, boriss, mallorys = [await stage.join(name) for name in ("anna", "boris", "mallory")]
    broadcast([event, UserChanged(frozenset({MALLORY}), User(id=ANNA, nickname="Anna", intro=""))])
    told, tolds = await heard(annas), await heard(boriss)
    assert people_of(stage, told) == {ANNA}
    assert people_of(stage, tolds) == {BORIS}
    assert without_addresses(told) == without_addresses(tolds)
    line: Any = told.get("last_message") or told.get("notice") or told
    assert [file["id"] for file in line["files"]] == [str(file.id) for file in LINE.files]
    assert [file["url"].split("?")[0] for file in line["files"]] == [
        f"{ORIGIN}/api/v1{file.url}" for file in LINE.files
    ]
    assert line["files"][0]["thumbnail_url"].split("?")[0].endswith("/thumbnail")
    assert line["sender"]["avatar_url"] == f"{ORIGIN}/api/v1/avatars/a"
    stage.broadcast("news", "nothing before this", to="mallory")
    assert await mallorys.read() == '42/chat,["news","nothing before this"]'


async def test_what_is_alike_for_all_is_one_frame_and_what_is_not_one_for_each_person_who_is_here(
    stage: Stage, broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = [await stage.join(name) for name in ("anna/1", "anna/2", "boris")]
    signed: list[UUID] = []
    signer = FileSignatures.signer
    monkeypatch.setattr(FileSignatures, "signer", lambda self, who, at: signed.append(who) or signer(self, who, at))
    audience = BOTH | {new_id() for _ in range(100)}
    pictured = User(id=ANNA, nickname="Anna", intro="", avatar_url=Link("/avatars/a"))
    for line, expected in ((line_with(sender=pictured, text="hi"), []), (LINE, sorted(BOTH))):
        broadcast([MessageSent(audience, line)])
        assert [(await heard(wire))["id"] for wire in wires] == [str(line.id)] * 3
        assert sorted(signed) == expected


async def test_lines_with_and_without_files_keep_their_order_and_their_origins(
    stage: Stage, broadcast: Broadcast
) -> None:
    first, second, boriss = await stage.join("anna/1"), await stage.join("anna/2"), await stage.join("boris")
    one, other = stage.connections.of_user(ANNA)
    lines = [line_with(text="1"), line_with(file_view()), line_with(file_view(), text="3"), line_with(text="4")]
    lines = [line.model_copy(update={"room_id": LINE.room_id}) for line in lines]
    origins = one.id, one.id, other.id, None
    broadcast([MessageSent(BOTH, line, origin) for line, origin in zip(lines, origins, strict=True)])
    for wire, numbers in ((first, [2, 3]), (second, [0, 1, 3]), (boriss, [0, 1, 2, 3])):
        told = [await heard(wire) for _ in numbers]
        assert [each["id"] for each in told] == [str(lines[number].id) for number in numbers]
        assert people_of(stage, told) == {BORIS if wire is boriss else ANNA}


async def test_a_poller_gets_whole_packets(stage: Stage, broadcast: Broadcast) -> None:
    poller = await stage.poller()
    await poller.enter("anna")
    broadcast([MessageSent(BOTH, LINE), MessageSent(BOTH, line_with(text="2"))])
    told = [json.loads((await poller.read()).partition(",")[2])[1] for _ in range(2)]
    assert people_of(stage, told[0]) == {ANNA}
    assert told[1]["text"] == "2"


async def test_nothing_that_somebody_writes_is_taken_for_an_address(stage: Stage, broadcast: Broadcast) -> None:
    wire = await stage.join("anna")
    file = file_view()
    text = f"?{'0' * 64} /files/{file.id}?user={ANNA} \\1 \\g<0> {'f' * 32}"
    named = File(**dict(file) | {"name": text})
    broadcast([MessageSent(BOTH, line_with(named, text=text))])
    told = await heard(wire)
    assert (told["text"], told["files"][0]["name"]) == (text, text)
    assert people_of(stage, told) == {ANNA}


async def test_an_address_is_of_no_use_with_another_s_name(stage: Stage, broadcast: Broadcast) -> None:
    wire = await stage.join("anna")
    broadcast([MessageSent(BOTH, LINE)])
    url = (await heard(wire))["files"][0]["url"]
    for other in (url.replace(str(ANNA), str(BORIS)), url.replace(str(LINE.files[0].id), str(LINE.files[1].id))):
        with pytest.raises(Unauthorized):
            signed_for(other, ORIGIN, stage.signatures)
