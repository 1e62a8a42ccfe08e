"""The REST contract as a document: true to the registry, valid, and complete."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from src import app
from src.controllers.api import PREFIX, Route, routes_of
from src.controllers.openapi import openapi_document

from .corner_shop import Shop, Street
from .post_office import Counters, Hatch

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return app.openapi()


@pytest.fixture(scope="module")
def shop_document() -> Json:
    return openapi_document([Shop, Street])


@pytest.fixture(scope="module")
def office_document() -> Json:
    return openapi_document([Counters, Hatch])


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def all_routes() -> list[Route]:
    return [route for controller in app.CONTROLLERS for route in routes_of(controller)]


def test_it_is_valid_openapi_3_1(document: Json, shop_document: Json, office_document: Json) -> None:
    for each in (document, shop_document, office_document):
        assert each["openapi"].startswith("3.1")
        assert [str(error) for error in OpenAPIV31SpecValidator(each).iter_errors()] == []


def test_every_route_is_described_and_nothing_else(document: Json) -> None:
    described = {(method, path) for path, method, _ in operations(document)}
    assert described == {(route.method, PREFIX + route.path) for route in all_routes()}
    assert len(described) >= 25


def test_operation_ids_are_unique_and_every_operation_has_words(document: Json) -> None:
    ids = [operation["operationId"] for *_, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(operation["summary"].endswith(".") for *_, operation in operations(document))


def test_what_needs_a_token_says_so(document: Json) -> None:
    public = {(route.method, PREFIX + route.path) for route in all_routes() if route.access == "public"}
    for path, method, operation in operations(document):
        signed_in = (method, path) not in public
        by_address = path.startswith(f"{PREFIX}/files/")
        assert operation["security"] == ([{"bearer": []}] if signed_in else [{"bearer": []}, {}] if by_address else [])
        assert not signed_in or "401" in operation["responses"]


def test_every_refusal_is_a_problem_with_an_example_of_its_code(document: Json) -> None:
    for name, response in document["components"]["responses"].items():
        content = response["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert set(content["examples"]) == set(name.split("-or-"))
        for code, example in content["examples"].items():
            assert example["value"]["code"] == code
    assert {"Retry-After", "RateLimit-Reset"} <= set(document["components"]["responses"]["rate_limited"]["headers"])


def test_a_query_is_described_parameter_by_parameter(shop_document: Json) -> None:
    operation = shop_document["paths"]["/api/v1/shelves"]["get"]
    assert {parameter["name"]: parameter["schema"].get("type") for parameter in operation["parameters"]} == {
        "limit": "integer",
        "near": "string",
        "open": "boolean",
    }
    limit = operation["parameters"][0]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 50)
    assert "Shelf" not in shop_document["components"]["schemas"]


def test_a_body_is_closed_to_unknown_fields(shop_document: Json) -> None:
    schema = shop_document["components"]["schemas"]["Order"]
    assert (schema["additionalProperties"], schema["required"]) == (False, ["what"])
    paths = shop_document["paths"]
    assert paths["/api/v1/orders"]["post"]["requestBody"]["required"] is True
    assert paths["/api/v1/orders/{order_id}"]["delete"]["requestBody"]["required"] is False


def test_every_success_is_described_with_its_body(shop_document: Json) -> None:
    order = shop_document["paths"]["/api/v1/orders"]["post"]
    assert order["description"] == "What is ordered twice is delivered once."
    assert order["responses"]["200"]["description"] == "It was ordered before."
    for status in ("200", "201"):
        schema = order["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Receipt"}
    assert "content" not in shop_document["paths"]["/api/v1/orders/{order_id}"]["delete"]["responses"]["204"]


def test_generic_pages_have_names_that_read(document: Json) -> None:
    names = document["components"]["schemas"]
    assert "FriendPage" in names
    assert not [name for name in names if name.endswith("_")]


def test_a_form_is_described_field_by_field(office_document: Json) -> None:
    def form(path: str, method: str) -> Json:
        body = office_document["paths"][path][method]["requestBody"]
        assert (body["required"], list(body["content"])) == (True, ["multipart/form-data"])
        schema: Json = body["content"]["multipart/form-data"]["schema"]
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
        return schema

    binary = {"type": "string", "format": "binary"}
    parcels = form("/api/v1/parcels", "post")
    assert parcels["properties"] == {"files": {"type": "array", "items": binary, "minItems": 1, "maxItems": 3}}
    assert parcels["required"] == ["files"]
    assert form("/api/v1/portrait", "put")["properties"] == {"profile": binary}
    book = form("/api/v1/books", "post")
    assert list(book["properties"]) == ["cover", "pages"]
    assert (book["minProperties"], "required" in book) == (1, False)


def test_the_refusals_of_a_form_are_listed(office_document: Json) -> None:
    responses = office_document["paths"]["/api/v1/parcels"]["post"]["responses"]
    assert {"201", "400", "401", "413", "415", "422", "429", "507"} <= set(responses)
    assert responses["507"] == {"$ref": "#/components/responses/storage_full"}


def test_a_protocol_of_headers_and_bytes_is_described(document: Json) -> None:
    paths = document["paths"]
    begin, go_on = paths["/api/v1/rooms/{room_id}/uploads"]["post"], paths["/api/v1/uploads/{upload_id}"]["patch"]
    headers = {each["name"]: each["required"] for each in begin["parameters"] if each["in"] == "header"}
    assert headers == {"Tus-Resumable": True, "Upload-Length": True, "Upload-Metadata": False}
    assert {"Location", "Upload-Offset", "Upload-Expires"} <= set(begin["responses"]["201"]["headers"])
    assert {"400", "404", "409", "410", "412", "413", "415", "507"} <= set(go_on["responses"])
    binary = {"application/offset+octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    assert go_on["requestBody"] == {"required": True, "content": binary}
    assert begin["requestBody"] == {"required": False, "content": binary}


@pytest.mark.parametrize("path", ["/api/v1/files/{file_id}", "/api/v1/files/{file_id}/thumbnail"])
def test_who_asks_for_a_file_may_be_refused_as_with_a_token_elsewhere(document: Json, path: str) -> None:
    responses = document["paths"][path]["get"]["responses"]
    assert responses["401"] == document["paths"]["/api/v1/users/me"]["get"]["responses"]["401"]
    assert {"403", "404", "410", "429"} <= responses.keys()


def test_bytes_that_go_out_are_described_with_every_way_to_get_them(office_document: Json) -> None:
    responses = office_document["paths"]["/api/v1/things/{name}"]["get"]["responses"]
    binary = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    assert responses["200"]["content"] == responses["206"]["content"] == binary
    assert "Content-Range" in responses["206"]["headers"]
    for status in ("302", "304", "416"):
        assert "content" not in responses[status]
