"""Files in rooms, through the door: uploaded, sent, shown to whom they were sent, and gone with their message."""

import asyncio
import unicodedata
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from .cast import PATIENCE, Attachment, Cast, Person, Service, draft
from .pictures import opened, picture

LETTER = Attachment("letter.txt", b"Dear Boris", "text/plain")
PHOTO = Attachment("photo.jpg", picture("JPEG", (1200, 800)), "image/jpeg")


@pytest.fixture
async def anna(cast: Cast) -> Person:
    return await cast.join("Anna")


@pytest.fixture
async def boris(cast: Cast, anna: Person) -> Person:
    boris = await cast.join("Boris")
    await cast.befriend(anna, boris)
    return boris


@pytest.fixture
async def mallory(cast: Cast) -> Person:
    return await cast.join("Mallory")


@pytest.fixture
async def room(cast: Cast, anna: Person, boris: Person) -> str:
    return await cast.direct_room(anna, boris)


async def group_of(owner: Person, *others: Person) -> str:
    made = await owner.post("/rooms", {"kind": "group", "name": "us", "member_ids": [each.id for each in others]})
    return str(made["id"])


async def stored_objects(service: Service) -> list[str]:
    return [each.key async for each in service.parts.files.store.list()]


async def emptied(service: Service) -> None:
    """Wait until nothing is stored any more. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        while await stored_objects(service):
            await asyncio.sleep(0.02)


@pytest.mark.both_storages
class TestUploading:
    async def test_answers_what_a_picture_is(self, anna: Person, room: str) -> None:
        (file,) = await anna.upload(room, PHOTO)
        assert (file["kind"], file["content_type"], file["name"]) == ("image", "image/jpeg", "photo.jpg")
        assert (file["width"], file["height"]) == (1200, 800)
        assert file["blurhash"]
        shown = await anna.fetch(file["url"])
        assert shown.status == 200
        assert len(shown.body) == file["size"]
        assert opened(shown.body).size == (1200, 800)
        thumbnail = await anna.fetch(file["thumbnail_url"])
        assert thumbnail.headers["Content-Type"] == "image/webp"
        assert max(opened(thumbnail.body).size) <= 512

    async def test_answers_what_a_document_is(self, anna: Person, room: str) -> None:
        (file,) = await anna.upload(room, LETTER)
        assert file | {"id": "", "url": ""} == {
            "id": "", "kind": "document", "name": "letter.txt", "content_type": "text/plain", "size": 10,
            "width": None, "height": None, "blurhash": None, "url": "", "thumbnail_url": None,
        }  # fmt: skip
        assert (await anna.fetch(file["url"])).body == b"Dear Boris"

    async def test_keeps_the_order_of_several(self, anna: Person, room: str) -> None:
        files = [Attachment(f"{number}.txt", str(number).encode()) for number in range(10)]
        assert [file["name"] for file in await anna.upload(room, *files)] == [file.name for file in files]

    async def test_keeps_a_korean_name_composed(self, anna: Person, room: str) -> None:
        decomposed = unicodedata.normalize("NFD", "휴가 계획.txt")
        (file,) = await anna.upload(room, Attachment(decomposed, b"!"))
        assert file["name"] == "휴가 계획.txt"
        disposition = (await anna.fetch(file["url"])).headers["Content-Disposition"]
        assert "filename*=UTF-8''%ED%9C%B4%EA%B0%80%20%EA%B3%84%ED%9A%8D.txt" in disposition

    async def test_into_a_room_of_others_is_refused(self, mallory: Person, room: str) -> None:
        answer = await mallory.upload_raw(f"/rooms/{room}/files", LETTER)
        assert (answer.status, answer.json["code"]) == (404, "not_found")

    async def test_by_nobody_is_refused(self, cast: Cast, room: str) -> None:
        answer = await cast.anonymous.upload_raw(f"/rooms/{room}/files", LETTER)
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")

    async def test_across_a_block_is_refused(self, anna: Person, boris: Person, room: str) -> None:
        await boris.put(f"/blocks/{anna.id}")
        answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER)
        assert (answer.status, answer.json["code"]) == (403, "blocked")

    async def test_to_who_has_deleted_the_account_is_refused(self, anna: Person, boris: Person, room: str) -> None:
        await boris.delete("/users/me", {"password": boris.password})
        answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER)
        assert (answer.status, answer.json["code"]) == (410, "gone")

    async def test_a_refused_file_refuses_all_and_leaves_nothing(
        self, service: Service, anna: Person, room: str
    ) -> None:
        broken = Attachment("broken.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "image/png")
        answer = await anna.upload_raw(f"/rooms/{room}/files", LETTER, PHOTO, broken)
        assert (answer.status, answer.json["code"]) == (422, "unreadable_image")
        assert answer.json["errors"][0]["field"] == "files.2"
        assert await stored_objects(service) == []
        assert list((service.parts.files.staging.directory).glob("*")) == []

    async def test_html_that_calls_itself_a_picture_is_a_document(self, anna: Person, room: str) -> None:
        page = Attachment("cat.png", b"<!doctype html><script>alert(1)</script>", "image/png")
        (file,) = await anna.upload(room, page)
        assert file["kind"] == "document"
        answer = await anna.fetch(file["url"])
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.both_storages
class TestSending:
    async def test_shows_the_files_to_everybody_in_the_room(self, anna: Person, boris: Person, room: str) -> None:
        ear = await boris.connect()
        await ear.heard("ready")
        message = await anna.send(room, PHOTO, PHOTO)
        assert (message["kind"], message["text"], len(message["files"])) == ("image", None, 2)
        heard = await ear.heard("message_sent")
        assert [file["id"] for file in heard["files"]] == [file["id"] for file in message["files"]]
        for file in heard["files"]:
            assert (await boris.fetch(file["url"])).status == 200
            assert (await boris.fetch(file["thumbnail_url"])).status == 200

    async def test_gives_each_listener_an_address_of_their_own(self, anna: Person, boris: Person, room: str) -> None:
        ears = [await person.connect() for person in (anna, boris)]
        for ear in ears:
            await ear.heard("ready")
        message = await anna.send(room, LETTER)
        heard = [await ear.heard("message_sent") for ear in ears]
        users = [parse_qs(urlsplit(each["files"][0]["url"]).query)["user"] for each in (message, *heard)]
        assert users == [[anna.id], [anna.id], [boris.id]]

    async def test_over_a_socket_is_acknowledged_with_my_address(self, anna: Person, boris: Person, room: str) -> None:
        socket = await anna.connect()
        (file,) = await anna.upload(room, LETTER)
        body = {"room_id": room, "client_id": str(uuid4()), "file_ids": [file["id"]]}
        answer = await socket.call("send_message", body)
        assert answer["ok"], answer
        assert (await anna.fetch(answer["message"]["files"][0]["url"])).body == b"Dear Boris"
        assert (await socket.call("send_message", body))["replayed"]

    @pytest.mark.parametrize(("files", "kind"), [((PHOTO,), "image"), ((LETTER,), "file"), ((PHOTO, LETTER), "file")])
    async def test_calls_a_message_after_what_it_has(self, anna: Person, room: str, files: Any, kind: str) -> None:
        message = await anna.send(room, *files, text="look")
        assert (message["kind"], message["text"]) == (kind, "look")

    async def test_takes_a_blank_text_for_none(self, anna: Person, room: str) -> None:
        assert (await anna.send(room, LETTER, text=" \n"))["text"] is None

    @pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": None, "file_ids": []}])
    async def test_nothing_is_refused(self, anna: Person, room: str, body: Any) -> None:
        answer = await anna.raw("POST", f"/rooms/{room}/messages", {"client_id": str(uuid4()), **body})
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "text")

    async def test_more_than_ten_or_one_twice_is_refused(self, anna: Person, room: str) -> None:
        (file,) = await anna.upload(room, LETTER)
        for ids in ([file["id"]] * 2, [str(uuid4()) for _ in range(11)]):
            answer = await anna.raw("POST", f"/rooms/{room}/messages", draft(file_ids=ids))
            assert (answer.status, answer.json["errors"][0]["field"]) == (422, "file_ids")

    async def test_what_is_anothers_or_of_another_room_is_refused_like_what_does_not_exist(
        self, cast: Cast, anna: Person, boris: Person, room: str
    ) -> None:
        (theirs,) = await boris.upload(room, LETTER)
        (elsewhere,) = await anna.upload(await group_of(anna, boris), LETTER)
        told = []
        for file_id in (theirs["id"], elsewhere["id"], str(uuid4())):
            answer = await anna.raw("POST", f"/rooms/{room}/messages", draft(file_ids=[file_id]))
            assert (answer.status, answer.json["code"]) == (422, "invalid")
            told.append(answer.json["errors"])
        assert told[0] == told[1] == told[2]

    async def test_again_stores_nothing_and_answers_the_files(self, anna: Person, room: str) -> None:
        (file,) = await anna.upload(room, LETTER)
        body = {"client_id": str(uuid4()), "file_ids": [file["id"]]}
        answers = await asyncio.gather(*(anna.raw("POST", f"/rooms/{room}/messages", body) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 201]
        assert {answer.json["message"]["files"][0]["id"] for answer in answers} == {file["id"]}

    async def test_a_file_twice_keeps_it_until_both_are_deleted(
        self, service: Service, anna: Person, boris: Person, room: str
    ) -> None:
        (file,) = await anna.upload(room, LETTER)
        first, second = [
            (await anna.post(f"/rooms/{room}/messages", {"client_id": str(uuid4()), "file_ids": [file["id"]]}))[
                "message"
            ]
            for _ in range(2)
        ]
        await anna.delete(f"/messages/{first['id']}")
        assert (await boris.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).status == 200
        await anna.delete(f"/messages/{second['id']}")
        assert (await boris.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).status == 404
        await emptied(service)


class TestWhoMayFetch:
    async def test_an_unsent_file_is_its_uploaders_alone(
        self, anna: Person, boris: Person, mallory: Person, room: str
    ) -> None:
        (file,) = await anna.upload(room, LETTER)
        address = f"/api/v1/files/{file['id']}"
        assert (await anna.fetch(address, signed_in=True)).status == 200
        for person in (boris, mallory):
            assert (await person.fetch(address, signed_in=True)).status == 404

    async def test_without_token_or_signature_nobody(self, cast: Cast, anna: Person, room: str) -> None:
        message = await anna.send(room, PHOTO)
        for path in (
            f"/api/v1/files/{message['files'][0]['id']}",
            f"/api/v1/files/{message['files'][0]['id']}/thumbnail",
        ):
            assert (await cast.anonymous.fetch(path)).status == 401

    async def test_a_member_with_a_token_or_with_the_address(self, anna: Person, boris: Person, room: str) -> None:
        await anna.send(room, LETTER)
        (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        assert (await boris.fetch(seen["url"])).body == b"Dear Boris"
        assert (await boris.fetch(f"/api/v1/files/{seen['id']}", signed_in=True)).body == b"Dear Boris"

    async def test_a_stranger_not_even_with_the_id(self, mallory: Person, anna: Person, room: str) -> None:
        message = await anna.send(room, LETTER)
        assert (await mallory.fetch(f"/api/v1/files/{message['files'][0]['id']}", signed_in=True)).status == 404

    async def test_an_address_of_one_file_opens_no_other(self, anna: Person, room: str) -> None:
        one, other = [(await anna.send(room, LETTER))["files"][0] for _ in range(2)]
        assert (await anna.fetch(one["url"].replace(one["id"], other["id"]))).status == 401

    async def test_an_address_made_out_to_somebody_else_opens_nothing(
        self, anna: Person, boris: Person, room: str
    ) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        assert (await anna.fetch(file["url"].replace(anna.id, boris.id))).status == 401

    async def test_who_was_removed_from_then_on_nothing(self, anna: Person, boris: Person) -> None:
        room = await group_of(anna, boris)
        message = await anna.send(room, PHOTO)
        (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        assert (await boris.fetch(seen["url"])).status == 200
        await anna.delete(f"/rooms/{room}/members/{boris.id}")
        for address in (seen["url"], seen["thumbnail_url"]):
            assert (await boris.fetch(address)).status == 404
        assert (await boris.fetch(f"/api/v1/files/{message['files'][0]['id']}", signed_in=True)).status == 404

    async def test_who_joins_later_nothing_of_before(self, cast: Cast, anna: Person, boris: Person) -> None:
        clara = await cast.join("Clara")
        await cast.befriend(anna, clara)
        room = await group_of(anna, boris)
        before = (await anna.send(room, LETTER))["files"][0]["id"]
        await anna.post(f"/rooms/{room}/members", {"user_ids": [clara.id]})
        after = (await anna.send(room, LETTER))["files"][0]["id"]
        assert (await clara.fetch(f"/api/v1/files/{before}", signed_in=True)).status == 404
        assert (await clara.fetch(f"/api/v1/files/{after}", signed_in=True)).status == 200

    async def test_who_left_a_direct_room_nothing_of_before(self, anna: Person, boris: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        await boris.post(f"/rooms/{room}/leave")
        assert (await boris.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).status == 404
        assert (await anna.fetch(file["url"])).status == 200

    @pytest.mark.parametrize("who_blocks", ["anna", "boris"])
    async def test_across_a_block_only_ones_own(self, anna: Person, boris: Person, room: str, who_blocks: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        blocker, blocked = (anna, boris) if who_blocks == "anna" else (boris, anna)
        await blocker.put(f"/blocks/{blocked.id}")
        answer = await boris.fetch(f"/api/v1/files/{file['id']}", signed_in=True)
        assert answer.status == 403
        assert b'"blocked"' in answer.body
        assert (await anna.fetch(file["url"])).status == 200

    async def test_in_a_group_a_block_hides_no_file(self, anna: Person, boris: Person) -> None:
        room = await group_of(anna, boris)
        (file,) = (await anna.send(room, LETTER))["files"]
        await boris.put(f"/blocks/{anna.id}")
        assert (await boris.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).status == 200

    async def test_who_deleted_the_account_nothing(self, anna: Person, boris: Person, room: str) -> None:
        (file,) = (await anna.send(room, LETTER))["files"]
        (seen,) = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        await boris.delete("/users/me", {"password": boris.password})
        assert (await boris.fetch(seen["url"])).status == 404
        assert (await anna.fetch(file["url"])).status == 200


@pytest.mark.both_storages
class TestDeletingTheMessage:
    async def test_ends_every_address_at_once_and_empties_the_storage(
        self, service: Service, anna: Person, boris: Person, room: str
    ) -> None:
        message = await anna.send(room, PHOTO, LETTER, text="look")
        seen = (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"]
        deleted = await anna.delete(f"/messages/{message['id']}")
        assert (deleted["files"], deleted["text"]) == ([], None)
        for file in seen:
            assert (await boris.fetch(file["url"])).status == 404
            assert (await anna.fetch(f"/api/v1/files/{file['id']}", signed_in=True)).status == 404
        await emptied(service)

    async def test_takes_them_out_of_gallery_history_and_search(self, anna: Person, boris: Person, room: str) -> None:
        message = await anna.send(room, LETTER, text="the letter")
        await anna.delete(f"/messages/{message['id']}")
        assert (await boris.get(f"/rooms/{room}/files"))["items"] == []
        assert (await boris.get(f"/rooms/{room}/messages"))["items"][-1]["files"] == []
        assert (await boris.get("/search/messages", params={"q": "letter"}))["items"] == []

    async def test_that_has_files_alone_can_be_given_a_text_and_deleted(self, anna: Person, room: str) -> None:
        message = await anna.send(room, LETTER)
        edited = await anna.patch(f"/messages/{message['id']}", {"text": "a caption"})
        assert edited["files"][0]["id"] == message["files"][0]["id"]
        assert len((await anna.get("/search/messages", params={"q": "caption"}))["items"]) == 1
        await anna.delete(f"/messages/{message['id']}")
        assert (await anna.get("/search/messages", params={"q": "caption"}))["items"] == []


class TestTheGallery:
    async def test_shows_the_newest_first_page_by_page(self, anna: Person, boris: Person, room: str) -> None:
        sent = [await anna.send(room, PHOTO, LETTER) for _ in range(3)]
        ids, cursor = [], None
        while True:
            page = await boris.get(f"/rooms/{room}/files", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ids += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert ids == [file["id"] for message in reversed(sent) for file in reversed(message["files"])]

    async def test_shows_where_each_came_from(self, anna: Person, boris: Person, room: str) -> None:
        message = await anna.send(room, LETTER)
        (item,) = (await boris.get(f"/rooms/{room}/files"))["items"]
        assert (item["message_id"], item["seq"], item["created_at"]) == tuple(
            message[name] for name in ("id", "seq", "created_at")
        )
        assert item["sender"]["id"] == anna.id
        assert (await boris.fetch(item["url"])).status == 200

    async def test_of_one_kind(self, anna: Person, room: str) -> None:
        await anna.send(room, PHOTO, LETTER)
        for kind, name in (("image", "photo.jpg"), ("document", "letter.txt")):
            items = (await anna.get(f"/rooms/{room}/files", params={"kind": kind}))["items"]
            assert [item["name"] for item in items] == [name]

    async def test_begins_where_one_may_read(self, cast: Cast, anna: Person, boris: Person) -> None:
        clara = await cast.join("Clara")
        await cast.befriend(anna, clara)
        room = await group_of(anna, boris)
        await anna.send(room, LETTER)
        await anna.post(f"/rooms/{room}/members", {"user_ids": [clara.id]})
        assert (await clara.get(f"/rooms/{room}/files"))["items"] == []

    async def test_of_others_is_not_found(self, mallory: Person, anna: Person, room: str) -> None:
        await anna.send(room, LETTER)
        assert (await mallory.raw("GET", f"/rooms/{room}/files")).status == 404


class TestSearch:
    async def test_finds_by_what_is_attached(self, anna: Person, boris: Person, room: str) -> None:
        await anna.post(f"/rooms/{room}/messages", draft("점심 메뉴"))
        with_image = await anna.send(room, PHOTO, text="점심 사진")
        with_file = await anna.send(room, LETTER, text="점심 편지")
        for has, message in (("image", with_image), ("file", with_file)):
            hits = (await boris.get("/search/messages", params={"q": "점심", "has": has}))["items"]
            assert [hit["message_id"] for hit in hits] == [message["id"]]

    async def test_finds_a_file_by_its_name(self, anna: Person, boris: Person, room: str) -> None:
        message = await anna.send(room, Attachment("분기 보고서.pdf", b"%PDF-1.7"))
        (hit,) = (await boris.get("/search/messages", params={"q": "보고"}))["items"]
        assert hit["message_id"] == message["id"]
        assert "보고서" in hit["snippet"]


class TestCatchingUp:
    async def test_brings_files_with_addresses_of_ones_own(self, anna: Person, boris: Person, room: str) -> None:
        await anna.send(room, LETTER)
        synced = await (await boris.connect()).call("sync", {"rooms": {}})
        (file,) = synced["rooms"][0]["messages"][-1]["files"]
        assert (await boris.fetch(file["url"])).body == b"Dear Boris"
        (last,) = synced["rooms"][0]["room"]["last_message"]["files"]
        assert (await boris.fetch(last["url"])).status == 200

    async def test_a_reaction_is_told_with_addresses_of_ones_own(self, anna: Person, boris: Person, room: str) -> None:
        message = await anna.send(room, LETTER)
        ear = await anna.connect()
        await ear.heard("ready")
        await boris.put(f"/messages/{message['id']}/reactions/👍")
        (file,) = (await ear.heard("message_changed"))["files"]
        assert (await anna.fetch(file["url"])).body == b"Dear Boris"
