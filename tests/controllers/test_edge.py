"""What each failure is called, for both transports."""

from collections.abc import Iterator

import pytest
from aiohttp import web
from pydantic import ValidationError

from src.controllers.edge import Problem, acknowledgement, explain, headers_of, known_errors, problem
from src.errors import ChattyError, FieldError, Invalid, NotFound, RateLimited, Unavailable

from .corner_shop import Order


def refusal_of(json: str) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Order.model_validate_json(json, strict=True)
    return caught.value


FAILURES = [
    (NotFound(), "not_found", 404),
    (Unavailable(), "unavailable", 503),
    (TimeoutError(), "unavailable", 503),
    (web.HTTPNotFound(), "not_found", 404),
    (web.HTTPMethodNotAllowed("PUT", ["GET"]), "method_not_allowed", 405),
    (web.HTTPRequestEntityTooLarge(1, 2), "too_large", 413),
    (web.HTTPUnsupportedMediaType(), "unsupported_type", 415),
    (web.HTTPBadRequest(), "malformed", 400),
    (web.HTTPExpectationFailed(), "malformed", 400),
    (web.HTTPInternalServerError(), "internal", 500),
    (ValueError("x"), "internal", 500),
    (KeyError("x"), "internal", 500),
    (RecursionError(), "internal", 500),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "internal", 500),
    (MemoryError(), "internal", 500),
]


@pytest.mark.parametrize(("error", "code", "status"), FAILURES, ids=[type(error).__name__ for error, *_ in FAILURES])
def test_every_failure_has_a_code(error: BaseException, code: str, status: int) -> None:
    explained = explain(error)
    assert (explained.code, explained.status) == (code, status)


def test_our_own_words_are_kept() -> None:
    error = NotFound("There is no such room.")
    assert explain(error) is error


def test_what_nobody_foresaw_says_nothing_of_itself() -> None:
    assert "hunter2" not in str(problem(explain(ValueError("hunter2")), "r"))


def test_broken_json_is_malformed_and_a_wrong_shape_invalid() -> None:
    assert explain(refusal_of("{")).code == "malformed"
    error = explain(refusal_of('{"what": 1, "colour": "red"}'))
    assert error.code == "invalid"
    assert [(wrong.field, wrong.code) for wrong in error.errors] == [
        ("what", "string_type"),
        ("colour", "extra_forbidden"),
    ]


def test_the_input_is_not_repeated() -> None:
    assert "hunter2" not in str(problem(explain(refusal_of('{"what": ["hunter2"], "count": "hunter2"}')), "r"))


def test_a_field_name_of_the_callers_making_is_cut() -> None:
    error = explain(refusal_of('{"what": "x", "%s": 1}' % ("y" * 5000)))
    assert len(error.errors[0].field) == 100


def test_a_problem_document_has_exactly_the_contracts_members() -> None:
    assert problem(NotFound(), "the-request") == {
        "type": "/docs/errors#not_found",
        "title": "Not found",
        "status": 404,
        "code": "not_found",
        "detail": "There is nothing here that you may see.",
        "request_id": "the-request",
    }
    full = problem(Invalid(errors=[FieldError("a.0", "blank", "is blank")], retry_after_ms=5), "the-request")
    assert full["errors"] == [{"field": "a.0", "code": "blank", "message": "is blank"}]
    assert full["retry_after_ms"] == 5
    assert set(full) == set(Problem.model_fields)


def test_an_acknowledgement_says_the_same() -> None:
    assert acknowledgement(NotFound()) == {
        "ok": False,
        "error": {"code": "not_found", "detail": "There is nothing here that you may see."},
    }
    limited = acknowledgement(RateLimited(retry_after_ms=1500))
    assert limited["error"]["retry_after_ms"] == 1500


def test_a_limit_is_told_in_whole_seconds_and_never_in_none() -> None:
    assert headers_of(RateLimited(retry_after_ms=1, limit=5)) == {
        "Retry-After": "1",
        "RateLimit-Limit": "5",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "1",
    }
    assert headers_of(Unavailable()) == {"Retry-After": "1"}
    assert headers_of(NotFound()) == {}


def descendants(cls: type[ChattyError]) -> Iterator[type[ChattyError]]:
    for child in cls.__subclasses__():
        yield child
        yield from descendants(child)


def test_no_two_refusals_share_a_code() -> None:
    codes = [error.code for error in known_errors()]
    assert len(codes) == len(set(codes)) == len(list(descendants(ChattyError)))


def test_every_refusal_has_a_sentence() -> None:
    for error in known_errors():
        assert error.default_detail.endswith("."), error
        assert error.title and 400 <= error.status < 600
