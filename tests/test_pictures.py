"""Profile pictures: a square in three sizes, for whoever has the address, which is new with each picture."""

import asyncio
import contextlib
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from src.clock import now
from src.db.models import OutboxItem
from src.services import keeping
from src.services.file_check import SETTLED
from src.services.pictures import Pictures, keys_of_avatar
from src.storage.disk import DiskStore

from .cast import Attachment, Cast, Fetched, Person, Service, draft
from .conftest import StartService
from .images.heic import HEIC
from .people import deaf_until
from .pictures import GREEN, RED, opened, picture
from .test_files import anna, boris, emptied, mallory, stored_objects

__all__ = ["anna", "boris", "mallory"]

FACE = Attachment("me.jpg", picture("JPEG", (800, 600)), "image/jpeg")
OTHER_FACE = Attachment("me.png", picture("PNG", (600, 800), GREEN), "image/png")


async def put(person: Person, *files: Attachment, field: str = "profile") -> Any:
    """Have a picture; the `User` that is answered."""
    answer = await person.upload_raw("/users/me/avatar", *files, field=field, method="PUT")
    assert answer.status == 200, answer.json
    return answer.json


async def show(person: Person, address: str, size: int | None = None, **how: Any) -> Fetched:
    return await person.fetch(address + (f"?size={size}" if size else ""), **how)


async def only(service: Service, address: str | None) -> None:
    """Wait until nothing is stored but the picture of this address. Raises TimeoutError, AssertionError."""
    expected = keys_of_avatar(address and address.rpartition("/")[2])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while sorted(await stored_objects(service)) != sorted(expected):
                await asyncio.sleep(0.02)
    assert sorted(await stored_objects(service)) == sorted(expected)
    assert list(service.parts.files.staging.directory.glob("*")) == []


def near(colour: Any, other: Any) -> bool:
    return all(abs(one - two) < 12 for one, two in zip(colour, other, strict=True))


