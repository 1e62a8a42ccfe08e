"""Kakao tells us that somebody has unlinked this service over there, by its admin key."""

from typing import Any

import pytest

from .cast import Answer, Cast, Service
from .conftest import StartService
from .elsewhere import ADMIN_KEY, PROVIDERS, Revoked, grant, identity, link, sign_in

PATH = "/auth/oauth/kakao/unlinked"
KAKAO = {"Authorization": f"KakaoAK {ADMIN_KEY}"}


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(providers=PROVIDERS)


def told(user_id: str) -> dict[str, str]:
    return {"app_id": "123456", "user_id": user_id, "referrer_type": "UNLINK_FROM_APPS"}


async def by_form(cast: Cast, user_id: str = "1001", headers: Any = KAKAO) -> Answer:
    return await cast.anonymous.raw("POST", PATH, data=told(user_id), headers=headers)


async def by_query(cast: Cast, user_id: str = "1001", headers: Any = KAKAO) -> Answer:
    return await cast.anonymous.raw("GET", PATH, params=told(user_id), headers=headers)


WAYS = pytest.mark.parametrize("tell", [by_form, by_query])


@WAYS
async def test_the_identity_goes_where_there_is_another_way_in(cast: Cast, service: Service, tell: Any) -> None:
    revoked, anna = Revoked(service), await cast.join("Anna")
    await link(anna, identity(grant=grant()))
    assert (await tell(cast)).status == 200
    assert (await anna.get("/users/me"))["identities"] == []
    assert (await tell(cast)).status == 200
    await service.parts.outbox.work()
    assert revoked == []


@WAYS
async def test_the_last_way_in_stays_for_their_return_and_every_session_ends(
    cast: Cast, service: Service, tell: Any
) -> None:
    anna = await sign_in(cast, identity(grant=grant()))
    assert (await tell(cast)).status == 200
    assert (await anna.raw("GET", "/users/me")).status == 401
    assert (await cast.anonymous.raw("POST", "/auth/refresh", {"refresh_token": anna.refresh_token})).status == 401
    async with service.parts.database.snapshot() as reads:
        kept = await reads.identities.find("kakao", identity().issuer, "1001")
    assert kept and kept.grant is None
    assert (await sign_in(cast, identity())).id == anna.id


@WAYS
async def test_nobody_else_may_say_it(cast: Cast, tell: Any) -> None:
    anna = await cast.join("Anna")
    await link(anna, identity())
    for given in ("", ADMIN_KEY, f"Bearer {ADMIN_KEY}", f"KakaoAK {ADMIN_KEY}x", "KakaoAK ", "KakaoAK 관리자"):
        answer = await tell(cast, headers={"Authorization": given})
        assert (answer.status, answer.json["code"]) == (401, "unauthorized"), given
    assert (await tell(cast, headers={})).status == 401
    assert len((await anna.get("/users/me"))["identities"]) == 1


@WAYS
async def test_the_unknown_are_answered_alike(cast: Cast, tell: Any) -> None:
    await link(await cast.join("Anna"), identity("google"))
    for user_id in ("1001", "1002", "", "nobody", "１００１", "9" * 400, "1\x00"):
        assert (await tell(cast, user_id)).status == 200, user_id


@WAYS
async def test_nothing_is_there_without_an_admin_key_or_without_kakao(start_service: StartService, tell: Any) -> None:
    without_key = {"kakao": {**PROVIDERS["kakao"], "admin_key": ""}}
    for providers in ({}, without_key, {"google": PROVIDERS["google"]}):
        cast = Cast(await start_service(providers=providers))
        for headers in (KAKAO, {}, {"Authorization": "KakaoAK "}):
            assert (await tell(cast, headers=headers)).status == 404


async def test_a_post_may_say_it_in_the_query(cast: Cast) -> None:
    anna = await cast.join("Anna")
    await link(anna, identity())
    assert (await cast.anonymous.raw("POST", PATH, params=told("1001"), headers=KAKAO)).status == 200
    assert (await anna.get("/users/me"))["identities"] == []
