"""Logs: one structured line per event on standard error, JSON for machines and colours for a terminal.

Never in them: message texts, tokens, e-mail and network addresses. Exceptions are therefore told by their frames, and
their own words only with whatever they quote taken out.
"""

import logging
import re
import sys
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .config import Settings

# Their messages quote code, not people's data.
_ABOUT_CODE = (AttributeError, ImportError, NameError, TypeError, RecursionError)
_ADDRESS = re.compile(r"\S+@\S+|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F:.]*")
_DATA = re.compile(
    r"(?s:\[parameters: .*|\[SQL: .*|DETAIL: .*|input_value=.*)"
    r"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
    r"|\b[\w-]{20,}(?:\.[\w-]+)*|" + _ADDRESS.pattern
)
_MAX_WORDS = 300


def configure(settings: Settings) -> None:
    """Send our logs and the libraries' to standard error in one form; `auto`: console on a terminal, else JSON."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    threshold = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        exception_without_data,
    ]
    render: Processor = structlog.dev.ConsoleRenderer() if console else _as_json
    structlog.configure(
        processors=[*shared, _drop_nothings, render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # a line costs every request
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _without_addresses],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _drop_nothings, render],
        )
    )
    logging.getLogger("aiohttp.server").addFilter(_not_of_a_clients_making)
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # it warns in a client's own words, at each upgrade
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold if threshold == logging.DEBUG else max(threshold, logging.WARNING))
    logging.getLogger(__package__).setLevel(threshold)


def _not_of_a_clients_making(record: logging.LogRecord) -> bool:
    """Bytes that are no HTTP are answered with 400 and are no error of ours; aiohttp would log them whole."""
    return not (record.exc_info and type(record.exc_info[1]).__module__ == "aiohttp.http_exceptions")


def exception_without_data(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by `exception`: the frames of the whole chain, the classes, and words without data."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_told(error))
    return event


def _without_addresses(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["event"] = _ADDRESS.sub("…", str(event["event"]))
    return event


def _told(error: BaseException) -> list[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [*_told(cause), "then:"] if cause else []
    frames = [line.rstrip() for line in traceback.format_tb(error.__traceback__)]
    return [*before, *frames, f"{type(error).__module__}.{type(error).__qualname__}: {words_of(error)}"]


def words_of(error: BaseException) -> str:
    """An exception's message, without what it may quote of people's data."""
    words = str(error)[:_MAX_WORDS]
    return words if isinstance(error, _ABOUT_CODE) else _DATA.sub("…", words)


def _drop_nothings(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return orjson.dumps(event, default=_plain).decode()


def _plain(value: Any) -> str:
    return type(value).__name__ if isinstance(value, BaseException) else str(value)
