"""How somebody wants to be told: defaults, what is merged, what is refused (contract §7, §9)."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from src.clock import now
from src.schemas.notifications import KINDS

from .cast import Cast, Person, Service
from .notified import say, told

PATH = "/notifications/preferences"
QUIET = {"from": "22:00", "to": "07:30", "time_zone": "Asia/Seoul"}


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


async def test_there_are_defaults_for_every_kind(anna: Person) -> None:
    preferences = await anna.get(PATH)
    assert list(preferences) == ["kinds", "quiet_hours", "hide_content"]
    assert [*preferences["kinds"]] == [*KINDS]
    assert {kind for kind, how in preferences["kinds"].items() if not how["email"]} == {"reaction", "friend_accepted"}
    assert all(how["in_app"] and how["push"] for how in preferences["kinds"].values())
    assert (preferences["quiet_hours"], preferences["hide_content"]) == (None, False)


async def test_what_is_given_changes_and_the_rest_stays(cast: Cast, anna: Person) -> None:
    expected = await anna.get(PATH)
    for change in ({"message": {"push": False}}, {"mention": {"email": False}}, {"message": {"email": False}}):
        for kind, how in change.items():
            expected["kinds"][kind] |= how
        assert await anna.put(PATH, {"kinds": change}, expect=200) == expected
    expected |= {"quiet_hours": QUIET, "hide_content": True}
    assert await anna.put(PATH, {"quiet_hours": QUIET, "hide_content": True}, expect=200) == expected
    assert await anna.put(PATH, {}, expect=200) == expected
    assert await anna.put(PATH, expected, expect=200) == expected
    assert await (await anna.another_device()).get(PATH) == expected
    expected |= {"quiet_hours": None}
    assert await anna.put(PATH, {"quiet_hours": None}, expect=200) == expected
    assert (await (await cast.join("Boris")).get(PATH))["kinds"]["message"]["push"]


@pytest.mark.parametrize(
    "body",
    [
        {"kinds": {"message": {"sms": True}}},
        {"kinds": {"messages": {"push": True}}},
        {"kinds": {"message": {"push": 1}}},
        {"kinds": {"message": {"push": None}}},
        {"kinds": None},
        {"hide_content": "yes"},
        {"hide_content": None},
        {"quiet": QUIET},
        *(
            {"quiet_hours": QUIET | {"time_zone": zone}}
            for zone in ("", "localtime", "Mars/Olympus", "../zone", "/etc/passwd", "\0")
        ),
        *({"quiet_hours": QUIET | {"from": time}} for time in ("24:00", "7:00", "07:60", "07:00\n", "07:30", 7)),
        {"quiet_hours": {"from_": "22:00", "to": "07:30", "time_zone": "Asia/Seoul"}},
        {"quiet_hours": {"from": "22:00", "to": "07:30"}},
        {"quiet_hours": QUIET | {"days": []}},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(anna: Person, body: dict[str, Any]) -> None:
    await anna.put(PATH, body, expect=422)


async def test_at_once_on_several_devices_nothing_is_lost(anna: Person) -> None:
    changes: list[Any] = [{"kinds": {kind: {"email": False}}} for kind in KINDS]
    changes += [{"hide_content": True}, {"quiet_hours": QUIET}]
    await asyncio.gather(*(anna.put(PATH, change, expect=200) for change in changes * 2))
    preferences = await anna.get(PATH)
    assert not any(how["email"] for how in preferences["kinds"].values())
    assert (preferences["hide_content"], preferences["quiet_hours"]) == (True, QUIET)


async def test_in_app_a_kind_is_listed_and_counted_as_chosen(cast: Cast, anna: Person) -> None:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    room = await cast.direct_room(anna, boris)
    await say(anna, room, mentions=[boris.id])
    await boris.put(PATH, {"kinds": {"message": {"in_app": False}, "friend_request": {"in_app": False}}}, expect=200)
    assert await told(boris) == [("mention", 1)]
    assert [note["kind"] for note in (await boris.get("/notifications"))["items"]] == ["mention"]
    assert await boris.post("/notifications/read", {"ids": []}, expect=200) == {"unread": 1}
    await boris.put(PATH, {"kinds": {"message": {"in_app": True}}}, expect=200)
    assert sorted(await told(boris)) == [("mention", 1), ("message", 1)]


async def test_mail_is_turned_off_for_good_and_the_rest_stays(service: Service, anna: Person) -> None:
    await anna.put(PATH, {"kinds": {"message": {"push": False}}, "hide_content": True}, expect=200)
    person, at = UUID(anna.id), now()
    for _ in range(2):
        async with service.parts.database.transaction() as tx:
            await tx.notification_preferences.turn_off_email(person, at)
    preferences = await anna.get(PATH)
    assert not any(how["email"] for how in preferences["kinds"].values())
    assert not preferences["kinds"]["message"]["push"]
    assert preferences["kinds"]["mention"]["push"]
    assert preferences["hide_content"]


async def test_when_mails_went_out_is_kept_for_who_has_chosen_nothing_too(
    service: Service, cast: Cast, anna: Person
) -> None:
    await anna.put(PATH, {"hide_content": True}, expect=200)
    people, at = [UUID(anna.id), UUID((await cast.join("Boris")).id)], now()

    async def write(order: list[UUID]) -> None:
        async with service.parts.database.transaction() as tx:
            await tx.notification_preferences.set_mailed(order, at)

    await asyncio.gather(*(write(people[::step]) for step in (1, -1) * 5))
    async with service.parts.database.snapshot() as reads:
        rows = await reads.notification_preferences.of(people)
    assert [(row.mailed_at, row.kinds) for row in rows.values()] == [(at, {}), (at, {})]
    assert rows[people[0]].hide_content
