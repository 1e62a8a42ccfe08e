"""Who is online: for friends and partners, on any node, also after a crash; and never stuck."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from src.clock import now
from src.db.ids import new_id
from src.errors import Unavailable
from src.events import PresenceChanged
from src.schemas.common import PageQuery
from src.schemas.people import Friend
from src.services.leaving import Leaving
from src.services.presence import Presence
from src.services.rooms import Rooms

from .cast import PATIENCE, Cast, draft
from .conftest import StartService
from .people import House


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def node(house: House, *, grace_seconds: float = 0, beat_seconds: float = 0.05) -> AsyncIterator[Presence]:
    """A running node; at the end of the block it is shut down in good order."""
    presence = Presence(house.database, new_id(), grace_seconds=grace_seconds, beat_seconds=beat_seconds)
    running = asyncio.create_task(presence.run())
    try:
        yield presence
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def left_behind(house: House, seen_at: datetime, *user_ids: UUID) -> UUID:
    """What a node leaves in the database that was killed: it was seen last at `seen_at`, with these people on it."""
    node_id = new_id()
    async with house.database.transaction() as tx:
        await tx.presence.add_node(node_id, seen_at)
        await tx.presence.add(node_id, user_ids)
    return node_id


def changes(house: House, of: UUID, heard_by: UUID) -> list[tuple[bool, datetime | None]]:
    """What somebody heard of another's presence: online?, last seen."""
    heard = [event.change for event in house.heard_by(heard_by) if isinstance(event, PresenceChanged)]
    return [(change.online, change.last_seen_at) for change in heard if change.user_id == of]


async def seen(house: House, viewer: UUID, of: UUID) -> Friend:
    """A friend, as the viewer's list of friends has them."""
    return next(friend for friend in (await house.friends.list_friends(viewer, PageQuery())).items if friend.id == of)


async def heard(house: House, of: UUID, by: UUID, count: int) -> list[tuple[bool, datetime | None]]:
    """The first `count` things that somebody heard of another; waits for them."""

    async def enough() -> bool:
        return len(changes(house, of, by)) >= count

    await until(enough)
    return changes(house, of, by)


@pytest.fixture
async def friends(house: House) -> tuple[UUID, UUID]:
    """Anna and Boris."""
    anna, boris = await house.join("Anna"), await house.join("Boris")
    await house.befriend(anna, boris)
    return anna, boris


