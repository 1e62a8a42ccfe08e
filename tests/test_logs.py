"""What the logs say, and what they never do."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import TypeAdapter, ValidationError

from src.config import Settings
from src.logs import configure, words_of

from .conftest import plain_logs


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[io.StringIO]:
    """Standard error, with logs as a process in production writes them; everything is put back after."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure(Settings(_env_file=None, data_dir=tmp_path, log_format="json"))
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiohttp.server").filters.clear()
    plain_logs()


def lines(logs: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def test_a_line_is_one_json_object_on_standard_error(logs: io.StringIO) -> None:
    structlog.get_logger("chatty").info("안녕", count=1, nothing=None)
    (line,) = lines(logs)
    assert line.pop("timestamp")
    assert line == {"event": "안녕", "level": "info", "count": 1}


def test_the_request_that_a_line_belongs_to_is_named(logs: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="the-request"):
        structlog.get_logger("chatty").info("x")
        logging.getLogger("sqlalchemy").warning("y")
    assert [line["request_id"] for line in lines(logs)] == ["the-request", "the-request"]


def test_what_is_below_the_level_is_not_written(logs: io.StringIO) -> None:
    structlog.get_logger("chatty").debug("x")
    logging.getLogger("aiohttp").info("y")
    assert lines(logs) == []


def test_an_exception_is_told_by_its_frames_and_its_cause(logs: io.StringIO) -> None:
    private = ("anna@example.com", "'Anna'", "203.0.113.9")
    try:
        try:
            raise KeyError(private[0])
        except KeyError as error:
            raise RuntimeError(f"could not greet {private[1]} from {private[2]}") from error
    except RuntimeError:
        structlog.get_logger("chatty").exception("failed")
    (line,) = lines(logs)
    told = str(line["exception"])
    assert "test_logs.py" in told
    assert told.index("builtins.KeyError: …") < told.index("builtins.RuntimeError: could not greet … from …")
    assert not any(words in told for words in private)


def test_a_library_cannot_leak_an_address(logs: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "203.0.113.9")
    logging.getLogger("aiosmtplib").warning("no such user: anna@example.com via 2001:db8::1")
    told = json.dumps(lines(logs))
    assert not any(private in told for private in ("203.0.113.9", "anna@example.com", "2001:db8::1"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("invalid literal: 'hunter2'"), "invalid literal: …"),
        (KeyError("hunter2"), "…"),
        (RuntimeError("mail to anna@example.com refused"), "mail to … refused"),
        (OSError("cannot connect to 10.0.0.1:5432"), "cannot connect to …:5432"),
        (RuntimeError("bad token eyJhbGciOiJIUzI1NiJ9abcdef.e30.c2ln"), "bad token …"),
        (RuntimeError("NOT NULL failed [SQL: INSERT] [parameters: ('Anna',)]"), "NOT NULL failed …"),
        (RuntimeError("duplicate key\nDETAIL:  Key (email)=(a@b.c) exists"), "duplicate key\n…"),
        (AttributeError("'NoneType' object has no attribute 'id'"), "'NoneType' object has no attribute 'id'"),
    ],
)
def test_an_exceptions_words_are_kept_without_what_they_quote(error: Exception, said: str) -> None:
    assert words_of(error) == said


def test_a_validation_error_does_not_show_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(int).validate_python("hunter2")
    assert "hunter2" not in words_of(caught.value)


def test_bytes_that_are_no_http_are_not_logged(logs: io.StringIO) -> None:
    from aiohttp.http_exceptions import BadHttpMessage

    try:
        raise BadHttpMessage("Authorization: Bearer s3cret")
    except BadHttpMessage:
        logging.getLogger("aiohttp.server").error("Error handling request", exc_info=sys.exc_info())
    assert lines(logs) == []
