"""The picture that a newcomer has at their provider becomes theirs here, once, and comes from no place of ours."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from src.clock import now
from src.db.models import OutboxItem
from src.oauth import pictures
from src.services import keeping
from src.services.pictures import Pictures
from src.services.provider_pictures import FETCH_PICTURE, TRIES

from .accounts import alter
from .browser import Tab
from .cast import Cast, Person, Service
from .conftest import StartService
from .elsewhere import PROVIDERS, identity, sign_in
from .images.heic import HEIC
from .pictures import GREEN, RED, opened, picture
from .providers import hostile
from .providers.stage import Stage, somebody
from .providers.trap import Trap
from .test_exchange import HOST, enter
from .test_pictures import FACE, near, only, put

METADATA = "http://169.254.169.254/latest/meta-data/"


async def waiting(service: Service) -> list[Any]:
    """The pictures that are still to be fetched."""
    async with service.parts.database.snapshot() as reads:
        rows = select(*OutboxItem.__table__.columns).where(OutboxItem.kind == FETCH_PICTURE)
        return list((await reads._connection.execute(rows)).all())


async def settled(service: Service) -> None:
    """Wait until no picture is still to be fetched. Raises TimeoutError."""
    async with asyncio.timeout(30):
        while await waiting(service):
            await asyncio.sleep(0.02)


async def tried(service: Service) -> Any:
    """Wait until the one picture that is to be fetched was tried in vain; its row. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while True:
            (row,) = await waiting(service)
            if row.last_error:
                return row
            await asyncio.sleep(0.02)


async def again(service: Service, attempts: int = 1) -> None:
    """Have what was put off, or leased by who died, tried at once."""
    await alter(service, update(OutboxItem).values(due_at=now(), attempts=attempts, last_error=None))
    service.parts.outbox.wake()


async def colour_of(person: Person) -> Any:
    """What the picture that somebody has shows; None without one."""
    address = (await person.get("/users/me"))["avatar_url"]
    if address is None:
        return None
    shown = await person.fetch(address)
    assert shown.status == 200
    return opened(shown.body).convert("RGB").getpixel((96, 96))