class TestAPicture:
    async def test_is_a_square_in_three_sizes_for_anybody_who_has_the_address(
        self, cast: Cast, service: Service, anna: Person
    ) -> None:
        user = await put(anna, FACE)
        assert user.keys() == {"id", "nickname", "intro", "avatar_url"}
        address = user["avatar_url"]
        base, _, key = address.rpartition("/")
        assert (base, len(key), set(key) <= set("0123456789abcdef")) == (f"{service.url}/api/v1/avatars", 32, True)
        for size in (64, 192, 512):
            shown = await show(cast.anonymous, address, size)
            assert (shown.status, opened(shown.body).size) == (200, (size, size))
            assert opened(shown.body).format == "WEBP"
        assert opened((await show(cast.anonymous, address)).body).size == (192, 192)
        await only(service, address)

    async def test_may_be_kept_for_ever_and_shown_anywhere_but_never_run(self, cast: Cast, anna: Person) -> None:
        shown = await show(cast.anonymous, (await put(anna, FACE))["avatar_url"])
        headers = shown.headers
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("image/webp", "nosniff")
        assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert headers["Content-Disposition"].startswith("inline")
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "Set-Cookie" not in headers

    async def test_is_known_again(self, cast: Cast, anna: Person) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        shown = await show(cast.anonymous, address, 64)
        etag = shown.headers["ETag"]
        assert (await show(cast.anonymous, address, 64, If_None_Match=etag)).status == 304
        other = await show(cast.anonymous, address, 512, If_None_Match=etag)
        assert (other.status, other.headers["ETag"] == etag) == (200, False)
        head = await show(cast.anonymous, address, 64, method="HEAD")
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(shown.body)))
        part = await show(cast.anonymous, address, 64, Range="bytes=0-3")
        assert (part.status, part.body) == (206, b"RIFF")

    async def test_is_asked_of_no_database(
        self, cast: Cast, service: Service, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = (await put(anna, FACE))["avatar_url"]

        def refuse(*_: Any) -> Any:
            raise AssertionError("asked")

        for way in ("single_read", "snapshot", "transaction", "patient_transaction"):
            monkeypatch.setattr(service.parts.database, way, refuse)
        assert (await show(cast.anonymous, address)).status == 200

    @pytest.mark.parametrize(
        "key", ["0" * 32, "0" * 31, "A" * 32, "x", "..%2F..%2Fchatty.db", "%2e%2e", f"{'0' * 32}-64.webp", "0" * 5000]
    )
    async def test_that_nobody_has_is_not_found(self, cast: Cast, key: str) -> None:
        shown = await cast.anonymous.fetch(f"/api/v1/avatars/{key}")
        assert (shown.status, b'"not_found"' in shown.body) == (404, True)
        assert "immutable" not in shown.headers.get("Cache-Control", "")

    @pytest.mark.parametrize("query", ["size=65", "size=064", "size=0", "size=", "size=big", "size=64&size=64", "x=1"])
    async def test_has_no_other_size(self, cast: Cast, anna: Person, query: str) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        assert (await cast.anonymous.fetch(f"{address}?{query}")).status == 422

    async def test_that_the_storage_cannot_give_is_unavailable(
        self, cast: Cast, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = (await put(anna, FACE))["avatar_url"]

        async def fail(*_: Any) -> int:
            raise OSError("the cable is out")

        monkeypatch.setattr(DiskStore, "size", fail)
        assert (await show(cast.anonymous, address)).status == 503

    async def test_that_goes_while_it_is_asked_for_is_not_found(
        self, cast: Cast, service: Service, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        real = Pictures.open

        async def gone_after(self: Pictures, key: str, size: int) -> Any:
            download = await real(self, key, size)
            await service.parts.files.store.delete([download.key])
            return download

        monkeypatch.setattr(Pictures, "open", gone_after)
        for method, size in (("GET", 64), ("HEAD", 512)):
            assert (await show(cast.anonymous, address, size, method=method)).status == 404


class TestWhatIsTaken:
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
    async def test_every_usual_kind(self, anna: Person, kind: str) -> None:
        user = await put(anna, Attachment("me", picture(kind, (300, 200))))
        shown = opened((await show(anna, user["avatar_url"])).body).convert("RGB")
        assert near(shown.getpixel((96, 96)), RED)

    async def test_a_phones_heic(self, anna: Person) -> None:
        user = await put(anna, Attachment("me.heic", HEIC, "image/heic"))
        body = (await show(anna, user["avatar_url"])).body
        assert (opened(body).size, b"SECRET" in body) == ((192, 192), False)

    async def test_a_moving_gif_stands_still(self, anna: Person) -> None:
        frames = [Image.new("RGB", (100, 100), colour) for colour in (RED, GREEN)]
        with io.BytesIO() as file:
            frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
            user = await put(anna, Attachment("me.gif", file.getvalue()))
        assert getattr(opened((await show(anna, user["avatar_url"])).body), "n_frames", 1) == 1

    async def test_the_middle_upright_and_without_what_the_phone_noted(self, anna: Person) -> None:
        image = Image.new("RGB", (900, 300), RED)
        image.paste(GREEN, (300, 0, 600, 300))  # the square in the middle
        image.paste((0, 0, 250), (300, 0, 600, 40))  # its upper edge, as it lies
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        exif[0x010E] = "at home, 37.7519N 128.8761E"
        with io.BytesIO() as file:
            image.save(file, "JPEG", exif=exif, comment=b"at home", quality=95)
            user = await put(anna, Attachment("me.jpg", file.getvalue()))
        for size in (64, 192, 512):
            body = (await show(anna, user["avatar_url"], size)).body
            shown = opened(body)
            assert b"at home" not in body and b"EXIF" not in body and not shown.getexif()
            pixels = shown.convert("RGB")
            assert near(pixels.getpixel((size // 2, size // 2)), GREEN)
            assert near(pixels.getpixel((size // 2, 1)), GREEN)
            assert near(pixels.getpixel((size // 2, size - 2)), (0, 0, 250))
            assert near(pixels.getpixel((size // 32, size // 2)), GREEN), "the sides are cut off"

    @pytest.mark.parametrize(
        ("content", "status", "code"),
        [
            (b"just a text", 415, "unsupported_type"),
            (b"<!doctype html><script>alert(1)</script>", 415, "unsupported_type"),
            (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 415, "unsupported_type"),
            (b"%PDF-1.7\n", 415, "unsupported_type"),
            (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 422, "unreadable_image"),
            (picture("PNG", (300, 300))[:60], 422, "unreadable_image"),
            (picture("PNG", (7000, 6000)), 413, "too_many_pixels"),
            (b"", 422, "empty_file"),
        ],
        ids=["text", "html", "svg", "pdf", "broken", "cut", "pixels", "empty"],
    )
    async def test_nothing_else(self, service: Service, anna: Person, content: bytes, status: int, code: str) -> None:
        had = (await put(anna, FACE))["avatar_url"]
        file = Attachment("me.png", content, "image/png")
        answer = await anna.upload_raw("/users/me/avatar", file, field="profile", method="PUT")
        assert answer.status == status, answer.json
        (error,) = answer.json["errors"]
        assert (error["field"], error["code"]) == ("profile", code)
        assert (await anna.get("/users/me"))["avatar_url"] == had
        await only(service, had)

    async def test_nothing_too_large(self, start_service: StartService) -> None:
        service = await start_service(files={"image_max_mib": 0.05})
        anna = await Cast(service).join("Anna")
        file = Attachment("me.png", picture("PNG") + b"\0" * 60_000)
        answer = await anna.upload_raw("/users/me/avatar", file, field="profile", method="PUT")
        assert (answer.status, answer.json["code"]) == (413, "too_large")
        assert answer.json["errors"][0]["field"] == "profile"
        await only(service, None)

    @pytest.mark.parametrize(
        ("files", "field", "code"),
        [((FACE, OTHER_FACE), "profile", "too_many_files"), ((FACE,), "avatar", "unexpected_field")],
        ids=["two", "another field"],
    )
    async def test_one_file_in_its_field(
        self, service: Service, anna: Person, files: tuple[Attachment, ...], field: str, code: str
    ) -> None:
        answer = await anna.upload_raw("/users/me/avatar", *files, field=field, method="PUT")
        assert (answer.status, answer.json["errors"][0]["code"]) == (422, code)
        assert answer.json["errors"][0]["field"] == field
        await only(service, None)

    async def test_no_body_that_is_no_form(self, anna: Person) -> None:
        assert (await anna.raw("PUT", "/users/me/avatar")).status == 400
        assert (await anna.raw("PUT", "/users/me/avatar", {"profile": "x"})).status == 415
        assert (await anna.upload_raw("/users/me/avatar", method="PUT")).status in (400, 422)

    async def test_nothing_of_nobody(self, cast: Cast, service: Service) -> None:
        answer = await cast.anonymous.upload_raw("/users/me/avatar", FACE, field="profile", method="PUT")
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert (await cast.anonymous.raw("DELETE", "/users/me/avatar")).status == 401
        await only(service, None)

    async def test_only_so_many_at_once_and_in_ten_minutes(self, start_service: StartService) -> None:
        service = await start_service(rate_limits="on")
        anna = await Cast(service).join("Anna")
        with contextlib.ExitStack() as turns:
            for _ in range(3):
                turns.enter_context(service.parts.files.turns.turn(anna.id))
            answer = await anna.upload_raw("/users/me/avatar", FACE, field="profile", method="PUT")
            assert (answer.status, answer.json["code"]) == (429, "rate_limited")
        for _ in range(60):
            with contextlib.suppress(Exception):
                await service.parts.throttle.hit("uploads", anna.id)
        answer = await anna.upload_raw("/users/me/avatar", FACE, field="profile", method="PUT")
        assert (answer.status, answer.headers.get("RateLimit-Limit")) == (429, "60")


class TestAnotherPicture:
    async def test_has_another_address_and_the_old_one_is_gone(
        self, cast: Cast, service: Service, anna: Person
    ) -> None:
        first = (await put(anna, FACE))["avatar_url"]
        second = (await put(anna, OTHER_FACE))["avatar_url"]
        assert first != second
        await only(service, second)
        for size in (64, 192, 512):
            for method, known in (("GET", {}), ("HEAD", {}), ("GET", {"If_None_Match": "*"})):
                assert (await show(cast.anonymous, first, size, method=method, **known)).status == 404
        shown = opened((await show(cast.anonymous, second)).body).convert("RGB")
        assert near(shown.getpixel((96, 96)), GREEN)

    async def test_of_many_at_once_one_stays_and_nothing_of_the_others(self, service: Service, anna: Person) -> None:
        users = await asyncio.gather(*(put(anna, each) for each in (FACE, OTHER_FACE) * 3))
        mine = (await anna.get("/users/me"))["avatar_url"]
        assert mine in [user["avatar_url"] for user in users]
        assert len({user["avatar_url"] for user in users}) == 6
        await only(service, mine)

    async def test_none_is_one_too(self, cast: Cast, service: Service, anna: Person) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        for _ in range(2):
            user = await anna.delete("/users/me/avatar", expect=200)
            assert (user["id"], user["avatar_url"]) == (anna.id, None)
        assert (await anna.get("/users/me"))["avatar_url"] is None
        await only(service, None)
        assert (await show(cast.anonymous, address)).status == 404

    async def test_removed_and_set_at_once_is_either(self, service: Service, anna: Person) -> None:
        await put(anna, FACE)
        await asyncio.gather(put(anna, OTHER_FACE), anna.delete("/users/me/avatar", expect=200))
        await only(service, (await anna.get("/users/me"))["avatar_url"])


class TestOthers:
    async def test_hear_of_it_unless_they_are_blocked(
        self, cast: Cast, anna: Person, boris: Person, mallory: Person
    ) -> None:
        ivan = await cast.join("Ivan")
        await cast.befriend(anna, ivan)
        await anna.put(f"/blocks/{ivan.id}")
        ears = [await each.connect("/notifications") for each in (boris, anna)]
        deaf = [(each, await each.connect("/notifications")) for each in (ivan, mallory)]
        user = await put(anna, FACE)
        for ear in ears:
            assert await ear.heard("user_changed") == user
        gone = await anna.delete("/users/me/avatar")
        for ear in ears:
            assert await ear.heard("user_changed") == gone
        await anna.delete("/users/me/avatar")  # a second time is no news
        for person, ear in deaf:
            await deaf_until(ear, person)
        assert [name for name, _ in ears[0].events].count("user_changed") == 2

    async def test_hear_of_nothing_that_was_refused(self, anna: Person, boris: Person) -> None:
        ear = await boris.connect("/notifications")
        text = Attachment("me.png", b"text")
        assert (await anna.upload_raw("/users/me/avatar", text, field="profile", method="PUT")).status == 415
        await deaf_until(ear, boris)

    async def test_see_it_in_rooms_and_beside_messages(self, cast: Cast, anna: Person, boris: Person) -> None:
        room = await cast.direct_room(anna, boris)
        group = await anna.post("/rooms", {"kind": "group", "member_ids": [boris.id]})
        for room_id in (room, group["id"]):
            await anna.post(f"/rooms/{room_id}/messages", draft("before"), expect=201)
        address = (await put(anna, FACE))["avatar_url"]
        listed = {each["id"]: each for each in (await boris.get("/rooms"))["items"]}
        assert (listed[room]["avatar_url"], listed[group["id"]]["avatar_url"]) == (address, None)
        for room_id in (room, group["id"]):
            assert listed[room_id]["last_message"]["sender"]["avatar_url"] == address
            (*_, line) = (await boris.get(f"/rooms/{room_id}/messages"))["items"]
            assert line["sender"]["avatar_url"] == address
        assert (await boris.get("/friends"))["items"][0]["avatar_url"] == address
        assert (await show(boris, address)).status == 200
        assert {each["id"]: each["avatar_url"] for each in (await anna.get("/rooms"))["items"]}[room] is None


class TestTheEnd:
    async def test_of_the_account_is_the_end_of_the_picture(self, cast: Cast, service: Service, anna: Person) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        await anna.delete("/users/me", {"password": anna.password})
        await emptied(service)
        assert (await show(cast.anonymous, address)).status == 404

    async def test_of_the_account_meanwhile_leaves_nothing(
        self, service: Service, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = keeping.Keeping._put

        async def and_then_leave(self: Any, objects: Any) -> None:
            await real(self, objects)
            await anna.delete("/users/me", {"password": anna.password})

        monkeypatch.setattr(keeping.Keeping, "_put", and_then_leave)
        answer = await anna.upload_raw("/users/me/avatar", FACE, field="profile", method="PUT")
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        await only(service, None)

    async def test_between_storing_and_commit_leaves_nothing(
        self, service: Service, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As whoever is killed there leaves it."""
        had = (await put(anna, FACE))["avatar_url"]
        await only(service, had)
        monkeypatch.setattr(keeping, "TO_BE_CLAIMED_WITHIN", timedelta(seconds=-1))
        monkeypatch.setattr(keeping.Keeping, "_take_back", _nothing)
        monkeypatch.setattr(keeping.Kept, "claim", _die)
        answer = await anna.upload_raw("/users/me/avatar", OTHER_FACE, field="profile", method="PUT")
        assert answer.status == 500
        service.parts.outbox.wake()
        await only(service, had)
        assert (await anna.get("/users/me"))["avatar_url"] == had

    async def test_is_what_the_check_finds_of_what_nobody_has(self, service: Service, anna: Person) -> None:
        address = (await put(anna, FACE))["avatar_url"]
        await put(anna, OTHER_FACE)
        mine = (await anna.get("/users/me"))["avatar_url"]
        await only(service, mine)
        findings = await service.parts.files.check.check()
        assert (findings.sound, findings.objects) == (True, 3)
        root, (lost, *_) = Path(service.settings.storage_url), keys_of_avatar(mine.rpartition("/")[2])
        (orphan, *_) = keys_of_avatar(address.rpartition("/")[2])
        (root / orphan).parent.mkdir(exist_ok=True)
        (root / lost).rename(root / orphan)
        long_ago = (now() - 2 * SETTLED).timestamp()
        os.utime(root / orphan, (long_ago, long_ago))
        findings = await service.parts.files.check.check()
        assert (findings.missing, findings.orphans) == ([lost], [orphan])
        left = await service.parts.files.check.repair(findings)
        assert (left.missing, left.orphans) == ([lost], [])

    async def test_leaves_the_outbox_empty(self, service: Service, anna: Person) -> None:
        for _ in range(2):
            await put(anna, FACE)
        await anna.delete("/users/me/avatar")
        await only(service, None)
        async with asyncio.timeout(5):
            while await _waiting(service):
                await asyncio.sleep(0.02)


async def _waiting(service: Service) -> int:
    async with service.parts.database.snapshot() as reads:
        return int((await reads._connection.execute(select(func.count()).select_from(OutboxItem))).scalar_one())


async def _nothing(*_: Any) -> None:
    return


async def _die(*_: Any) -> None:
    raise RuntimeError("killed")
