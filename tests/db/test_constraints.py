"""What the rules promise, the database itself refuses to break, on both kinds."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from src.clock import now
from src.db.ids import new_id
from src.db.models import (
    Base,
    Block,
    EmailToken,
    Friendship,
    Installation,
    Member,
    Message,
    NameGram,
    Node,
    Online,
    Room,
    Session,
    User,
)
from src.errors import Conflict

from ..people import House

LOW, HIGH, THIRD, NOBODY = (UUID(int=number) for number in (1, 2, 3, 9))
ROOM, GROUP, NODE = UUID(int=21), UUID(int=22), UUID(int=31)
AT = now()


def user(user_id: UUID, **fields: Any) -> dict[str, Any]:
    plain = {"nickname": "x", "nickname_key": "x", "nickname_initials": "x", "intro": "", "language": "ko"}
    return {"id": user_id, **plain, "theme": "system", "created_at": AT, "email_key": None} | fields


def friendship(low_id: UUID = LOW, high_id: UUID = THIRD, requested_by: UUID = LOW) -> dict[str, Any]:
    return {"low_id": low_id, "high_id": high_id, "requested_by": requested_by, "created_at": AT}


def room(room_id: UUID, **fields: Any) -> dict[str, Any]:
    counters = {"last_seq": 0, "last_ordinal": 0, "rev": 0}
    return {"id": room_id, "kind": "direct", "low_id": None, "high_id": None, **counters, "created_at": AT} | fields


def member(room_id: UUID, user_id: UUID, **fields: Any) -> dict[str, Any]:
    cursors = {"first_seq": 1, "read_seq": 0, "read_ordinal": 0}
    return {"room_id": room_id, "user_id": user_id, "role": "member", **cursors, "joined_at": AT} | fields


def message(**fields: Any) -> dict[str, Any]:
    numbers = {"seq": 2, "rev": 2, "ordinal": 2, "client_id": UUID(int=42)}
    plain = {"id": new_id(), "room_id": ROOM, "kind": "text", "sender_id": LOW, "text": "x", "created_at": AT}
    return {**plain, **numbers} | fields


def session(**fields: Any) -> dict[str, Any]:
    moments = dict.fromkeys(("rotated_at", "created_at", "last_seen_at", "expires_at"), AT)
    place = dict.fromkeys(("client", "address", "network"), "")
    return {"id": new_id(), "user_id": LOW, "generation": 1, **place, **moments} | fields


def token(**fields: Any) -> dict[str, Any]:
    plain = {"token_hash": new_id().hex, "user_id": LOW, "purpose": "reset", "email_key": "x"}
    return {**plain, "created_at": AT, "expires_at": AT} | fields


GOOD: list[tuple[type[Base], Mapping[str, Any]]] = [
    (User, user(LOW, email_key="anna@example.com")),
    (User, user(HIGH)),
    (User, user(THIRD)),
    (Friendship, friendship(LOW, HIGH)),
    (Block, {"blocker_id": LOW, "blocked_id": HIGH, "created_at": AT}),
    (NameGram, {"gram": "x", "user_id": LOW}),
    (Node, {"id": NODE, "seen_at": AT}),
    (Online, {"user_id": LOW, "node_id": NODE}),
    (Session, session()),
    (EmailToken, token()),
    (Room, room(ROOM, low_id=LOW, high_id=HIGH)),
    (Room, room(GROUP, kind="group")),
    (Member, member(ROOM, LOW)),
    (Message, message(seq=1, rev=1, ordinal=1, client_id=UUID(int=41))),
]

BAD: dict[str, tuple[type[Base], Mapping[str, Any]]] = {
    "an address in use": (User, user(NOBODY, email_key="anna@example.com")),
    "a second row of a pair": (Friendship, friendship(LOW, HIGH, HIGH)),
    "a pair the other way round": (Friendship, friendship(THIRD, LOW, LOW)),
    "a friendship with oneself": (Friendship, friendship(LOW, LOW)),
    "a request by a third": (Friendship, friendship(LOW, THIRD, HIGH)),
    "a friendship with nobody": (Friendship, friendship(LOW, NOBODY)),
    "a block of oneself": (Block, {"blocker_id": LOW, "blocked_id": LOW, "created_at": AT}),
    "a block twice": (Block, {"blocker_id": LOW, "blocked_id": HIGH, "created_at": AT}),
    "a block of nobody": (Block, {"blocker_id": LOW, "blocked_id": NOBODY, "created_at": AT}),
    "the name of nobody": (NameGram, {"gram": "x", "user_id": NOBODY}),
    "nobody online": (Online, {"user_id": NOBODY, "node_id": NODE}),
    "somebody online nowhere": (Online, {"user_id": HIGH, "node_id": NOBODY}),
    "a session of nobody": (Session, session(user_id=NOBODY)),
    "a token without a purpose": (EmailToken, token(purpose="x")),
    "a second token of a purpose": (EmailToken, token()),
    "a second installation": (Installation, {"id": 2, "epoch": NOBODY}),
    "a second room of a pair": (Room, room(NOBODY, low_id=LOW, high_id=HIGH)),
    "a room of a pair the other way round": (Room, room(NOBODY, low_id=THIRD, high_id=LOW)),
    "a direct room with oneself": (Room, room(NOBODY, low_id=LOW, high_id=LOW)),
    "a direct room of one": (Room, room(NOBODY, low_id=LOW)),
    "a group of a pair": (Room, room(NOBODY, kind="group", low_id=LOW, high_id=THIRD)),
    "a room of no kind": (Room, room(NOBODY, kind="x")),
    "a member twice": (Member, member(ROOM, LOW)),
    "a member without a role": (Member, member(ROOM, HIGH, role="x")),
    "a member of nothing": (Member, member(NOBODY, HIGH)),
    "nobody as a member": (Member, member(ROOM, NOBODY)),
    "a line of the same number": (Message, message(seq=1)),
    "a change of the same number": (Message, message(rev=1)),
    "a draft sent twice": (Message, message(client_id=UUID(int=41))),
    "a line of no kind": (Message, message(kind="x")),
    "a line of nobody": (Message, message(sender_id=NOBODY)),
    "a line without a time": (Message, message(created_at=None)),
}


@pytest.fixture
async def furnished(house: House) -> House:
    async with house.database.transaction() as tx:
        for table, row in GOOD:
            await tx._connection.execute(insert(table).values(**row))
    return house


async def count(house: House, table: type[Base]) -> int:
    async with house.database.snapshot() as reads:
        return int(await reads._connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_what_breaks_a_rule_is_refused(furnished: House) -> None:
    accepted = []
    for what, (table, row) in BAD.items():
        before = await count(furnished, table)
        try:
            async with furnished.database.transaction() as tx:
                await tx._connection.execute(insert(table).values(**row))
            accepted.append(what)
        except (Conflict, IntegrityError):
            assert await count(furnished, table) == before
    assert accepted == []


async def test_what_keeps_the_rules_is_not(furnished: House) -> None:
    fine: list[tuple[type[Base], Mapping[str, Any]]] = [
        (User, user(NOBODY)),  # a second one without an address
        (Friendship, friendship(LOW, THIRD, THIRD)),
        (Block, {"blocker_id": HIGH, "blocked_id": LOW, "created_at": AT}),
        (Room, room(new_id(), low_id=LOW, high_id=THIRD)),
        (Room, room(new_id(), kind="group")),
        (EmailToken, token(purpose="verify")),
        (Message, message()),
        (Message, message(seq=3, rev=3, sender_id=HIGH)),  # another's draft may have the same id
        (Message, message(room_id=GROUP)),
    ]
    async with furnished.database.transaction() as tx:
        for table, row in fine:
            await tx._connection.execute(insert(table).values(**row))
    assert await count(furnished, User) == 4


async def test_who_was_on_a_node_goes_with_it(furnished: House) -> None:
    async with furnished.database.transaction() as tx:
        await tx.presence.remove_node(NODE)
    assert await count(furnished, Online) == 0


async def test_what_is_a_persons_goes_with_them_and_what_was_said_keeps_them(furnished: House) -> None:
    with pytest.raises(IntegrityError):
        async with furnished.database.transaction() as tx:
            await tx._connection.execute(delete(User).where(User.id == LOW))
    async with furnished.database.transaction() as tx:
        for table in (Message, Member, Room):
            await tx._connection.execute(delete(table))
        await tx._connection.execute(delete(User).where(User.id == LOW))
    for table in (Friendship, Block, NameGram, Online, Session):
        assert await count(furnished, table) == 0, table
    assert await count(furnished, Node) == 1