class TestANewcomer:
    @pytest.mark.parametrize("provider", ["kakao", "naver", "google", "acme"])
    async def test_has_the_picture_of_their_provider(self, stage: Stage, tab: Tab, provider: str) -> None:
        stand_in: Any = {"kakao": stage.kakao, "naver": stage.naver}.get(provider)
        data = picture("JPEG", (640, 640), GREEN)
        address = stand_in.picture(data) if stand_in else await stage.oidc.picture(data)
        await stage.sign_in(tab, provider, somebody(picture=address))
        await settled(stage.service)
        anna = await stage.who(tab)
        assert anna and near(await colour_of(anna), GREEN)
        await only(stage.service, (await anna.get("/users/me"))["avatar_url"])

    async def test_is_asked_for_it_once(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        anna = somebody(picture=stage.kakao.picture(picture()))
        await stage.sign_in(tab, "kakao", anna)
        await settled(stage.service)
        me = await stage.me(tab)
        stage.kakao.picture(picture("JPEG", colour=GREEN))
        await stage.sign_in(elsewhere, "kakao", anna)
        await settled(stage.service)
        assert (await stage.me(elsewhere))["avatar_url"] == me["avatar_url"]
        assert len(stage.kakao.heard("/pictures/me")) == 1

    async def test_who_took_it_away_does_not_get_it_again(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        anna = somebody(picture=stage.kakao.picture(picture()))
        await stage.sign_in(tab, "kakao", anna)
        await settled(stage.service)
        person = await stage.who(tab)
        assert person
        await person.delete("/users/me/avatar")
        await stage.sign_in(elsewhere, "kakao", anna)
        await settled(stage.service)
        assert (await stage.me(elsewhere))["avatar_url"] is None

    async def test_who_links_keeps_what_they_have(self, stage: Stage, tab: Tab) -> None:
        await stage.register(tab)
        await stage.link(tab, "kakao", somebody(picture=stage.kakao.picture(picture())))
        me = await stage.me(tab)
        assert (len(me["identities"]), me["avatar_url"]) == (1, None)
        assert not await waiting(stage.service)

    async def test_who_was_refused_gets_none(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        await stage.register(tab)
        await stage.sign_in(elsewhere, "kakao", somebody(picture=stage.kakao.picture(picture())))
        assert not await waiting(stage.service)
        assert not stage.kakao.heard("/pictures/me")

    async def test_has_it_fetched_at_once(self, service: Service, cast: Cast) -> None:
        woken = asyncio.Event()
        service.parts.social._entry._wake = woken.set
        await sign_in(cast, identity(picture="https://localhost/a.png"))
        assert woken.is_set()

    async def test_without_one_has_none(self, stage: Stage, tab: Tab) -> None:
        await stage.sign_in(tab, "kakao", somebody())
        assert not await waiting(stage.service)

    async def test_of_the_host_application_has_the_one_that_its_token_names(self, start_service: StartService) -> None:
        async with hostile.HostileProvider() as host:
            service = await start_service(exchange=HOST | {"issuer": host.url})
            anna = await enter(Cast(service), iss=host.url, picture=f"{host.url}/picture")
            await settled(service)
        assert near(await colour_of(anna), RED)

    async def test_is_shown_to_others_who_hear_of_it(self, service: Service, cast: Cast) -> None:
        provider = hostile.HostileProvider()
        async with provider:
            carry_out: Any = service.parts.outbox._kinds[FETCH_PICTURE].handle
            carry_out.args[0].__self__._origins["kakao"] = {provider.url}
            _asleep(service)
            anna = await sign_in(cast, identity(picture=f"{provider.url}/picture", nickname="Anna"))
            boris = await cast.join("Boris")
            await cast.befriend(anna, boris)
            ear = await boris.connect("/notifications")
            await service.parts.outbox.work()
            heard = await ear.heard("user_changed")
            assert heard["avatar_url"] == (await anna.get("/users/me"))["avatar_url"] is not None


class TestMeanwhile:
    @pytest.fixture
    async def slow(self, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
        """The provider has been asked for a picture; it may answer."""
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def slowly(_: Any, __: Any) -> Any:
            asked.set()
            await may_answer.wait()
            return hostile.web.Response(body=picture("PNG"), content_type="image/png")

        trap.evil.faults["picture"] = slowly
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture"
        return asked, may_answer

    async def test_who_sets_one_keeps_it(self, trap: Trap, tab: Tab, slow: tuple[asyncio.Event, asyncio.Event]) -> None:
        anna = await _entered(trap, tab, slow[0])
        mine = (await put(anna, FACE))["avatar_url"]
        slow[1].set()
        await settled(trap.service)
        assert (await anna.get("/users/me"))["avatar_url"] == mine
        await only(trap.service, mine)

    async def test_who_leaves_leaves_nothing(
        self, trap: Trap, tab: Tab, slow: tuple[asyncio.Event, asyncio.Event]
    ) -> None:
        anna = await _entered(trap, tab, slow[0])
        await anna.delete("/users/me", expect=204)
        slow[1].set()
        await settled(trap.service)
        await only(trap.service, None)

    async def test_who_has_one_by_then_is_asked_nothing(self, trap: Trap, tab: Tab) -> None:
        _asleep(trap.service)
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture"
        anna = await _entered(trap, tab)
        await put(anna, FACE)
        trap.service.parts.outbox.wake()
        await settled(trap.service)
        assert not trap.evil.requests["picture"]


class TestAProviderThatMeansNoGood:
    @pytest.mark.parametrize(
        "fault",
        [hostile.ten_megabytes, hostile.html, hostile.gzip_bomb, hostile.redirect_to(METADATA),
         hostile.raw(b"gone", 404), hostile.raw(b"<svg/>", content_type="image/svg+xml"), hostile.raw(b""),
         hostile.raw(picture("PNG", (7000, 6000)), content_type="image/png"),
         hostile.raw(picture("JPEG")[:200], content_type="image/jpeg")],
        ids=["10 MB", "html", "bomb", "metadata", "404", "svg", "empty", "pixels", "cut"],
    )  # fmt: skip
    async def test_gives_nobody_a_picture(
        self, trap: Trap, tab: Tab, fault: hostile.Fault, capsys: pytest.CaptureFixture[str]
    ) -> None:
        trap.evil.faults["picture"] = fault
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture?token=secret"
        anna = await _entered(trap, tab)
        await settled(trap.service)
        assert await colour_of(anna) is None
        assert len(trap.evil.requests["picture"]) == 1
        await only(trap.service, None)
        told = capsys.readouterr().out
        assert "not taken" in told and "error" not in told.replace("last_error", "")
        assert "secret" not in told and "/picture" not in told

    @pytest.mark.parametrize("address", [METADATA, "https://127.0.0.1/a.png", "https://localhost/a.png", "https://x"])
    async def test_names_no_picture_elsewhere(self, trap: Trap, tab: Tab, address: str) -> None:
        trap.evil.people["anna"]["picture"] = address if address != "https://x" else f"{trap.good.url}/picture"
        anna = await _entered(trap, tab)
        await settled(trap.service)
        assert await colour_of(anna) is None
        assert not trap.good.requests["picture"], "another provider's origin is not this one's"

    async def test_may_be_slow_and_is_asked_a_few_times(
        self, trap: Trap, tab: Tab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(pictures, "SECONDS", 0.2)
        trap.evil.faults["picture"] = hostile.hanging_body
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture?token=secret"
        anna = await _entered(trap, tab)
        for attempts in range(1, TRIES):
            assert (await tried(trap.service)).attempts == attempts
            await again(trap.service, attempts)
        await settled(trap.service)
        assert len(trap.evil.requests["picture"]) == TRIES
        assert await colour_of(anna) is None
        assert "secret" not in capsys.readouterr().out
        await only(trap.service, None)

    async def test_may_recover(self, trap: Trap, tab: Tab) -> None:
        trap.evil.faults["picture"] = hostile.server_error
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture"
        anna = await _entered(trap, tab)
        row = await tried(trap.service)
        assert "picture" not in row.last_error and trap.evil.url not in row.last_error
        trap.evil.faults["picture"] = hostile.raw(HEIC, content_type="image/heic")
        await again(trap.service)
        await settled(trap.service)
        assert await colour_of(anna)


class TestAWorkerThatDies:
    @pytest.mark.parametrize("where", ["before storing", "before COMMIT"])
    async def test_leaves_it_to_the_next(
        self, trap: Trap, tab: Tab, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as dying:
            if where == "before COMMIT":
                dying.setattr(keeping.Kept, "claim", _die)
            else:
                dying.setattr(keeping.Keeping, "_put", _die)
            trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture"
            anna = await _entered(trap, tab)
            await tried(trap.service)
        await only(trap.service, None)
        await again(trap.service)
        await settled(trap.service)
        assert near(await colour_of(anna), RED)
        await only(trap.service, (await anna.get("/users/me"))["avatar_url"])

    async def test_after_commit_does_nothing_twice(self, trap: Trap, tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
        """Who is killed there has left no work: so a picture that was taken away meanwhile does not come back."""
        real, done = Pictures.put_first, asyncio.Event()

        async def and_die(self: Pictures, *args: Any) -> None:
            await real(self, *args)
            done.set()
            raise RuntimeError("killed")

        monkeypatch.setattr(Pictures, "put_first", and_die)
        trap.evil.people["anna"]["picture"] = f"{trap.evil.url}/picture"
        anna = await _entered(trap, tab, done)
        assert await waiting(trap.service) == []
        await anna.delete("/users/me/avatar")
        assert await trap.service.parts.outbox._work(FETCH_PICTURE) == 0
        await only(trap.service, None)


async def test_work_for_a_provider_that_is_configured_no_longer_trusts_it_no_more(
    start_service: StartService, trap: Trap
) -> None:
    service = await start_service(providers=PROVIDERS)
    cast = Cast(service)
    anna = await sign_in(cast, identity("acme", picture=f"{trap.good.url}/picture"))
    await service.parts.outbox.work()
    await settled(service)
    assert UUID(anna.id) and await colour_of(anna) is None
    assert not trap.good.requests["picture"]


async def _entered(trap: Trap, tab: Tab, event: asyncio.Event | None = None) -> Person:
    """Anna, who has signed in at the evil provider for the first time; once the event has happened."""
    assert await trap.come(tab) is None
    page = await tab.fetch("POST", f"{trap.service.url}/api/v1/auth/refresh")
    session = hostile.orjson.loads(page.text)
    if event:
        async with asyncio.timeout(10):
            await event.wait()
    return Person(Cast(trap.service), session | {"refresh_token": ""})


def _asleep(service: Service) -> None:
    """Signing in wakes nobody."""
    service.parts.social._entry._wake = lambda: None


async def _die(*_: Any) -> None:
    raise RuntimeError("killed")
