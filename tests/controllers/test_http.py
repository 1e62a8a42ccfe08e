"""What stands around every request: its id, one line of log, failures as problems, headers, CORS."""

from pathlib import Path

import pytest
import structlog

from src import app
from tests.cast import Service

from .corner_shop import ANNA, ORIGIN, SECRET_WORDS, CornerShop, running

AFTER_ALL = ("X-Request-ID", "X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Content-Security-Policy")


class TestHeaders:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/v1/shelves"),
            ("HEAD", "/api/v1/shelves"),
            ("GET", "/api/v1/visits"),
            ("DELETE", "/api/v1/orders/019aa5b0-7d3e-7000-8000-0000000000ff"),
            ("POST", "/api/v1/orders"),
            ("GET", "/api/v1/accidents/any"),
            ("GET", "/nope"),
            ("PUT", "/api/v1/shelves"),
            ("OPTIONS", "/api/v1/shelves"),
        ],
    )
    async def test_every_answer_carries_them(self, shop: CornerShop, method: str, path: str) -> None:
        reply = await shop.ask(method, path)
        for name in AFTER_ALL:
            assert name in reply.headers, name
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert "Python" not in reply.headers["Server"]
        assert "Strict-Transport-Security" not in reply.headers

    async def test_a_public_https_url_asks_for_https_from_then_on(self, tmp_path: Path) -> None:
        async with running(tmp_path, public_url="https://chat.example.com") as shop:
            assert "max-age" in (await shop.ask("GET", "/api/v1/visits")).headers["Strict-Transport-Security"]


class TestRequestId:
    @pytest.mark.parametrize("given", ["abcdefgh", "a" * 64, "019aa5b0-7d3e-7000-8000-0000000000ff"])
    async def test_a_clients_own_id_is_taken_over(self, shop: CornerShop, given: str) -> None:
        reply = await shop.ask("GET", "/nope", headers={"X-Request-ID": given})
        assert reply.headers["X-Request-ID"] == reply.json["request_id"] == given

    @pytest.mark.parametrize("given", ["short", "a" * 65, "with space1", "semi;colon1", "키키키키키키키키"])
    async def test_another_is_replaced(self, shop: CornerShop, given: str) -> None:
        reply = await shop.ask("GET", "/nope", headers={"X-Request-ID": given})
        assert reply.headers["X-Request-ID"] == reply.json["request_id"] != given


