"""Deleting an account while others and its own devices do something with it: nothing fails, and all agree after it."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from src.clock import now
from src.db.models import Member, Online, Room, Session, User

from .cast import PASSWORD, Answer, Cast, Person, Service, draft
from .replica import Replica, fresh, settle
from .test_account_deletion import count
from .test_groups import lines, make, roles

ROUNDS = 4


async def at_once(*acts: Awaitable[Answer], seed: int) -> list[Answer]:
    """Do all this together, each beginning at some moment of the first hundredth of a second. No failure of ours."""
    dice = random.Random(seed)

    async def act(what: Awaitable[Answer]) -> Answer:
        await asyncio.sleep(dice.random() / 100)
        return await what

    answers = await asyncio.gather(*map(act, acts))
    assert all(answer.status < 500 for answer in answers), [answer.json for answer in answers]
    return answers


def deletion(person: Person) -> Awaitable[Answer]:
    return person.raw("DELETE", "/users/me", {"password": PASSWORD})


async def company(cast: Cast, number: int) -> tuple[Person, Person, Person]:
    """Anna, who will delete the account, with two friends who are friends."""
    names = (f"Anna{number}", f"Boris{number}", f"Clara{number}")
    anna, boris, clara = await asyncio.gather(*(cast.join(name) for name in names))
    for one, other in ((anna, boris), (anna, clara), (boris, clara)):
        await cast.befriend(one, other)
    return anna, boris, clara


async def rows_of(service: Service, statement: Any) -> list[Any]:
    async with service.parts.database.snapshot() as reads:
        return [*(await reads._connection.execute(statement)).all()]


async def nobody_is_left(service: Service, person: Person) -> None:
    """They are in no group, and every group that somebody is in has one owner, who has not deleted the account."""
    me = UUID(person.id)
    groups = select(Room.id).where(Room.kind == "group")
    assert await count(service, Member, Member.user_id == me, Member.room_id.in_(groups)) == 0
    members = select(Member.room_id, Member.role, User.deleted_at).join(User, User.id == Member.user_id)
    owners: dict[UUID, list[Any]] = {}
    for room_id, role, deleted_at in await rows_of(service, members.where(Member.room_id.in_(groups))):
        owners.setdefault(room_id, [])
        if role == "owner":
            owners[room_id].append(deleted_at)
    assert all(found == [None] for found in owners.values()), owners
    assert await count(service, Session, Session.user_id == me, Session.revoked_at.is_(None)) == 0
    assert await count(service, Online, Online.user_id == me) == 0


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_while_everybody_writes(cast: Cast, service: Service, seed: int) -> None:
    anna, boris, clara = await company(cast, seed)
    direct, group = await cast.direct_room(anna, boris), await make(anna, boris, clara)
    paths = [f"/rooms/{room}/messages" for room in (direct, group["id"])]
    await boris.post(paths[0], draft(), expect=201)
    device = await Replica(boris).connect()
    sends = [(who, path, draft()) for who in (anna, boris) for path in paths for _ in range(8)]
    answers = await at_once(*(who.raw("POST", path, body) for who, path, body in sends), deletion(anna), seed=seed)
    assert answers.pop().status == 204
    stored = {answer.json["message"]["id"] for answer in answers if answer.status == 201}
    refused = {answer.json["code"] for answer in answers if answer.status != 201}
    assert refused <= {"gone", "not_found", "unauthorized"}
    boriss = [(path, answer.status) for (who, path, _), answer in zip(sends, answers, strict=True) if who is boris]
    assert all(status == 201 for path, status in boriss if path == paths[1])
    in_direct, in_group = [await lines(boris, {"id": room}) for room in (direct, group["id"])]
    assert stored <= {line["id"] for line in [*in_direct, *in_group]}
    for history in (in_direct, in_group):
        assert [line["seq"] for line in history] == [*range(1, len(history) + 1)]
        assert all(line["sender"] is None or line["sender"]["nickname"] != anna.user["nickname"] for line in history)
    left = next(line["seq"] for line in in_group if line["system"] and line["system"]["type"] == "left")
    assert all(line["sender"]["id"] == boris.id for line in in_group if line["seq"] > left)
    assert (await boris.raw("POST", paths[0], draft())).json["code"] == "gone"
    await settle(device, await fresh(boris))
    await nobody_is_left(service, anna)


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_while_being_invited(cast: Cast, service: Service, seed: int) -> None:
    anna, boris, clara = await company(cast, seed)
    groups = [await make(boris, clara) for _ in range(3)]
    device = await Replica(clara).connect()
    inviting = [boris.raw("POST", f"/rooms/{group['id']}/members", {"user_ids": [anna.id]}) for group in groups]
    making = [boris.raw("POST", "/rooms", {"kind": "group", "member_ids": [anna.id, clara.id]}) for _ in range(2)]
    making += [anna.raw("POST", "/rooms", {"kind": "group", "member_ids": ids}) for ids in ([], [boris.id])]
    *answers, deleted = await at_once(*inviting, *making, deletion(anna), seed=seed)
    assert deleted.status == 204
    assert {answer.status for answer in answers} <= {200, 201, 401, 403}
    await nobody_is_left(service, anna)
    await settle(device, await fresh(clara))
    rooms = (await boris.get("/rooms"))["items"]
    assert all(anna.id not in [member["user"]["id"] for member in room["members"]] for room in rooms)


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_while_the_owner_leaves_and_members_are_removed(cast: Cast, service: Service, seed: int) -> None:
    anna, boris, clara = await company(cast, seed)
    boriss, annas, both = await make(boris, anna, clara), await make(anna, boris, clara), await make(boris, anna)
    device = await Replica(clara).connect()
    leaving = [boris.raw("POST", f"/rooms/{room['id']}/leave", {}) for room in (boriss, annas)]
    removing = boris.raw("DELETE", f"/rooms/{both['id']}/members/{anna.id}")
    roles_given = boris.raw("PATCH", f"/rooms/{boriss['id']}/members/{anna.id}", {"role": "owner"})
    *answers, deleted = await at_once(*leaving, removing, roles_given, deletion(anna), seed=seed)
    assert deleted.status == 204
    assert {answer.status for answer in answers} <= {200, 204, 403, 404}
    for room in (boriss, annas):
        assert await roles(clara, room) == {clara.user["nickname"]: "owner"}
    await nobody_is_left(service, anna)
    await settle(device, await fresh(clara))


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_while_people_change_how_they_stand_and_devices_come_and_go(
    cast: Cast, service: Service, seed: int
) -> None:
    anna, boris, clara = await company(cast, seed)
    mallory, phone = await cast.join(f"Mallory{seed}"), await anna.another_device()
    room = await cast.direct_room(anna, boris)
    line = (await boris.post(f"/rooms/{room}/messages", draft(), expect=201))["message"]
    acts = [
        boris.raw("PATCH", f"/friends/{anna.id}", {"alias": "Annie"}),
        clara.raw("PUT", f"/blocks/{anna.id}"),
        clara.raw("DELETE", f"/blocks/{anna.id}"),
        mallory.raw("POST", "/friends/requests", {"user_id": anna.id}),
        mallory.raw("POST", "/rooms", {"kind": "direct", "user_id": anna.id}),
        anna.raw("POST", f"/friends/requests/{mallory.id}/accept"),
        anna.raw("POST", f"/rooms/{room}/read", {"seq": 1}),
        anna.raw("PUT", f"/messages/{line['id']}/reactions/👍"),
        anna.raw("PATCH", "/users/me", {"nickname": "Somebody"}),
        cast.anonymous.raw("POST", "/auth/login", {"email": anna.email, "password": PASSWORD}),
        cast.anonymous.raw("POST", "/auth/refresh", {"refresh_token": phone.refresh_token}),
        cast.anonymous.raw("POST", "/auth/password/forgot", {"email": anna.email}),
        phone.raw("PUT", "/auth/password", {"current_password": PASSWORD, "new_password": "a colder morning"}),
    ]
    sockets = [await anna.connect(), await phone.connect("/notifications")]
    *_, deleted = await at_once(*acts, deletion(anna), seed=seed)
    if deleted.status == 401:  # the password was changed first
        anna.password = "a colder morning"
        again = await cast.sign_in(anna.email, anna.password)
        await again.delete("/users/me", {"password": anna.password}, expect=204)
    for socket in sockets:
        await socket.ended()
    for person in (boris, clara, mallory):
        assert anna.id not in [friend["id"] for friend in (await person.get("/friends"))["items"]]
        for path in ("/friends/requests?direction=incoming", "/friends/requests?direction=outgoing", "/blocks"):
            assert (await person.get(path))["items"] == []
        await person.get(f"/users/{anna.id}", expect=404)
    await nobody_is_left(service, anna)
    await cast.join("Anna", email=anna.email)


async def test_rooms_are_locked_in_the_order_in_which_a_batch_of_sends_locks_them(
    cast: Cast, service: Service, database: str
) -> None:
    if database == "sqlite":
        pytest.skip("one transaction at a time")
    anna, boris, _ = await company(cast, 0)
    group = await make(boris, anna)
    direct = await cast.direct_room(anna, boris)
    assert group["id"] < direct
    async with service.parts.database.transaction() as batch:
        await batch.rooms.joined_by_and_locked(UUID(boris.id), UUID(group["id"]))
        deleting = asyncio.create_task(deletion(anna))
        await until_somebody_waits(service)
        await batch.rooms.joined_by_and_locked(UUID(boris.id), UUID(direct))
        assert not deleting.done()
    assert (await deleting).status == 204


async def test_memberships_are_locked_before_what_was_told_of_rooms(
    cast: Cast, service: Service, database: str
) -> None:
    if database == "sqlite":
        pytest.skip("one transaction at a time")
    anna, boris, _ = await company(cast, 0)
    direct = await cast.direct_room(anna, boris)
    await boris.post(f"/rooms/{direct}/messages", draft(mentions=[anna.id]), expect=201)
    mine = UUID(anna.id), UUID(direct)
    async with service.parts.database.transaction() as reading:
        await reading.cursors.move(mine[1], mine[0], 1, now())
        deleting = asyncio.create_task(deletion(anna))
        await until_somebody_waits(service)
        assert len(await reading.notifications.read_in(*mine, 1, now())) == 1
        assert not deleting.done()
    assert (await deleting).status == 204


async def until_somebody_waits(service: Service) -> None:
    """Return once a transaction of this database waits for another one's lock. PostgreSQL only."""
    here = "datname = current_database() AND wait_event_type = 'Lock'"
    waiting = text(f"SELECT count(*) FROM pg_stat_activity WHERE {here}")
    async with asyncio.timeout(5):
        while (await rows_of(service, waiting))[0][0] == 0:
            await asyncio.sleep(0.02)
