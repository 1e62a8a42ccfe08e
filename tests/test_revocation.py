"""What is unlinked here is revoked at the provider: after COMMIT, through the outbox, until it has worked."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select, update

from src.clock import now
from src.db.models import Identity, OutboxItem

from .accounts import alter
from .browser import Tab
from .cast import Person
from .conftest import StartService
from .providers.kakao import Kakao
from .providers.naver import Naver
from .providers.oidc import Oidc
from .providers.stage import Stage, somebody
from .providers.stand_in import Somebody, StandIn


@pytest.fixture(params=["kakao", "naver"])
def stand_in(request: pytest.FixtureRequest, stage: Stage) -> StandIn:
    found: StandIn = getattr(stage, request.param)
    return found


@pytest.fixture
async def anna(stage: Stage, tab: Tab) -> Person:
    """Anna, with a password, signed in in `tab`."""
    return await stage.register(tab)


async def rows(stage: Stage, table: type[Any]) -> list[Any]:
    async with stage.service.parts.database.transaction() as tx:
        return list((await tx._connection.execute(select(*table.__table__.columns))).all())


async def queue_of(stage: Stage, *, tried: int) -> list[Any]:
    """The revocations that wait, once they have been tried so often and are put off."""
    async with asyncio.timeout(10):
        while True:
            waiting = [row for row in await rows(stage, OutboxItem) if row.kind == "revoke"]
            if waiting and all(row.attempts >= tried and row.last_error for row in waiting):
                return waiting
            await asyncio.sleep(0.02)


async def emptied(stage: Stage) -> None:
    """Wait until the outbox has no revocation."""
    async with asyncio.timeout(10):
        while any(row.kind == "revoke" for row in await rows(stage, OutboxItem)):
            await asyncio.sleep(0.02)


async def hurry(stage: Stage) -> None:
    """What the outbox has put off is due."""
    await alter(stage.service, update(OutboxItem).values(due_at=now()))
    stage.service.parts.outbox.wake()


class TestRevoking:
    async def test_reaches_kakao_and_naver(self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn) -> None:
        known_there = somebody()
        await stage.link(tab, stand_in.name, known_there)
        assert known_there.subject in stand_in.connected
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await stand_in.until(known_there.subject)
        await emptied(stage)

    @pytest.mark.parametrize("provider", ["google", "acme"])
    async def test_reaches_openid_providers(self, stage: Stage, tab: Tab, anna: Person, provider: str) -> None:
        await stage.link(tab, provider, somebody())
        before = len(await stage.oidc.revoked())
        await anna.delete(f"/users/me/identities/{provider}", expect=204)
        await emptied(stage)
        assert len(await stage.oidc.revoked()) > before

    async def test_works_after_the_access_token_has_expired(
        self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn
    ) -> None:
        known_there, stand_in.lifetime = somebody(), 1
        await stage.link(tab, stand_in.name, known_there)
        stand_in.expire()
        await asyncio.sleep(1.1)
        stand_in.lifetime = 3600
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await stand_in.until(known_there.subject)

    async def test_waits_for_a_provider_that_is_down(
        self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn
    ) -> None:
        known_there = somebody()
        await stage.link(tab, stand_in.name, known_there)
        stand_in.down |= {"/v1/user/unlink", "/oauth/token", "/oauth2.0/token"}
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await queue_of(stage, tried=1)
        assert known_there.subject in stand_in.connected
        stand_in.down.clear()
        await hurry(stage)
        await stand_in.until(known_there.subject)
        await emptied(stage)

    async def test_is_over_for_whoever_unlinked_there_first(
        self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn
    ) -> None:
        known_there = somebody()
        await stage.link(tab, stand_in.name, known_there)
        stand_in.connected.clear()
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await emptied(stage)
        assert not [row for row in await rows(stage, OutboxItem) if row.failed_at]

    async def test_leaves_alone_who_has_linked_again_meanwhile(
        self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn
    ) -> None:
        known_there = somebody()
        await stage.link(tab, stand_in.name, known_there)
        stand_in.down |= {"/v1/user/unlink", "/oauth2.0/token"}
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await queue_of(stage, tried=1)
        stand_in.down.clear()
        await stage.link(tab, stand_in.name, known_there)
        await hurry(stage)
        await emptied(stage)
        assert known_there.subject in stand_in.connected

    async def test_is_part_of_deleting_the_account(
        self, stage: Stage, tab: Tab, elsewhere: Tab, stand_in: StandIn
    ) -> None:
        known_there = somebody()
        await stage.sign_in(tab, stand_in.name, known_there)
        person = await stage.who(tab)
        assert person
        await person.delete("/users/me", {}, expect=204)
        await stand_in.until(known_there.subject)
        assert await stage.who(tab) is None
        await stage.sign_in(elsewhere, stand_in.name, known_there)
        assert (await stage.me(elsewhere))["id"] != person.id

    @pytest.mark.parametrize("expired", [False, True])
    async def test_goes_by_a_token_where_kakao_gave_no_admin_key(
        self, start_service: StartService, oidc: Oidc, kakao: Kakao, naver: Naver, tab: Tab, expired: bool
    ) -> None:
        service = await start_service(providers={"kakao": kakao.settings() | {"admin_key": ""}})
        stage, known_there = Stage(service, oidc, kakao, naver), somebody()
        anna, kakao.lifetime = await stage.register(tab), 1 if expired else 3600
        await stage.link(tab, "kakao", known_there)
        if expired:
            kakao.expire()
            await asyncio.sleep(1.1)
        await anna.delete("/users/me/identities/kakao", expect=204)
        await kakao.until(known_there.subject)
        assert all("KakaoAK" not in asked.headers["Authorization"] for asked in kakao.heard("/v1/user/unlink"))

    async def test_goes_without_a_token_for_kakao_by_its_admin_key(self, stage: Stage, tab: Tab, anna: Person) -> None:
        known_there = somebody()
        await stage.link(tab, "kakao", known_there)
        await alter(stage.service, update(Identity).values(grant=None))
        await anna.delete("/users/me/identities/kakao", expect=204)
        await stage.kakao.until(known_there.subject)


class TestTheTokensOfAProvider:
    async def test_are_kept_encrypted_if_at_all(self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn) -> None:
        await stage.link(tab, stand_in.name, somebody())
        await _is_not_kept(stage, stand_in)
        stand_in.down |= {"/v1/user/unlink", "/oauth2.0/token"}
        await anna.delete(f"/users/me/identities/{stand_in.name}", expect=204)
        await queue_of(stage, tried=1)
        await _is_not_kept(stage, stand_in)

    async def test_are_shown_to_nobody(self, stage: Stage, tab: Tab, anna: Person, stand_in: StandIn) -> None:
        await stage.link(tab, stand_in.name, somebody())
        shown = str(await anna.get("/users/me"))
        assert not any(token in shown for token in (*stand_in.access, *stand_in.refreshing))


class TestKakaosWebhook:
    path = "/api/v1/auth/oauth/kakao/unlinked"

    async def tell(self, stage: Stage, person: Somebody, key: str | None = None, method: str = "POST") -> int:
        said = {"app_id": "1", "user_id": person.subject, "referrer_type": "UNLINK_FROM_APPS"}
        how = {"params": said} if method == "GET" else {"data": said}
        headers = {"Authorization": f"KakaoAK {key or stage.kakao.admin_key}"}
        async with stage.service.http.request(method, self.path, headers=headers, **how) as answer:  # type: ignore[arg-type]
            return answer.status

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_takes_the_identity_away(self, stage: Stage, tab: Tab, anna: Person, method: str) -> None:
        known_there = somebody()
        await stage.link(tab, "kakao", known_there)
        assert await self.tell(stage, known_there, method=method) == 200
        assert (await anna.get("/users/me"))["identities"] == []

    async def test_leaves_the_last_way_back_and_ends_the_sessions(self, stage: Stage, tab: Tab, elsewhere: Tab) -> None:
        known_there = somebody()
        await stage.sign_in(tab, "kakao", known_there)
        me = await stage.me(tab)
        assert await self.tell(stage, known_there) == 200
        assert await stage.who(tab) is None
        await stage.sign_in(elsewhere, "kakao", known_there)
        assert (await stage.me(elsewhere))["id"] == me["id"]

    async def test_hears_nobody_but_kakao(self, stage: Stage, tab: Tab, anna: Person) -> None:
        known_there = somebody()
        await stage.link(tab, "kakao", known_there)
        assert await self.tell(stage, known_there, key="guess") == 401
        async with stage.service.http.post(self.path, data={"user_id": known_there.subject}) as answer:
            assert answer.status == 401
        assert len((await anna.get("/users/me"))["identities"]) == 1

    async def test_answers_alike_for_strangers(self, stage: Stage) -> None:
        assert await self.tell(stage, somebody()) == 200


async def _is_not_kept(stage: Stage, stand_in: StandIn) -> None:
    kept = str(await rows(stage, Identity)) + str(await rows(stage, OutboxItem))
    assert not any(token in kept for token in (*stand_in.access, *stand_in.refreshing))
