"""What the REST layer takes, and what it refuses before any controller is called."""

import asyncio
from uuid import UUID

import pytest

from src.controllers.api import PUBLIC, get, post, routes_of
from src.viewer import Viewer

from .corner_shop import ANNA, CornerShop, Order, Receipt, Shelf, Shop, Street, running

JSON = {"Content-Type": "application/json"}
AN_ID = "019aa5b0-7d3e-7000-8000-0000000000ff"


class TestDeclaring:
    def test_the_registry_knows_every_route_of_a_controller(self) -> None:
        assert [(route.method, route.path, route.access, route.tag) for route in routes_of(Shop)] == [
            ("POST", "/orders", "signed_in", "shop"),
            ("GET", "/shelves", "signed_in", "shop"),
            ("GET", "/orders/{order_id}", "signed_in", "shop"),
            ("DELETE", "/orders/{order_id}", "signed_in", "shop"),
        ]
        assert {route.access for route in routes_of(Street)} == {"public"}

    def test_a_route_without_a_viewer_must_say_that_it_is_public(self) -> None:
        with pytest.raises(TypeError, match="PUBLIC"):

            @get("/x")
            async def nobody(self) -> Receipt:
                """X."""
                raise AssertionError

        with pytest.raises(TypeError, match="PUBLIC"):

            @get("/x", access=PUBLIC)
            async def somebody(self, viewer: Viewer) -> Receipt:
                """X."""
                raise AssertionError

    def test_a_parameter_that_nothing_provides_is_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="neither"):

            @get("/x")
            async def missing(self, viewer: Viewer, name: str) -> Receipt:
                """X."""
                raise AssertionError

    def test_a_path_whose_parameter_nobody_takes_is_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="different things"):

            @get("/x/{name}")
            async def missing(self, viewer: Viewer) -> Receipt:
                """X."""
                raise AssertionError

    def test_two_bodies_are_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="one body is enough"):

            @post("/x")
            async def two(self, viewer: Viewer, body: Order, more: Order) -> Receipt:
                """X."""
                raise AssertionError

    def test_a_route_without_words_is_refused_at_import(self) -> None:
        with pytest.raises(TypeError, match="docstring"):

            @get("/x")
            async def silent(self, viewer: Viewer, query: Shelf) -> Receipt:
                raise AssertionError