class TestOneNode:
    async def test_friends_hear_who_comes_and_goes(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        mallory = await house.join("Mallory")
        async with node(house) as presence:
            presence.connected(anna)
            assert await heard(house, anna, boris, 1) == [(True, None)]
            friend = await seen(house, boris, anna)
            assert (friend.online, friend.last_seen_at) == (True, None)
            presence.disconnected(anna)
            _, (online, last_seen_at) = await heard(house, anna, boris, 2)
            assert online is False
            friend = await seen(house, boris, anna)
            assert (friend.online, friend.last_seen_at) == (False, last_seen_at)
            assert last_seen_at is not None
        assert changes(house, anna, mallory) == changes(house, anna, anna) == []

    async def test_only_the_first_and_the_last_connection_count(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        async with node(house) as presence:
            for _ in range(3):
                presence.connected(anna)
            await heard(house, anna, boris, 1)
            presence.disconnected(anna)
            presence.disconnected(anna)
            presence.connected(boris)
            await heard(house, boris, anna, 1)  # written after what happened to Anna
            assert changes(house, anna, boris) == [(True, None)]
            presence.disconnected(anna)
            assert [online for online, _ in await heard(house, anna, boris, 2)] == [True, False]

    async def test_a_reload_is_no_absence(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        async with node(house, grace_seconds=60) as presence:
            presence.connected(anna)
            await heard(house, anna, boris, 1)
            presence.disconnected(anna)
            await asyncio.sleep(0.1)
            assert (await seen(house, boris, anna)).online
            presence.connected(anna)
            presence.connected(boris)
            await heard(house, boris, anna, 1)
            assert changes(house, anna, boris) == [(True, None)]

    async def test_coming_back_while_being_written_off_ends_online(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        async with node(house) as presence:
            presence.connected(anna)
            for _ in range(20):
                presence.disconnected(anna)
                await asyncio.sleep(0.003)
                presence.connected(anna)
                await asyncio.sleep(0.002)
            presence.connected(boris)
            await heard(house, boris, anna, 1)

            async def online() -> bool:
                return (await seen(house, boris, anna)).online and changes(house, anna, boris)[-1] == (True, None)

            await until(online)

    async def test_a_thousand_at_once_are_written_down(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        crowd = [await house.join(f"person {number}") for number in range(20)]
        async with node(house) as presence:
            for person in (new_id() for _ in range(1000)):  # who does not exist does no harm
                presence.connected(person)
            for person in [*crowd, anna]:
                presence.connected(person)

            async def written() -> bool:
                async with house.database.snapshot() as reads:
                    return (await reads.presence.heartbeats([*crowd, anna])).keys() == {*crowd, anna}

            await until(written)
            assert await heard(house, anna, boris, 1) == [(True, None)]

    async def test_shutting_down_takes_everybody_offline(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        async with node(house, grace_seconds=20) as presence:
            presence.connected(anna)
            await heard(house, anna, boris, 1)
        assert [online for online, _ in changes(house, anna, boris)] == [True, False]
        friend = await seen(house, boris, anna)
        assert (friend.online, friend.last_seen_at) == (False, changes(house, anna, boris)[-1][1])

    async def test_an_outage_of_the_database_is_caught_up_with(
        self, house: House, friends: tuple[UUID, UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna, boris = friends
        monkeypatch.setattr("src.services.presence._RETRY_SECONDS", 0.01)
        async with node(house) as presence:
            presence.connected(anna)
            await heard(house, anna, boris, 1)
            with monkeypatch.context() as outage:
                outage.setattr(house.database, "transaction", unavailable)
                presence.disconnected(anna)
                presence.connected(boris)
                await asyncio.sleep(0.05)
            await heard(house, boris, anna, 1)
            assert [online for online, _ in await heard(house, anna, boris, 2)] == [True, False]


@contextlib.asynccontextmanager
async def unavailable() -> AsyncIterator[None]:
    raise Unavailable
    yield


class TestAudience:
    async def listen(self, house: House, person: UUID, hearer: UUID) -> list[tuple[bool, datetime | None]]:
        """What `hearer` hears when `person` comes, up to what a friend of both then hears."""
        witness = await house.join("Witness")
        await house.befriend(person, witness)
        async with node(house, grace_seconds=60) as presence:
            presence.connected(person)
            await heard(house, person, witness, 1)
            return changes(house, person, hearer)

    async def conversation(self, house: House, one: UUID, other: UUID, *, begun: bool) -> None:
        room, _ = await Rooms(house.database).open_direct(one, other)
        if begun:
            async with house.database.transaction() as tx:
                await tx.rooms.list_for(room.id, [one, other], now())

    async def test_the_partner_of_a_conversation_hears(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await self.conversation(house, anna, boris, begun=True)
        assert await self.listen(house, anna, boris) == [(True, None)]

    @pytest.mark.parametrize("leaver", [0, 1])
    async def test_after_one_has_left_the_conversation_neither_hears(self, house: House, leaver: int) -> None:
        pair = await house.join("Anna"), await house.join("Boris")
        room, _ = await Rooms(house.database).open_direct(*pair)
        async with house.database.transaction() as tx:
            await tx.rooms.list_for(room.id, pair, now())
        await Leaving(house.database).leave(pair[leaver], room.id)
        for person, hearer in (pair, pair[::-1]):
            assert await self.listen(house, person, hearer) == []

    async def test_opening_a_room_with_somebody_does_not_show_when_they_come(self, house: House) -> None:
        anna, mallory = await house.join("Anna"), await house.join("Mallory")
        await self.conversation(house, mallory, anna, begun=False)
        assert await self.listen(house, anna, mallory) == []

    async def test_a_request_does_not_show_when_they_come(self, house: House) -> None:
        anna, mallory = await house.join("Anna"), await house.join("Mallory")
        await house.friends.request(mallory, anna)
        assert await self.listen(house, anna, mallory) == []

    @pytest.mark.parametrize("blocker", ["Anna", "Boris"])
    async def test_nothing_crosses_a_block(self, house: House, blocker: str) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await self.conversation(house, anna, boris, begun=True)
        await house.blocks.block(*((anna, boris) if blocker == "Anna" else (boris, anna)))
        assert await self.listen(house, anna, boris) == []


class TestOfTwo:
    """What two people hear of each other when how they stand to each other changes."""

    @pytest.mark.parametrize("blocker", ["Anna", "Boris"])
    async def test_a_block_looks_like_leaving_and_nothing_follows(
        self, house: House, friends: tuple[UUID, UUID], blocker: str
    ) -> None:
        anna, boris = friends
        async with node(house) as presence:
            for person, other in ((anna, boris), (boris, anna)):
                presence.connected(person)
                await heard(house, person, other, 1)
            before = now()
            await house.blocks.block(*((anna, boris) if blocker == "Anna" else (boris, anna)))
        for person, other in ((anna, boris), (boris, anna)):
            came, (online, last_seen_at) = changes(house, person, other)
            assert (came, online) == ((True, None), False)
            assert last_seen_at is not None and last_seen_at >= before

    async def test_a_block_tells_nothing_of_who_was_away_or_could_not_be_seen(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        mallory = await house.join("Mallory")
        await left_behind(house, now(), anna, mallory)
        await house.blocks.block(anna, boris)
        await house.blocks.block(anna, mallory)
        assert len(changes(house, anna, boris)) == 1
        assert changes(house, boris, anna) == []
        assert changes(house, anna, mallory) == changes(house, mallory, anna) == []

    async def test_a_second_block_tells_nothing_more(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        await left_behind(house, now(), anna, boris)
        await house.blocks.block(anna, boris)
        await house.blocks.block(anna, boris)
        await house.blocks.block(boris, anna)
        assert [len(changes(house, anna, boris)), len(changes(house, boris, anna))] == [1, 1]

    async def test_who_is_blocked_from_a_dead_node_was_seen_when_that_was(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        died = now() - timedelta(seconds=21)
        await left_behind(house, died, anna)
        await house.blocks.block(anna, boris)
        assert changes(house, anna, boris) == [(False, died)]

    @pytest.mark.parametrize("talking", [True, False])
    async def test_after_the_last_block_partners_see_each_other_again(self, house: House, talking: bool) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        room, _ = await Rooms(house.database).open_direct(anna, boris)
        if talking:
            async with house.database.transaction() as tx:
                await tx.rooms.list_for(room.id, [anna, boris], now())
        await left_behind(house, now(), anna)
        await house.blocks.block(anna, boris)
        await house.blocks.block(boris, anna)
        house.heard.clear()
        await house.blocks.unblock(anna, boris)
        assert changes(house, anna, boris) == []
        await house.blocks.unblock(boris, anna)
        assert changes(house, anna, boris) == ([(True, None)] if talking else [])
        assert changes(house, boris, anna) == []

    async def test_new_friends_hear_who_is_here(self, house: House) -> None:
        anna, boris = await house.join("Anna"), await house.join("Boris")
        await left_behind(house, now(), anna)
        await left_behind(house, now() - timedelta(seconds=21), boris)
        await house.friends.request(anna, boris)
        assert changes(house, anna, boris) == []
        await house.friends.accept(boris, anna)
        assert changes(house, anna, boris) == [(True, None)]
        assert changes(house, boris, anna) == []


class TestAfterACrash:
    async def test_who_was_on_a_dead_node_does_not_look_online(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        died = now() - timedelta(seconds=21)
        await left_behind(house, died, anna)
        friend = await seen(house, boris, anna)
        assert (friend.online, friend.last_seen_at) == (False, died)

    async def test_the_next_start_or_another_node_says_that_they_are_gone(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        died = now() - timedelta(seconds=21)
        await left_behind(house, died, anna)
        async with node(house):
            assert await heard(house, anna, boris, 1) == [(False, died)]
            friend = await seen(house, boris, anna)
            assert (friend.online, friend.last_seen_at) == (False, died)
        async with house.database.snapshot() as reads:
            assert await reads.presence.heartbeats([anna]) == {}

    async def test_on_sqlite_a_new_start_need_not_wait(
        self, house: House, friends: tuple[UUID, UUID], database: str
    ) -> None:
        anna, boris = friends
        died = now() - timedelta(milliseconds=1)
        await left_behind(house, died, anna)
        async with node(house):
            if database == "sqlite":
                assert await heard(house, anna, boris, 1) == [(False, died)]
            else:  # that node may be alive
                await asyncio.sleep(0.2)
                assert changes(house, anna, boris) == []
                assert (await seen(house, boris, anna)).online

    async def test_many_left_behind_are_all_swept(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("src.services.presence._AT_ONCE", 3)
        anna = await house.join("Anna")
        others = [await house.join(f"person {number}") for number in range(8)]
        for other in others:
            await house.befriend(anna, other)
        await left_behind(house, now() - timedelta(seconds=21), *others)
        async with node(house):
            for other in others:
                assert [online for online, _ in await heard(house, other, anna, 1)] == [False]


class TestTwoNodes:
    """Only PostgreSQL serves several nodes."""

    @pytest.fixture(autouse=True)
    def several(self, database: str) -> None:
        if database == "sqlite":
            pytest.skip("SQLite serves one node")

    async def test_somebody_is_online_while_they_are_on_either(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        async with node(house) as one, node(house) as other:
            one.connected(anna)
            await heard(house, anna, boris, 1)
            other.connected(anna)
            other.connected(boris)
            await heard(house, boris, anna, 1)
            one.disconnected(anna)
            one.connected(boris)

            async def only_on_the_other() -> bool:
                async with house.database.snapshot() as reads:
                    return boris in await reads.presence.heartbeats([anna, boris], except_on=other._node_id)

            await until(only_on_the_other)
            assert changes(house, anna, boris) == [(True, None)]
            assert (await seen(house, boris, anna)).online
            other.disconnected(anna)
            assert [online for online, _ in await heard(house, anna, boris, 2)] == [True, False]

    async def test_leaving_both_at_once_is_said_once(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        async with node(house) as one, node(house) as other:
            for turn in range(1, 6):
                one.connected(anna)
                other.connected(anna)
                async with asyncio.timeout(PATIENCE):
                    while not {anna} <= one._online & other._online:
                        await asyncio.sleep(0.01)
                one.disconnected(anna)
                other.disconnected(anna)
                said = [online for online, _ in await heard(house, anna, boris, 2 * turn)]
                assert said == [True, False] * turn
                async with asyncio.timeout(PATIENCE):
                    while anna in one._online | other._online:
                        await asyncio.sleep(0.01)

    async def test_who_is_elsewhere_stays_online_when_a_node_dies(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        async with node(house, beat_seconds=60) as alive:
            alive.connected(anna)
            await heard(house, anna, boris, 1)
            await left_behind(house, now() - timedelta(seconds=21), anna, boris)
            async with node(house):
                assert [online for online, _ in await heard(house, boris, anna, 1)] == [False]
            assert changes(house, anna, boris) == [(True, None)]
            assert (await seen(house, boris, anna)).online

    async def test_who_was_seen_since_is_not_sent_away_twice(self, house: House, friends: tuple[UUID, UUID]) -> None:
        anna, boris = friends
        await left_behind(house, now() - timedelta(seconds=21), anna, boris)
        async with house.database.transaction() as tx:
            await tx.presence.set_last_seen([anna], now())
        async with node(house):
            await heard(house, boris, anna, 1)
        assert changes(house, anna, boris) == []

    async def test_a_node_taken_for_dead_comes_back_with_its_people(
        self, house: House, friends: tuple[UUID, UUID]
    ) -> None:
        anna, boris = friends
        async with node(house) as sleepy:
            sleepy.connected(anna)
            await heard(house, anna, boris, 1)
            async with house.database.transaction() as tx:  # what another node does after 20 s of silence
                await tx.presence.remove_node(sleepy._node_id)
            assert await heard(house, anna, boris, 2) == [(True, None), (True, None)]
            assert (await seen(house, boris, anna)).online


class TestOverSockets:
    async def test_a_friend_hears_it_and_mallory_does_not(self, start_service: StartService) -> None:
        cast = Cast(await start_service(presence_grace_seconds=0.05))
        anna, boris, mallory = await cast.join("Anna"), await cast.join("Boris"), await cast.join("Mallory")
        await cast.befriend(anna, boris)
        ear, outside = await boris.connect(), await mallory.connect()
        socket, second = await anna.connect(), await anna.connect()
        third = await anna.connect("/notifications")
        assert await ear.heard("presence_changed") == {"user_id": anna.id, "online": True, "last_seen_at": None}
        (friend,) = (await boris.get("/friends"))["items"]
        assert (friend["online"], friend["last_seen_at"]) == (True, None)
        await socket.close()
        await second.close()
        await third.close()
        gone = await ear.heard("presence_changed")
        (friend,) = (await boris.get("/friends"))["items"]
        assert gone == {"user_id": anna.id, "online": False, "last_seen_at": friend["last_seen_at"]}
        assert gone["last_seen_at"] is not None
        room = await cast.direct_room(boris, mallory)
        await boris.post(f"/rooms/{room}/messages", draft(), expect=201)
        await outside.heard("message_sent")
        assert [name for name, _ in outside.events if name == "presence_changed"] == []
        await cast.leave()

    async def test_signing_out_everywhere_goes_offline(self, start_service: StartService) -> None:
        cast = Cast(await start_service(presence_grace_seconds=0.05))
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        await cast.befriend(anna, boris)
        ear = await boris.connect()
        await anna.connect()
        assert (await ear.heard("presence_changed"))["online"] is True
        await anna.post("/auth/logout", expect=204)
        assert (await ear.heard("presence_changed"))["online"] is False
        await cast.leave()
