"""Ways to sign in besides a password: linked, unlinked, never by an address, never the last one (contract §2, §3)."""

import asyncio
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import select, update

from src.clock import now
from src.db.models import Identity, OutboxItem, User
from src.errors import EmailOwnedByOtherMethod, IdentityTaken, Unauthorized

from .accounts import alter, token_in
from .cast import PASSWORD, Answer, Cast, Person, Service
from .conftest import Mailbox, StartService
from .elsewhere import PROVIDERS, Revoked, grant, identity, link, sign_in, some_time_passes


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(providers=PROVIDERS)


@pytest.fixture
def revoked(service: Service) -> Revoked:
    """What the service has told providers to forget."""
    return Revoked(service)


async def unlink(person: Person, provider: str = "kakao") -> Answer:
    return await person.raw("DELETE", f"/users/me/identities/{provider}")


async def linked(person: Person) -> list[str]:
    return [each["provider"] for each in (await person.get("/users/me"))["identities"]]


async def confirm(service: Service, person: Person) -> None:
    """Their address is verified."""
    await alter(service, update(User).values(email_verified_at=User.created_at))


def plain(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body
    return str(body.get_content())


async def until(revoked: Revoked, count: int) -> None:
    async with asyncio.timeout(5):
        while len(revoked) < count:
            await asyncio.sleep(0.01)


class TestSigningIn:
    async def test_makes_an_account_without_an_address_at_once(self, cast: Cast) -> None:
        anna = await sign_in(cast, identity(nickname="Anna"))
        me = await anna.get("/users/me")
        assert (me["nickname"], me["email"], me["has_password"]) == ("Anna", None, False)
        assert [each["provider"] for each in me["identities"]] == ["kakao"]
        assert (await sign_in(cast, identity())).id == anna.id

    async def test_is_by_provider_issuer_and_subject_alone(self, cast: Cast) -> None:
        said = {"email": None, "nickname": "Anna"}
        one = identity("acme", "1", **said)
        others = [identity("acme", "2", **said), identity("google", "1", **said), identity("acme", "1 ", **said)]
        ids = [(await sign_in(cast, each)).id for each in (one, *others)]
        elsewhere = one.__class__("acme", "https://elsewhere.example", "1", None, False, "Anna", None)
        ids.append((await sign_in(cast, elsewhere)).id)
        assert len(set(ids)) == 5

    @pytest.mark.parametrize("verified", [True, False])
    async def test_never_by_an_address(self, cast: Cast, verified: bool) -> None:
        anna = await cast.join("Anna")
        for provider in ("google", "kakao"):
            with pytest.raises(EmailOwnedByOtherMethod):
                await sign_in(cast, identity(provider, email="Anna@Example.com", email_verified=verified))
        assert await linked(anna) == []

    async def test_cleans_the_name(self, cast: Cast) -> None:
        names = {
            "\u202eAnna\n\x00": "Anna", " 한나 ": "한나", "하": "하", "x" * 200: "x" * 50, "Anna\ud800": "Anna",
        }  # fmt: skip
        for number, (said, cleaned) in enumerate(names.items()):
            assert (await sign_in(cast, identity(subject=str(number), nickname=said))).user["nickname"] == cleaned
        for number, nothing in enumerate((None, "", "\u3164", "\n")):
            shown = (await sign_in(cast, identity("naver", str(number), nickname=nothing), "en")).user["nickname"]
            assert shown.startswith("User "), shown

    async def test_passes_over_an_address_that_is_none(self, cast: Cast) -> None:
        for number, said in enumerate(("nonsense", "a@b@c", "x" * 400 + "@example.com", "a\x00@example.com")):
            anna = await sign_in(cast, identity(subject=str(number), email=said, email_verified=True))
            assert (anna.user["email"], anna.user["identities"][0]["email"]) == (None, None)

    async def test_follows_the_providers_address_without_taking_it(self, cast: Cast) -> None:
        await sign_in(cast, identity(email="anna@example.com", email_verified=True))
        me = (await sign_in(cast, identity(email="new@example.com", email_verified=True))).user
        assert (me["email"], me["identities"][0]["email"]) == ("anna@example.com", "new@example.com")

    async def test_by_many_at_once_makes_one_account(self, cast: Cast) -> None:
        who = identity(email="anna@example.com", email_verified=True)
        people = await asyncio.gather(*(sign_in(cast, who) for _ in range(4)))
        assert len({person.id for person in people}) == 1

    async def test_of_two_with_one_address_at_once_makes_one_account(self, cast: Cast) -> None:
        pair = [identity(name, email="anna@example.com", email_verified=True) for name in ("google", "kakao")]
        outcomes = await asyncio.gather(*(sign_in(cast, each) for each in pair), return_exceptions=True)
        assert [type(each) for each in outcomes if isinstance(each, Exception)] == [EmailOwnedByOtherMethod]

    async def test_keeps_no_token_in_clear_and_a_refresh_token_for_good(self, cast: Cast, service: Service) -> None:
        await sign_in(cast, identity(grant=grant()))
        await sign_in(cast, identity(grant=grant("two")._replace(refresh_token=None)))
        async with service.parts.database.snapshot() as reads:
            kept = (await reads._connection.execute(select(Identity.grant))).scalar_one()
        assert kept and "token" not in kept
        opened = service.parts.revocations._grants.open(kept)
        assert opened == grant("two")._replace(refresh_token="refresh token one")


class TestLinking:
    async def test_adds_a_way_in_and_mails_who_has_a_verified_address(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        anna = await cast.join("Anna")
        await mailbox.next_to(anna.email)
        await confirm(service, anna)
        await link(anna, identity(email=anna.email))
        assert (await sign_in(cast, identity())).id == anna.id
        assert "이제 Kakao 계정으로도" in plain(await mailbox.next_to(anna.email, count=2))

    async def test_again_changes_nothing(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        await link(anna, identity())
        assert await linked(anna) == ["kakao"]

    async def test_takes_nothing_from_another_and_no_second_of_a_kind(self, cast: Cast) -> None:
        anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
        await link(anna, identity())
        with pytest.raises(IdentityTaken):
            await link(mallory, identity())
        with pytest.raises(IdentityTaken):
            await link(anna, identity(subject="1002"))
        assert (await linked(mallory), (await sign_in(cast, identity())).id) == ([], anna.id)

    async def test_ends_with_the_session_that_began_it(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        viewer = await service.parts.sessions.authenticate(anna.token or "")
        await anna.post("/auth/logout")
        with pytest.raises(Unauthorized):
            await service.parts.identities.link(viewer.session_id, identity())

    async def test_ends_with_it_even_while_it_waits(self, cast: Cast, service: Service) -> None:
        anna, parts = await cast.join("Anna"), service.parts
        viewer = await parts.sessions.authenticate(anna.token or "")
        async with parts.database.transaction() as tx:
            await tx.users.lock(viewer.user_id)
            linking = asyncio.create_task(parts.identities.link(viewer.session_id, identity()))
            await asyncio.sleep(0.3)  # on PostgreSQL it has seen the session and waits for her row
            await parts.sessions.end(tx, viewer.user_id)
        with pytest.raises(Unauthorized):
            await linking
        assert await linked(await anna.another_device()) == []


class TestUnlinking:
    async def test_takes_it_away_tells_the_provider_and_mails(
        self, cast: Cast, service: Service, revoked: Revoked, mailbox: Mailbox
    ) -> None:
        anna = await cast.join("Anna")
        await mailbox.next_to(anna.email)
        await confirm(service, anna)
        await link(anna, identity(grant=grant()))
        assert (await unlink(anna)).status == 204
        assert await linked(anna) == []
        await until(revoked, 1)
        assert revoked == [("kakao", "1001", grant())]
        assert "Kakao 계정과의 연결이 해제" in plain(await mailbox.next_to(anna.email, count=3))
        assert (await sign_in(cast, identity())).id != anna.id

    async def test_signs_out_who_came_in_by_it(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        thief = await sign_in(cast, identity())
        assert (await unlink(anna)).status == 204
        assert (await thief.raw("GET", "/users/me")).status == 401
        assert (await anna.raw("GET", "/users/me")).status == 200

    async def test_needs_a_recent_sign_in(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        await some_time_passes(service)
        anna.token = (await cast.anonymous.post("/auth/refresh", {"refresh_token": anna.refresh_token}))["access_token"]
        answer = await unlink(anna)
        assert (answer.status, answer.json["code"]) == (403, "reauthentication_required")
        assert await linked(anna) == ["kakao"]
        assert (await unlink(await sign_in(cast, identity()))).status == 204

    async def test_is_still_recent_after_four_minutes(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        await some_time_passes(service, 4)
        assert (await unlink(anna)).status == 204

    async def test_never_takes_the_last_way_in(self, cast: Cast, service: Service, revoked: Revoked) -> None:
        anna = await sign_in(cast, identity())
        answer = await unlink(anna)
        assert (answer.status, answer.json["code"]) == (409, "last_sign_in_method")
        await link(anna, identity("google"))
        assert (await unlink(anna)).status == 204
        assert (await unlink(anna, "google")).status == 409
        assert await linked(anna) == ["google"]

    async def test_counts_no_provider_that_is_no_longer_configured(self, cast: Cast, service: Service) -> None:
        anna = await sign_in(cast, identity())
        await link(anna, identity("google"))
        await alter(service, update(Identity).where(Identity.provider == "google").values(provider="closed"))
        assert (await unlink(anna)).status == 409
        assert (await unlink(anna, "closed")).status == 204

    async def test_counts_a_password_only_with_an_address(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        await alter(service, update(User).values(email=None, email_key=None))
        assert (await unlink(anna)).status == 409

    async def test_twice_at_once_succeeds_once(self, cast: Cast, revoked: Revoked) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity())
        answers = await asyncio.gather(*(unlink(anna) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [204, 404, 404]
        await until(revoked, 1)
        assert len(revoked) == 1

    async def test_of_the_last_two_at_once_leaves_one(self, cast: Cast) -> None:
        anna = await sign_in(cast, identity())
        await link(anna, identity("google"))
        answers = await asyncio.gather(unlink(anna), unlink(anna, "google"))
        assert sorted(answer.status for answer in answers) == [204, 409]
        assert len(await linked(anna)) == 1

    async def test_is_not_found_for_what_is_not_mine(self, cast: Cast) -> None:
        anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
        await link(anna, identity())
        for provider in ("kakao", "google", "nobody", "host", "x" * 300):
            assert (await unlink(mallory, provider)).status == 404
        assert await linked(anna) == ["kakao"]


class TestRevoking:
    async def test_leaves_alone_what_was_linked_again(self, cast: Cast, service: Service, revoked: Revoked) -> None:
        anna = await cast.join("Anna")
        item: Any = type("Item", (), {"payload": {"provider": "kakao", "subject": "1001", "grant": None}})
        item.payload["issuer"] = identity().issuer
        await link(anna, identity())
        await service.parts.revocations.carry_out(item)
        assert revoked == []
        await unlink(anna)
        await until(revoked, 1)

    async def test_is_tried_again_when_the_provider_is_down(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")  # nobody answers at its provider
        await link(anna, identity("naver", grant=grant()))
        await unlink(anna, "naver")
        async with asyncio.timeout(5):
            while not (row := await _revocation(service)) or not row.last_error:
                await asyncio.sleep(0.02)
        assert (row.failed_at, "ProviderUnavailable" in row.last_error) == (None, True)
        assert "refresh token" not in str(row.payload)

    async def test_is_given_up_for_a_provider_that_is_no_longer_configured(
        self, cast: Cast, service: Service, revoked: Revoked
    ) -> None:
        item: Any = type("Item", (), {"payload": {"provider": "closed", "issuer": "x", "subject": "1", "grant": None}})
        await service.parts.revocations.carry_out(item)
        assert revoked == []

    async def test_goes_without_tokens_that_nobody_can_read(
        self, cast: Cast, service: Service, revoked: Revoked
    ) -> None:
        anna = await cast.join("Anna")
        await link(anna, identity(grant=grant()))
        await alter(service, update(Identity).values(grant="sealed under a key that was changed"))
        await unlink(anna)
        await until(revoked, 1)
        assert revoked == [("kakao", "1001", None)]


async def _revocation(service: Service) -> Any:
    async with service.parts.database.snapshot() as reads:
        found = select(*OutboxItem.__table__.columns).where(OutboxItem.kind == "revoke")
        return (await reads._connection.execute(found)).one_or_none()


class TestTheFirstPassword:
    async def test_is_set_after_a_recent_sign_in(self, cast: Cast, service: Service) -> None:
        anna = await sign_in(cast, identity(email="anna@example.com", email_verified=True))
        await some_time_passes(service)
        answer = await anna.raw("PUT", "/auth/password", {"new_password": PASSWORD})
        assert (answer.status, answer.json["code"]) == (403, "reauthentication_required")
        anna = await sign_in(cast, identity())
        await anna.put("/auth/password", {"new_password": PASSWORD}, expect=204)
        assert (await cast.sign_in("anna@example.com")).id == anna.id

    async def test_needs_an_address(self, cast: Cast) -> None:
        anna = await sign_in(cast, identity())
        answer = await anna.raw("PUT", "/auth/password", {"new_password": PASSWORD})
        assert (answer.status, answer.json["code"]) == (409, "conflict")


class TestAResetPassword:
    async def test_drives_out_who_had_registered_my_address(
        self, cast: Cast, mailbox: Mailbox, revoked: Revoked
    ) -> None:
        mallory = await cast.join("Anna")  # with Anna's address
        await link(mallory, identity())
        await self._reset(cast, mailbox, mallory.email)
        anna = await cast.sign_in(mallory.email, "한강에서 라면 먹기")
        assert await linked(anna) == []
        assert (await sign_in(cast, identity())).id != anna.id
        await until(revoked, 1)

    async def test_drives_them_out_also_when_i_have_confirmed_it_meanwhile(
        self, cast: Cast, service: Service, mailbox: Mailbox, revoked: Revoked
    ) -> None:
        mallory = await cast.join("Anna")
        await link(mallory, identity())
        await mailbox.next_to(mallory.email)
        await alter(service, update(User).values(email_verified_at=now()))
        await self._reset(cast, mailbox, mallory.email)
        assert await linked(await cast.sign_in(mallory.email, "한강에서 라면 먹기")) == []
        await until(revoked, 1)

    async def test_keeps_the_method_that_the_account_was_made_with(self, cast: Cast, mailbox: Mailbox) -> None:
        anna = await sign_in(cast, identity(email="anna@example.com", email_verified=True))
        await self._reset(cast, mailbox, "anna@example.com", count=1)
        assert (await sign_in(cast, identity())).id == anna.id

    async def test_keeps_the_methods_of_who_has_shown_the_address(
        self, cast: Cast, service: Service, mailbox: Mailbox
    ) -> None:
        anna = await cast.join("Anna")
        await mailbox.next_to(anna.email)
        await confirm(service, anna)
        await link(anna, identity())
        await mailbox.next_to(anna.email, count=2)
        await self._reset(cast, mailbox, anna.email, count=3)
        assert (await sign_in(cast, identity())).id == anna.id

    async def _reset(self, cast: Cast, mailbox: Mailbox, email: str, count: int = 2) -> None:
        await cast.anonymous.post("/auth/password/forgot", {"email": email}, expect=202)
        token = token_in(await mailbox.next_to(email, count=count))
        body = {"token": token, "new_password": "한강에서 라면 먹기"}
        await cast.anonymous.post("/auth/password/reset", body, expect=204)


@pytest.mark.one_database
class TestTheListOfProviders:
    async def test_names_those_that_are_configured(self, cast: Cast) -> None:
        assert (await cast.anonymous.get("/auth/providers"))["items"] == [
            {"name": "google", "display_name": "Google"},
            {"name": "naver", "display_name": "Naver"},
            {"name": "kakao", "display_name": "Kakao"},
            {"name": "acme", "display_name": "Acme"},
        ]

    async def test_is_empty_without_any(self, start_service: StartService) -> None:
        assert (await Cast(await start_service()).anonymous.get("/auth/providers")) == {"items": []}
