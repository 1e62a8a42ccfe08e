"""Sessions: renewed by one line of refresh tokens, ended at once and everywhere (contract §2, §9)."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from src.clock import now
from src.db.models import Session, User
from src.db.repositories import sessions as repository
from src.db.repositories.users import Users
from src.errors import Unauthorized
from src.events import SessionsEnded
from src.services import sessions
from src.services.tokens import Tokens

from .accounts import account, alter, cookie_in, refresh
from .cast import PASSWORD, Cast, Person, Refused, Service

HOUR = timedelta(hours=1)
LONG_AGO = timedelta(seconds=11)


async def let_the_race_pass(service: Service) -> None:
    """Move every rotation back, out of the ten seconds in which a used token counts as a race."""
    await alter(service, update(Session).values(rotated_at=now() - LONG_AGO))


async def renewed(person: Person, token: str, expect: int = 200) -> Any:
    return await Person(person._cast).post("/auth/refresh", {"refresh_token": token}, expect=expect)


class TestRefreshing:
    async def test_uses_the_token_up_for_the_next_one(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        session = await renewed(anna, anna.refresh_token)
        assert session["refresh_token"] != anna.refresh_token
        assert session["user"] == anna.user and session["expires_in"] == 900
        anna.token = session["access_token"]
        assert len((await anna.get("/auth/sessions"))["items"]) == 1, "it is still the same session"
        assert (await renewed(anna, session["refresh_token"]))["refresh_token"] != session["refresh_token"]

    async def test_by_cookie_sets_the_next_cookie_and_needs_no_body(self, cast: Cast) -> None:
        first = cookie_in(await cast.anonymous.raw("POST", "/auth/register", account("Anna")))
        answer = await refresh(cast.anonymous, first)
        assert answer.status == 200 and "refresh_token" not in answer.json
        assert cookie_in(answer) != first
        assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Strict" in answer.headers["Set-Cookie"]

    async def test_of_twenty_that_race_all_get_the_same_usable_token(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = await cast.join("Anna")
        honest = Users.me_row

        async def slow(users: Users, user_id: UUID) -> Any:
            """Between finding the session and renewing it: time for all others to come in between."""
            await asyncio.sleep(0.05)
            return await honest(users, user_id)

        monkeypatch.setattr(Users, "me_row", slow)
        sessions = await asyncio.gather(*(renewed(anna, anna.refresh_token) for _ in range(20)))
        assert len({session["refresh_token"] for session in sessions}) == 1
        token = sessions[0]["refresh_token"]
        assert service.parts.tokens.read_refresh(token).generation == 1, "exactly one of them won"
        for session in sessions[:3]:
            anna.token = session["access_token"]
            await anna.get("/auth/sessions", expect=200)
        await renewed(anna, token)

    async def test_with_a_used_token_ends_the_session_for_thief_and_owner(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        elsewhere = await anna.another_device()
        socket = await anna.connect("/chat")
        mine = await renewed(anna, anna.refresh_token)
        await let_the_race_pass(service)
        refused = await renewed(anna, anna.refresh_token, expect=401)
        assert refused["code"] == "unauthorized"
        await anna.get("/auth/sessions", expect=401)
        await renewed(anna, mine["refresh_token"], expect=401)
        await socket.ended()
        assert len((await elsewhere.get("/auth/sessions"))["items"]) == 1, "the other device is left in peace"

    async def test_with_a_token_two_generations_old_is_no_race(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        second = await renewed(anna, anna.refresh_token)
        await renewed(anna, second["refresh_token"])
        await renewed(anna, anna.refresh_token, expect=401)
        await anna.get("/auth/sessions", expect=401)

    async def test_with_a_forged_token_changes_nothing(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        session_id, generation, mac = anna.refresh_token.split(".")
        forged = [f"{session_id}.{generation}.{mac[::-1]}", f"{session_id}.1.{mac}", f"{session_id}.0", "x", anna.token]
        for token in forged:
            await renewed(anna, token or "", expect=401)
        await anna.get("/auth/sessions", expect=200)
        await renewed(anna, anna.refresh_token, expect=200)

    async def test_with_a_token_that_was_never_given_out_is_refused(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        session_id = service.parts.tokens.read_refresh(anna.refresh_token).session_id
        await renewed(anna, service.parts.tokens.refresh(session_id, 5), expect=401)
        await renewed(anna, service.parts.tokens.refresh(uuid4(), 0), expect=401)
        await renewed(anna, anna.refresh_token, expect=200)

    async def test_without_any_token_is_refused(self, cast: Cast) -> None:
        for body in (None, {}, {"refresh_token": None}):
            refused = await cast.anonymous.post("/auth/refresh", body, expect=401)
            assert refused["code"] == "unauthorized"

    async def test_a_session_that_nobody_renews_lapses(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        await renewed(anna, anna.refresh_token)
        async with service.parts.database.single_read() as reads:
            (row,) = await reads.sessions.of(UUID(anna.id), now())
        assert timedelta(days=29.9) < row.expires_at - now() <= timedelta(days=30)
        other = await anna.another_device()
        await alter(service, update(Session).values(expires_at=now() - timedelta(seconds=1)))
        await renewed(anna, other.refresh_token, expect=401)


class TestCookies:
    async def test_a_page_of_another_origin_cannot_use_them(self, cast: Cast) -> None:
        token = cookie_in(await cast.anonymous.raw("POST", "/auth/register", account("Anna")))
        for origin in ("https://evil.example", "null", f"{cast.service.url}.evil.example", "http://localhost:1"):
            answer = await refresh(cast.anonymous, token, Origin=origin)
            assert answer.status == 403 and "Set-Cookie" not in answer.headers
        assert (await refresh(cast.anonymous, token, Origin=cast.service.url)).status == 200

    async def test_predecessor_11_the_cookie_alone_signs_nothing_and_forms_are_refused(self, cast: Cast) -> None:
        token = cookie_in(await cast.anonymous.raw("POST", "/auth/register", account("Anna")))
        headers = {"Cookie": f"chatty_refresh={token}"}
        for method, path in (("GET", "/users/me"), ("POST", "/auth/logout"), ("DELETE", "/auth/sessions")):
            assert (await cast.anonymous.raw(method, path, headers=headers)).status == 401
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
            form = await cast.anonymous.raw(
                "POST", "/auth/refresh", data=b'{"refresh_token": null}', headers={**headers, "Content-Type": kind}
            )
            assert (form.status, form.json["code"]) == (415, "unsupported_type")

    async def test_logging_out_takes_the_cookie_away(self, cast: Cast) -> None:
        signed_up = await cast.anonymous.raw("POST", "/auth/register", account("Anna"))
        anna = cast.anonymous
        anna.token = signed_up.json["access_token"]
        answer = await anna.raw("POST", "/auth/logout")
        assert answer.status == 204 and cookie_in(answer).strip('"') == ""
        assert "Max-Age=0" in answer.headers["Set-Cookie"] and "Path=/api/v1/auth" in answer.headers["Set-Cookie"]
        assert (await refresh(cast.anonymous, cookie_in(signed_up))).status == 401


class TestEnding:
    async def test_logging_out_ends_tokens_and_sockets_of_this_session_alone(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        phone = await anna.another_device()
        socket, kept = await anna.connect("/chat"), await phone.connect("/chat")
        await anna.post("/auth/logout", expect=204)
        refused = await anna.get("/auth/sessions", expect=401)
        assert refused["code"] == "unauthorized"
        await renewed(anna, anna.refresh_token, expect=401)
        await socket.ended()
        with pytest.raises(Refused):
            await anna.connect("/chat")
        assert len((await phone.get("/auth/sessions"))["items"]) == 1
        assert (await kept.call("send_message", {}))["ok"] is False, "the other one is still answered"

    async def test_my_devices_are_listed_with_this_one_marked(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        body = {"email": anna.email, "password": PASSWORD, "session": "token"}
        await cast.anonymous.post("/auth/login", body, headers={"User-Agent": "Firefox on Anna's laptop"})
        items = (await anna.get("/auth/sessions"))["items"]
        assert set(items[0]) == {"id", "current", "client", "address", "created_at", "last_seen_at"}
        assert sorted((item["client"], item["current"], item["address"]) for item in items)[0] == (
            "Firefox on Anna's laptop", False, "127.0.0.1",
        )  # fmt: skip
        assert [item["current"] for item in items].count(True) == 1

    async def test_a_device_is_signed_out_from_another(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        phone = await anna.another_device()
        socket = await phone.connect("/chat")
        (other,) = [item for item in (await anna.get("/auth/sessions"))["items"] if not item["current"]]
        await anna.delete(f"/auth/sessions/{other['id']}", expect=204)
        await phone.get("/auth/sessions", expect=401)
        await socket.ended()
        await anna.delete(f"/auth/sessions/{other['id']}", expect=404)
        await anna.get("/auth/sessions", expect=200)

    async def test_a_stranger_cannot_see_or_end_anybodys_session(self, cast: Cast) -> None:
        anna, mallory = await cast.join("Anna"), await cast.join("Mallory")
        (mine,) = (await anna.get("/auth/sessions"))["items"]
        theirs = await mallory.raw("DELETE", f"/auth/sessions/{mine['id']}")
        nobodys = await mallory.raw("DELETE", f"/auth/sessions/{uuid4()}")
        assert theirs.status == nobodys.status == 404
        assert theirs.json | {"request_id": ""} == nobodys.json | {"request_id": ""}
        assert mine["id"] not in {item["id"] for item in (await mallory.get("/auth/sessions"))["items"]}
        await mallory.delete("/auth/sessions", expect=204)
        await anna.get("/auth/sessions", expect=200)

    async def test_all_others_are_signed_out_and_this_one_stays(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        others = [await anna.another_device() for _ in range(3)]
        await anna.delete("/auth/sessions", expect=204)
        for other in others:
            await other.get("/auth/sessions", expect=401)
            await renewed(anna, other.refresh_token, expect=401)
        assert [item["current"] for item in (await anna.get("/auth/sessions"))["items"]] == [True]

    async def test_one_too_many_ends_the_one_that_was_used_longest_ago(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def nothing(since: Any) -> Any:
            return since

        monkeypatch.setattr(service.parts.sessions, "_learn", nothing)  # this node says so itself
        assert sessions.MAX_SESSIONS == 50
        monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
        anna, boris = await cast.join("Anna"), await cast.join("Boris")
        unused = await anna.another_device()
        await asyncio.sleep(0.01)
        anna.token = (await renewed(anna, anna.refresh_token))["access_token"]
        newer = await anna.another_device()
        socket = await unused.connect("/chat")
        newest = await anna.another_device()
        await socket.ended()
        await unused.get("/users/me", expect=401)
        for kept in (anna, newer, newest, boris):
            await kept.get("/users/me", expect=200)
        assert len((await anna.get("/auth/sessions"))["items"]) == 3

    async def test_many_sign_ins_at_once_leave_no_more_than_that(
        self, cast: Cast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
        anna = await cast.join("Anna")
        devices = await asyncio.gather(*(anna.another_device() for _ in range(8)))
        statuses = [(await device.raw("GET", "/users/me")).status for device in devices]
        assert sorted(statuses) == [200] * 3 + [401] * 5

    async def test_ends_on_other_nodes_too(self, start_service: Any) -> None:
        here, there = Cast(await start_service()), Cast(await start_service())
        anna = await here.join("Anna")
        assert there.service.parts.tokens._access_key == here.service.parts.tokens._access_key
        there.service.parts.tokens._issuer = here.service.parts.tokens._issuer  # one public URL, two nodes
        guest = Person(there)
        guest.token = anna.token
        socket = await guest.connect("/chat")
        await anna.post("/auth/logout", expect=204)
        await socket.ended()
        await guest.get("/auth/sessions", expect=401)
        await there.leave()

    async def test_an_end_that_another_clock_wrote_is_seen_by_asking(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sessions, "CHECK_SECONDS", 0)
        monkeypatch.setattr(repository, "ASKED_AT_ONCE", 2)
        anna = await cast.join("Anna")
        lost, deleted = await anna.connect("/chat"), await (await cast.join("Boris")).connect("/chat")
        others = [await cast.join(name) for name in ("Mallory", "홍길동")]
        kept = [await other.connect("/chat") for other in others]
        mine = service.parts.tokens.read_access(anna.token or "").session_id
        await alter(service, update(Session).where(Session.id == mine).values(revoked_at=now() - HOUR))
        await alter(service, update(User).where(User.nickname == "Boris").values(deleted_at=now()))
        await lost.ended()
        await deleted.ended()
        await anna.get("/users/me", expect=401)
        for socket in kept:
            assert (await socket.call("send_message", {}))["error"]["code"] == "invalid", "still connected"

    async def test_an_end_whose_commit_came_late_is_learnt(self, service: Service, cast: Cast) -> None:
        anna = await cast.join("Anna")
        mine = service.parts.tokens.read_access(anna.token or "").session_id
        heard: list[Any] = []
        watching = sessions.Sessions(service.parts.database, service.parts.tokens, heard.extend, 30)
        since = await watching._learn(now())
        await alter(service, update(Session).where(Session.id == mine).values(revoked_at=now() - HOUR))
        since = await watching._learn(since)
        assert heard == []
        await alter(service, update(Session).where(Session.id == mine).values(revoked_at=now() - timedelta(seconds=5)))
        await watching._learn(since)
        assert [event.session_ids for event in heard] == [{mine}]

    async def test_an_answer_under_way_does_not_revive_a_session_that_ended(
        self, cast: Cast, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        anna = await cast.join("Anna")
        sessions = service.parts.sessions
        viewer = service.parts.tokens.read_access(anna.token or "")
        honest = service.parts.database.single_read

        class Slow:
            """A read that was answered before the COMMIT and arrives after it."""

            async def __aenter__(self) -> Any:
                self.read = honest()
                return await self.read.__aenter__()

            async def __aexit__(self, *failure: Any) -> Any:
                sessions.hear([SessionsEnded(frozenset({viewer.user_id}), frozenset({viewer.session_id}))])
                return await self.read.__aexit__(*failure)

        monkeypatch.setattr(service.parts.database, "single_read", Slow)
        for _ in range(2):
            with pytest.raises(Unauthorized):
                await sessions.authenticate(anna.token or "")


class TestTokens:
    async def test_an_expired_access_token_says_so(self, start_service: Any) -> None:
        cast = Cast(await start_service(access_token_seconds=1))
        anna = await cast.join("Anna")
        await anna.get("/auth/sessions", expect=200)
        async with asyncio.timeout(5):
            while (answer := await anna.raw("GET", "/auth/sessions")).status == 200:
                await asyncio.sleep(0.1)
        assert (answer.status, answer.json["code"]) == (401, "token_expired")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        await renewed(anna, anna.refresh_token, expect=200)

    async def test_one_as_long_as_connects_extends_a_connection_too(self, cast: Cast, service: Service) -> None:
        service.parts.tokens._issuer = f"https://{'chatty.' * 300}example"
        anna = await cast.join("Anna")
        assert 2000 < len(anna.token or "") < 4096
        socket = await anna.connect("/chat")
        assert (await socket.call("refresh_session", {"token": anna.token}))["ok"] is True
        refused = await socket.call("refresh_session", {"token": "x" * 4097})
        assert refused["error"]["code"] == "invalid"

    async def test_predecessor_12_neither_token_is_taken_for_the_other(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        access, anna.token = anna.token, anna.refresh_token
        assert (await anna.get("/auth/sessions", expect=401))["code"] == "unauthorized"
        with pytest.raises(Refused):
            await anna.connect("/chat")
        await renewed(anna, access or "", expect=401)

    async def test_predecessor_13_tokens_rotate_are_kept_and_can_be_revoked(self, cast: Cast, service: Service) -> None:
        anna = await cast.join("Anna")
        session = await renewed(anna, anna.refresh_token)
        assert session["refresh_token"] != anna.refresh_token
        async with service.parts.database.single_read() as reads:
            (row,) = await reads.sessions.of(UUID(anna.id), now())
        assert row.generation == 1
        await anna.post("/auth/logout", expect=204)
        await renewed(anna, session["refresh_token"], expect=401)

    async def test_predecessor_14_a_bad_bearer_does_not_fall_back_to_the_cookie(self, cast: Cast) -> None:
        token = cookie_in(await cast.anonymous.raw("POST", "/auth/register", account("Anna")))
        mallory = cast.anonymous
        mallory.token = "not.a.token"
        answer = await mallory.raw("GET", "/users/me", headers={"Cookie": f"chatty_refresh={token}"})
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")

    async def test_predecessor_21_a_missing_or_bad_token_is_401_and_nothing_else(self, cast: Cast) -> None:
        bad = ["", "Bearer", "Bearer ", "Bearer x", "Bearer \xe9", "Basic YTpi", "Bearer " + "x" * 5000, "Bearer a b"]
        for header in (None, *bad):
            headers = {} if header is None else {"Authorization": header}
            answer = await cast.anonymous.raw("GET", "/users/me", headers=headers)
            assert (answer.status, answer.json["code"]) == (401, "unauthorized"), header
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    async def test_predecessor_21_a_token_of_another_installation_is_not_ours(self, cast: Cast) -> None:
        anna = await cast.join("Anna")
        viewer = cast.service.parts.tokens.read_access(anna.token or "")
        foreign = Tokens("the key of another installation!!", cast.service.settings.public_url, 900)
        anna.token = foreign.access(viewer.user_id, viewer.session_id)
        await anna.get("/users/me", expect=401)
