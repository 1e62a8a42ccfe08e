"""A failure, explained: any exception in, one refusal out, worded for both transports (contract §1)."""

import math
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, Field, ValidationError

from ..errors import (
    ChattyError,
    FieldError,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TokenExpired,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unexpected,
    UnsupportedType,
)

PROBLEM_TYPE = "/docs/errors#"
MAX_ERRORS = 20
MAX_FIELD = 100
PAUSE_MS = 1000
_BY_STATUS: dict[int, type[ChattyError]] = {
    error.status: error
    for error in (Malformed, Unauthorized, Forbidden, NotFound, MethodNotAllowed, Gone, TooLarge, UnsupportedType)
}


class ProblemField(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(description="dotted path of the field; empty for the whole")
    code: str
    message: str


class Problem(BaseModel):
    """A refusal (RFC 9457). Clients act on `code` and translate it; `detail` is an English sentence for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[ProblemField] = Field(default=[], description="what is wrong with which field; absent if nothing is")
    retry_after_ms: int | None = Field(default=None, description="when to try again; absent if that would not help")


def explain(error: BaseException) -> ChattyError:
    """What to tell the caller about `error`. What nobody foresaw becomes `Unexpected` and says nothing of itself."""
    if isinstance(error, ChattyError):
        return error
    if isinstance(error, ValidationError):
        return invalid(error)
    if isinstance(error, web.HTTPException):
        return _BY_STATUS.get(error.status, Malformed if error.status < 500 else Unexpected)()
    if isinstance(error, HttpProcessingError):
        return Malformed()
    if isinstance(error, TimeoutError):
        return Unavailable(retry_after_ms=PAUSE_MS)
    return Unexpected()


def invalid(error: ValidationError, within: str = "") -> ChattyError:
    """A pydantic refusal as `Malformed` (it was no JSON) or `Invalid`, with what is wrong where; never the input.

    `within` names what was validated where it is one value and no model.
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Malformed("The body is not valid JSON in UTF-8.")
    return Invalid(errors=[_field_error(entry, within) for entry in found[:MAX_ERRORS]])


def _field_error(entry: Any, within: str) -> FieldError:
    path = ".".join(str(part) for part in entry["loc"])[:MAX_FIELD] or within
    return FieldError(path, entry["type"], entry["msg"].removeprefix("Value error, "))


def problem(error: ChattyError, request_id: str) -> dict[str, Any]:
    """The RFC 9457 document of a refusal."""
    cls = type(error)
    head = {"type": PROBLEM_TYPE + cls.code, "title": cls.title, "status": cls.status}
    return {**head, "code": cls.code, "detail": error.detail, "request_id": request_id, **_extras(error)}


def acknowledgement(error: ChattyError) -> dict[str, Any]:
    """The same for a socket: `{"ok": false, "error": {...}}`."""
    return {"ok": False, "error": {"code": error.code, "detail": error.detail, **_extras(error)}}


def _extras(error: ChattyError) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if error.errors:
        extras["errors"] = [field._asdict() for field in error.errors]
    if error.retry_after_ms is not None:
        extras["retry_after_ms"] = error.retry_after_ms
    return extras


def headers_of(error: ChattyError) -> dict[str, str]:
    """The headers that go with a refusal: whom to ask for a token, when to try again (RFC 9110 §11.6.1, §10.2.3)."""
    headers: dict[str, str] = {}
    if error.status == 401:
        expired = isinstance(error, TokenExpired)
        headers["WWW-Authenticate"] = (
            'Bearer realm="chatty", error="invalid_token"' if expired else 'Bearer realm="chatty"'
        )
    if error.status in (429, 503):
        headers["Retry-After"] = seconds = str(math.ceil((error.retry_after_ms or PAUSE_MS) / 1000))
        if isinstance(error, RateLimited):
            headers |= {"RateLimit-Remaining": "0", "RateLimit-Reset": seconds}
            headers |= {"RateLimit-Limit": str(error.limit)} if error.limit else {}
    return headers


def known_errors() -> list[type[ChattyError]]:
    """Every class of refusal there is, by status and code."""
    return sorted(_family(ChattyError), key=lambda error: (error.status, error.code))


def _family(error: type[ChattyError]) -> Iterable[type[ChattyError]]:
    for child in error.__subclasses__():
        yield child
        yield from _family(child)