class TestBodies:
    async def test_a_valid_body_reaches_the_controller(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", json={"what": "김밥", "count": 3})
        assert (reply.status, reply.json) == (201, {"what": "김밥", "count": 3})
        assert reply.headers["Content-Type"] == "application/json"
        assert shop.shop.orders == [Order(what="김밥", count=3)]

    async def test_an_answer_may_choose_another_success(self, shop: CornerShop) -> None:
        assert (await shop.ask("POST", "/api/v1/orders", json={"what": "x", "count": 2})).status == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\xff\xfe",
            b"\xef\xbb\xbf" + b'{"what":"x"}',
            b'{"what":"\xff"}',
            b'{"what":"x"',
            b'{"what":"\\ud800"}',
            b'{"what":"x","count":' + b"9" * 5000 + b"}",
            b'{"what":' + b"[" * 30_000,
            "{'what':'x'}".encode("utf-16"),
        ],
        ids=["empty", "no UTF-8", "BOM", "bad text", "cut off", "lone surrogate", "huge number", "depth", "UTF-16"],
    )
    async def test_bytes_that_are_no_json_are_malformed(self, shop: CornerShop, body: bytes) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=body, headers=JSON)
        assert (reply.status, reply.json["code"]) == (400, "malformed")
        assert shop.shop.orders == []

    @pytest.mark.parametrize(
        "body",
        [
            b"[]",
            b"null",
            b'"x"',
            b"{}",
            b'{"what":"x","extra":1}',
            b'{"what":1}',
            b'{"what":"x","count":"1"}',
            b'{"what":"x","count":true}',
            b'{"what":"x","count":1.0}',
            b'{"what":"x","count":NaN}',
            b'{"what":"x","count":1e999}',
            b'{"what":"x","count":9223372036854775808}',
            b'{"what":"x","count":0}',
            b'{"what":"a\\u0000b"}',
            b'{"what":"x","for_whom":"nobody"}',
            b'{"what":"%s"}' % (b"x" * 21),
        ],
    )
    async def test_json_of_another_shape_is_invalid(self, shop: CornerShop, body: bytes) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=body, headers=JSON)
        assert (reply.status, reply.json["code"]) == (422, "invalid")
        assert reply.json["errors"]
        assert shop.shop.orders == []

    async def test_a_refusal_names_the_field_and_not_what_was_in_it(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", json={"what": "x", "count": "hunter2"})
        assert reply.json["errors"] == [
            {"field": "count", "code": "int_type", "message": "Input should be a valid integer"}
        ]
        assert b"hunter2" not in reply.body

    async def test_a_thousand_faults_make_a_short_answer(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", json={f"field{number}": 1 for number in range(1000)})
        assert reply.status == 422
        assert len(reply.json["errors"]) == 20

    async def test_nul_hidden_behind_an_escape_of_an_escape_is_just_text(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=rb'{"what":"a\\u0000b"}', headers=JSON)
        assert (reply.status, reply.json["what"]) == (201, r"a\u0000b")

    async def test_decomposed_hangul_is_composed(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", json={"what": "\u1100\u1161"})
        assert reply.json["what"] == "가"

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/jsonx",
            "nonsense",
            None,
        ],
    )
    async def test_another_content_type_is_refused(self, shop: CornerShop, content_type: str | None) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        skip = {} if content_type else {"skip_auto_headers": ["Content-Type"]}
        reply = await shop.ask("POST", "/api/v1/orders", data=b'{"what":"x"}', headers=headers, **skip)
        assert (reply.status, reply.json["code"]) == (415, "unsupported_type")
        assert shop.shop.orders == []

    @pytest.mark.parametrize("content_type", ["application/json; charset=UTF-8", "Application/JSON"])
    async def test_json_may_be_spelt_out(self, shop: CornerShop, content_type: str) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=b'{"what":"x"}', headers={"Content-Type": content_type})
        assert reply.status == 201

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity"])
    async def test_an_encoded_body_is_refused_and_not_inflated(self, shop: CornerShop, encoding: str) -> None:
        reply = await shop.ask(
            "POST", "/api/v1/orders", data=b"\x1f\x8b", headers={**JSON, "Content-Encoding": encoding}
        )
        assert (reply.status, reply.json["code"]) == (415, "unsupported_type")

    async def test_a_body_over_64_kib_is_too_large(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=b" " * (64 * 1024 + 1), headers=JSON)
        assert (reply.status, reply.json["code"]) == (413, "too_large")

    async def test_a_body_in_chunks_is_counted_too(self, shop: CornerShop) -> None:
        head = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\nConnection: close\r\n"
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        received = await shop.raw(
            head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 5 + b"0\r\n\r\n"
        )
        assert received.startswith(b"HTTP/1.1 413")

    async def test_exactly_64_kib_are_read(self, shop: CornerShop) -> None:
        body = b'{"what":"x"}'
        reply = await shop.ask("POST", "/api/v1/orders", data=body + b" " * (64 * 1024 - len(body)), headers=JSON)
        assert reply.status == 201

    async def test_broken_chunks_are_malformed(self, shop: CornerShop, monkeypatch: pytest.MonkeyPatch) -> None:
        # aiohttp does not tell a reader of chunks that break after the first: only the limit of time ends the wait.
        monkeypatch.setattr("src.controllers.parsing.BODY_SECONDS", 0.2)
        head = (
            b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert (await shop.raw(head + b"zz\r\n\r\n")).split()[1] == b"400"
        assert (await shop.raw(head, b"2\r\n{}", b"\r\nzz\r\n", until=b'"}')).split()[1] == b"400"
        assert shop.shop.orders == []

    async def test_a_body_that_never_ends_is_given_up(self, shop: CornerShop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("src.controllers.parsing.BODY_SECONDS", 0.05)
        received = await shop.raw(
            b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            until=b'"}',
        )
        assert received.startswith(b"HTTP/1.1 400")
        assert b"in time" in received

    async def test_an_optional_body_may_be_absent(self, shop: CornerShop) -> None:
        assert (await shop.ask("DELETE", f"/api/v1/orders/{AN_ID}")).status == 204
        assert shop.shop.orders == []
        reply = await shop.ask("DELETE", f"/api/v1/orders/{AN_ID}", json={"what": "x"})
        assert (reply.status, shop.shop.orders) == (204, [Order(what="x")])
        assert (await shop.ask("DELETE", f"/api/v1/orders/{AN_ID}", json={"extra": 1})).status == 422

    async def test_a_service_that_was_refused_something_goes_on(self, shop: CornerShop) -> None:
        for body in (b"\xff", b"[" * 60_000, b"x" * 70_000):
            assert (await shop.ask("POST", "/api/v1/orders", data=body, headers=JSON)).status in (400, 413)
        assert (await shop.ask("POST", "/api/v1/orders", json={"what": "x"})).status == 201


class TestQueriesAndPaths:
    async def test_a_query_has_its_defaults(self, shop: CornerShop) -> None:
        assert (await shop.ask("GET", "/api/v1/shelves")).json == {"what": "None False", "count": 50}

    async def test_a_query_is_read_by_its_model(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", f"/api/v1/shelves?limit=7&near={AN_ID}&open=1")
        assert reply.json == {"what": f"{AN_ID} True", "count": 7}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=", "limit"),
            ("limit=5.0", "limit"),
            ("limit=+5", "limit"),
            ("limit=%2B5", "limit"),
            ("limit=1_0", "limit"),
            ("limit=05", "limit"),
            ("limit=%EF%BC%95", "limit"),
            ("limit=5&limit=5", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("near=%7B" + AN_ID + "%7D", "near"),
            ("near=" + AN_ID.replace("-", ""), "near"),
            ("near=%00", "near"),
            ("near=%FF", "near"),
            ("open=maybe", "open"),
            ("page=1", "page"),
            ("foo", "foo"),
        ],
    )
    async def test_what_the_query_does_not_know_is_refused(self, shop: CornerShop, query: str, field: str) -> None:
        received = await shop.raw(
            f"GET /api/v1/shelves?{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer anna\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        assert received.startswith(b"HTTP/1.1 422"), received
        assert f'"field":"{field}"'.encode() in received

    async def test_a_route_without_a_query_refuses_one(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/names/anna?x=1")
        assert (reply.status, reply.json["errors"][0]["field"]) == (422, "x")

    @pytest.mark.parametrize("bad", ["nobody", "1", "%00", "%FF", AN_ID + "0", "null", "%20"])
    async def test_a_malformed_id_is_invalid(self, shop: CornerShop, bad: str) -> None:
        reply = await shop.ask("GET", f"/api/v1/orders/{bad}")
        assert (reply.status, reply.json["errors"][0]["field"]) == (422, "order_id")

    async def test_an_id_in_capitals_is_the_same_id(self, shop: CornerShop) -> None:
        assert (await shop.ask("GET", f"/api/v1/orders/{AN_ID.upper()}")).status == 404

    async def test_a_path_may_speak_korean(self, shop: CornerShop) -> None:
        assert (await shop.ask("GET", "/api/v1/names/홍길동")).json == {"what": "홍길동", "count": 3}

    async def test_nul_in_a_path_is_invalid(self, shop: CornerShop) -> None:
        assert (await shop.ask("GET", "/api/v1/names/a%00b")).status == 422

    @pytest.mark.parametrize(
        "target", [b"/api/v1/names/\xff\xfe", b"/api/v1/names/%ED%A0%80", b"/\xff", b"/%zz", b"/api/v1/names/%", b"*"]
    )
    async def test_bytes_that_are_no_path_never_break_the_service(self, shop: CornerShop, target: bytes) -> None:
        received = await shop.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert received.split(b" ")[1][:1] in (b"2", b"4"), received
        assert (await shop.ask("GET", "/api/v1/names/anna")).status == 200


class TestStrangeRequests:
    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            (b"FOO /api/v1/shelves HTTP/1.1", b"400"),
            (b"TRACE /api/v1/shelves HTTP/1.1", b"405"),
            (b"GET /api/v1/visits HTTP/1.1\r\nExpect: nonsense", b"417"),
            (b"GET /api/v1/visits HTTP/1.1\r\nExpect: 100-continue", b"100"),
            (b"GET /api/v1/visits HTTP/1.1\r\nUpgrade: h2c", b"200"),
            (b"GET /api/v1/visits HTTP/9.9", b"400"),
            (b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"400"),
            (b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 9000, b"400"),
            (b"POST /api/v1/doors HTTP/1.1\r\nContent-Length: -1", b"400"),
            (b"POST /api/v1/doors HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", b"400"),
            (b"\x16\x03\x01\x02\x00\x01", b"400"),
        ],
    )
    async def test_each_is_answered_and_the_service_goes_on(
        self, shop: CornerShop, lines: bytes, status: bytes
    ) -> None:
        received = await shop.raw(lines + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert received.split(b" ", 2)[1] == status, received
        assert b"Traceback" not in received
        assert (await shop.ask("GET", "/api/v1/visits")).status == 200


class TestWhoIsAsking:
    @pytest.mark.parametrize(
        "header",
        [None, "", "Bearer", "Bearer ", "Basic anna", "anna", "Bearer wrong", "Bearer " + "a" * 5000, "Bearer \xff"],
    )
    async def test_without_a_good_token_nobody_is_signed_in(self, shop: CornerShop, header: str | None) -> None:
        reply = await shop.ask("GET", "/api/v1/shelves", headers={"Authorization": header})
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="chatty"'

    async def test_bytes_in_a_token_are_no_accident(self, shop: CornerShop) -> None:
        received = await shop.raw(
            b"GET /api/v1/shelves HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
        )
        assert received.startswith((b"HTTP/1.1 401", b"HTTP/1.1 400"))

    async def test_an_expired_token_says_so(self, shop: CornerShop) -> None:
        reply = await shop.ask("GET", "/api/v1/shelves", headers={"Authorization": "Bearer old"})
        assert (reply.status, reply.json["code"]) == (401, "token_expired")
        assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]

    async def test_the_scheme_is_read_without_case(self, shop: CornerShop) -> None:
        assert (await shop.ask("GET", "/api/v1/shelves", headers={"Authorization": "bearer anna"})).status == 200

    async def test_a_cookie_or_a_query_never_authenticates(self, shop: CornerShop) -> None:
        headers = {"Authorization": None, "Cookie": "Authorization=Bearer anna; token=anna; access_token=anna"}
        assert (await shop.ask("GET", "/api/v1/shelves", headers=headers)).status == 401
        reply = await shop.ask("GET", "/api/v1/shelves?access_token=anna", headers={"Authorization": None})
        assert reply.status == 401

    async def test_a_stranger_does_not_learn_what_would_have_been_valid(self, shop: CornerShop) -> None:
        for body in (b"\xff", b"{}", b'{"what":"x"}'):
            reply = await shop.ask("POST", "/api/v1/orders", data=body, headers={"Authorization": None, **JSON})
            assert reply.status == 401

    async def test_a_client_is_known_by_address_language_and_agent(self, shop: CornerShop) -> None:
        headers = {"User-Agent": "x" * 1000, "Accept-Language": "fr, en;q=0.8, ko;q=0.7", "X-Forwarded-For": "10.9.9.9"}
        reply = await shop.ask("GET", "/api/v1/visits", headers=headers)
        assert reply.json == {"address": "127.0.0.1", "language": "en", "user_agent": "x" * 300}

    async def test_bytes_in_a_user_agent_are_left_out(self, shop: CornerShop) -> None:
        received = await shop.raw(
            b"GET /api/v1/visits HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUser-Agent: a\xff\x80\tb\r\n\r\n"
        )
        assert b'"user_agent":"ab"' in received

    async def test_a_trusted_proxy_says_who_it_speaks_for(self, tmp_path: object) -> None:
        async with running(tmp_path, trusted_proxies=["127.0.0.0/8"]) as shop:
            reply = await shop.ask("GET", "/api/v1/visits", headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.7"})
            assert reply.json["address"] == "203.0.113.7"
            assert shop.throttle.asked == [("visits", "203.0.113.7")]


class TestLimits:
    async def test_a_person_is_counted_before_the_body_is_read(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/orders", data=b"\xff", headers=JSON)
        assert reply.status == 400
        assert shop.throttle.asked == [("requests", str(ANNA)), ("orders", str(ANNA))]

    async def test_a_public_route_counts_addresses(self, shop: CornerShop) -> None:
        await shop.ask("GET", "/api/v1/visits")
        assert shop.throttle.asked == [("visits", "127.0.0.1")]

    async def test_too_many_are_told_when_to_come_back(self, shop: CornerShop) -> None:
        shop.throttle.allowed["orders"] = 1
        assert (await shop.ask("POST", "/api/v1/orders", json={"what": "x"})).status == 201
        reply = await shop.ask("POST", "/api/v1/orders", json={"what": "x"})
        assert (reply.status, reply.json["code"], reply.json["retry_after_ms"]) == (429, "rate_limited", 2500)
        assert reply.headers["Retry-After"] == "3"
        limits = {name: value for name, value in reply.headers.items() if name.startswith("RateLimit-")}
        assert limits == {"RateLimit-Limit": "20", "RateLimit-Remaining": "0", "RateLimit-Reset": "3"}
        assert len(shop.shop.orders) == 1


class TestAnswers:
    async def test_a_cookie_is_out_of_reach_of_scripts(self, shop: CornerShop) -> None:
        reply = await shop.ask("POST", "/api/v1/doors", json={"what": "x"})
        assert reply.status == 204
        assert reply.body == b""
        cookie = reply.headers["Set-Cookie"]
        for part in ("crumb=x", "HttpOnly", "Secure", "SameSite=Strict", "Path=/api/v1/doors", "Max-Age=60"):
            assert part in cookie

    async def test_head_is_get_without_a_body(self, shop: CornerShop) -> None:
        reply = await shop.ask("HEAD", "/api/v1/shelves")
        assert (reply.status, reply.body) == (200, b"")
        assert int(reply.headers["Content-Length"]) > 0

    async def test_an_unknown_path_is_a_problem(self, shop: CornerShop) -> None:
        for path in ("/nope", "/api/v1/nope", "/api/v2/shelves", "/api/v1/shelves/"):
            reply = await shop.ask("GET", path)
            assert (reply.status, reply.json["code"]) == (404, "not_found")

    async def test_an_unknown_method_is_a_problem_that_names_the_others(self, shop: CornerShop) -> None:
        reply = await shop.ask("PUT", "/api/v1/shelves")
        assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
        assert reply.headers["Allow"] == "GET,HEAD"

    async def test_many_at_once_do_not_mix(self, shop: CornerShop) -> None:
        asked = [f"name{number}" for number in range(50)]
        replies = await asyncio.gather(*(shop.ask("GET", f"/api/v1/names/{name}") for name in asked))
        assert [reply.json["what"] for reply in replies] == asked
        assert len({UUID(reply.headers["X-Request-ID"]) for reply in replies}) == 50