class TestAccidents:
    async def test_the_unforeseen_is_a_500_that_says_nothing_of_itself(self, shop: CornerShop) -> None:
        with structlog.testing.capture_logs() as logs:
            reply = await shop.ask("GET", "/api/v1/accidents/any")
        assert (reply.status, reply.json["code"]) == (500, "internal")
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert SECRET_WORDS.encode() not in reply.body
        failures = [line for line in logs if line["log_level"] == "error"]
        assert len(failures) == 1
        assert isinstance(failures[0]["exc_info"], RuntimeError)

    async def test_a_view_that_we_made_wrongly_is_our_fault_and_not_the_callers(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/accidents/own-view")
        assert (reply.status, reply.json["code"]) == (500, "internal")

    async def test_what_takes_too_long_is_unavailable(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/accidents/timeout")
        assert (reply.status, reply.json["code"]) == (503, "unavailable")
        assert int(reply.headers["Retry-After"]) > 0

    async def test_a_cancellation_is_no_answer(self, shop: CornerShop) -> None:
        received = await shop.raw(b"GET /api/v1/accidents/cancelled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert received == b""
        assert (await shop.ask("GET", "/api/v1/visits")).status == 200

    async def test_an_answer_that_breaks_off_ends_the_connection(self, shop: CornerShop) -> None:
        received = await shop.raw(b"GET /api/v1/streams HTTP/1.1\r\nHost: x\r\n\r\n")
        assert received.count(b"HTTP/1.1") == 1
        assert not received.endswith(b"0\r\n\r\n"), "looks like a whole answer"
        assert (await shop.ask("GET", "/api/v1/visits")).status == 200


class TestAccessLog:
    async def test_one_line_tells_the_route_and_the_person_and_nothing_private(self, shop: CornerShop) -> None:
        with structlog.testing.capture_logs() as logs:
            path = "/api/v1/orders/019aa5b0-7d3e-7000-8000-0000000000ff"
            await shop.ask("GET", path + "?token=s3cret", headers={"X-Request-ID": "the-request"})
        (line,) = logs
        assert line.pop("ms") >= 0
        assert line == {
            "event": "request",
            "log_level": "info",
            "method": "GET",
            "route": "/api/v1/orders/{order_id}",
            "status": 422,
            "user_id": str(ANNA),
        }

    async def test_an_unknown_path_is_not_repeated(self, shop: CornerShop) -> None:
        with structlog.testing.capture_logs() as logs:
            await shop.ask("GET", "/reset/s3cret-token")
        assert [line["route"] for line in logs] == ["(none)"]


class TestCors:
    async def test_a_listed_origin_may_read_with_credentials(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/shelves", headers={"Origin": ORIGIN})
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert reply.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Retry-After" in reply.headers["Access-Control-Expose-Headers"]
        assert reply.headers["Vary"] == "Origin"

    async def test_a_refusal_can_be_read_by_the_page_too(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/shelves", headers={"Origin": ORIGIN, "Authorization": None})
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example.com",
            "https://app.example.com.evil.com",
            "https://evil-app.example.com",
            "https://sub.app.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://APP.example.com",
            "null",
            "*",
            "",
        ],
    )
    async def test_another_origin_may_not(self, shop: CornerShop, origin: str) -> None:
        reply = await shop.ask("GET", "/api/v1/shelves", headers={"Origin": origin})
        preflight = await shop.ask(
            "OPTIONS", "/api/v1/orders", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        for answer in (reply, preflight):
            assert not [name for name in answer.headers if name.startswith("Access-Control-Allow")]
            assert answer.headers["Vary"] == "Origin"

    async def test_a_preflight_is_answered_without_a_token(self, shop: CornerShop) -> None:
        reply = await shop.ask(
            "OPTIONS",
            "/api/v1/orders",
            headers={
                "Authorization": None,
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            },
        )
        assert reply.status == 204
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        assert {"Authorization", "Content-Type"} <= set(reply.headers["Access-Control-Allow-Headers"].split(", "))
        assert shop.shop.orders == []

    async def test_a_page_may_send_what_resumable_uploads_need_and_read_what_they_answer(
        self, shop: CornerShop
    ) -> None:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
        allowed = (await shop.ask("OPTIONS", "/api/v1/orders", headers=asked)).headers
        sent = {"Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Defer-Length"}
        assert sent <= set(allowed["Access-Control-Allow-Headers"].split(", "))
        reply = await shop.ask("GET", "/api/v1/visits", headers={"Origin": ORIGIN})
        read = {"Location", "Upload-Offset", "Upload-Length", "Tus-Resumable", "Tus-Version", "Tus-Extension"}
        assert read | {"Tus-Max-Size"} <= set(reply.headers["Access-Control-Expose-Headers"].split(", "))


class TestForgery:
    @pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
    async def test_what_a_foreign_form_can_send_is_refused(self, shop: CornerShop, content_type: str) -> None:
        headers = {"Authorization": None, "Content-Type": content_type}
        reply = await shop.ask("POST", "/api/v1/doors", data=b'{"what":"x"}', headers=headers)
        assert (reply.status, reply.json["code"]) == (415, "unsupported_type")
        assert "Set-Cookie" not in reply.headers

    @pytest.mark.parametrize("origin", ["https://evil.example.com", "null"])
    async def test_a_cookie_does_not_work_from_a_foreign_page(self, shop: CornerShop, origin: str) -> None:
        reply = await shop.ask(
            "POST", "/api/v1/doors", json={"what": "x"}, headers={"Origin": origin, "Cookie": "crumb=x"}
        )
        assert (reply.status, reply.json["code"]) == (403, "forbidden")

    async def test_a_cookie_works_from_our_own_pages_and_from_programs(self, shop: CornerShop) -> None:
        for origin in (ORIGIN, f"http://127.0.0.1:{shop.port}", None):
            headers = {"Origin": origin, "Cookie": "crumb=x"}
            assert (await shop.ask("POST", "/api/v1/doors", json={"what": "x"}, headers=headers)).status == 204


@pytest.mark.one_database
async def test_every_route_of_the_service_answers_with_the_headers(service: Service) -> None:
    document = app.openapi()
    asked = [(method, path) for path, methods in document["paths"].items() for method in methods]
    pages = ("/", "/docs", "/docs/events", "/docs/errors", "/healthz", "/readyz", "/static/docs.css", "/nope")
    for method, path in [*asked, *(("get", page) for page in pages)]:
        url = path.replace("{", "").replace("}", "")
        async with service.http.request(method, url, allow_redirects=False) as response:
            missing = [name for name in AFTER_ALL if name not in response.headers]
            assert missing == [], (method, path)
            assert response.status < 500, (method, path)
            if path.startswith("/api/v1"):
                assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.one_database
async def test_what_socketio_answers_has_one_allowed_origin_and_no_more(service: Service) -> None:
    url = "/socket.io/?EIO=4&transport=polling"
    async with service.http.get(url, headers={"Origin": service.url}) as response:
        assert response.headers.getall("Access-Control-Allow-Origin") == [service.url]
    async with service.http.get(url, headers={"Origin": "https://evil.example.com"}) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
