"""No change of a room forgets an event: what a device held, with what it heard, is what a new device gets.

For every mutation of the registries and every person; and a device that was away has the same after `sync`. Who sees
nothing change hears nothing.
"""

import asyncio
from copy import deepcopy

import pytest

from src.app import CONTROLLERS, NAMESPACES
from src.controllers.api import routes_of
from src.controllers.socket_edge import events_of

from .cast import Cast
from .mutations import CHANGES_NO_ROOM, MUTATIONS, NAMES, Mutation, World, build
from .replica import Replica, State, fresh, settle

REGISTERED = {
    *((route.method, route.path) for controller in CONTROLLERS for route in routes_of(controller)),
    *((space.name, event.name) for space in NAMESPACES for event in events_of(space)),
}
OF_PEOPLE = {"friend_changed", "user_changed"}


@pytest.fixture
async def world(cast: Cast) -> World:
    made = await build(cast)
    devices = await asyncio.gather(*(Replica(person).connect() for person in made.people.values()))
    made.devices = dict(zip(NAMES, devices, strict=True))
    return made


def test_every_mutation_is_in_the_table() -> None:
    covered = {mutation.covers for mutation in MUTATIONS}
    assert {key for key in REGISTERED if key[0] != "GET"} == covered | CHANGES_NO_ROOM
    assert not covered & CHANGES_NO_ROOM


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
async def test_what_was_held_and_what_was_heard_is_what_is_now(world: World, mutation: Mutation) -> None:
    before = {name: deepcopy(device.state) for name, device in world.devices.items()}
    away = await _away(world)
    await mutation.act(world)
    if mutation.gone:
        await world.devices[mutation.gone].chat.ended()
    for name, person in world.people.items():
        if name == mutation.gone:
            continue
        truth = await fresh(person)
        await _has_heard(world.devices[name], before[name], truth, unseen=name in mutation.unseen)
        if name in away:
            await away[name].connect()
            await settle(away[name], truth)


async def _away(world: World) -> dict[str, Replica]:
    """Devices of the members that hold what the others do, and are gone."""
    devices = {name: await Replica(person).connect() for name, person in world.people.items() if name != "mallory"}
    for device in devices.values():
        await device.close()
    return devices


async def _has_heard(device: Replica, before: State, truth: State, *, unseen: bool) -> None:
    if unseen:  # an event that is not heard is a gap: by the next one, or the beacon, the device asks
        await settle(device, truth, "/rev")
        await device.sync()
        await settle(device, truth)
        return
    await settle(device, truth)
    assert device.syncs == 0
    if before == truth:
        assert [name for name, _ in device.heard if name not in OF_PEOPLE] == []
