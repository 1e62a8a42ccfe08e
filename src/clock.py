"""The time, as Chatty keeps it: UTC, in milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_behind = timedelta()


def now() -> datetime:
    """The present moment, aware, in UTC, cut to milliseconds (contract §1): what is stored is what is shown."""
    moment = datetime.now(UTC) - _behind
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@contextmanager
def set_back(by: timedelta) -> Iterator[None]:
    """Let `now` tell an earlier time in the whole process: for the demo, which makes up a history."""
    global _behind  # noqa: PLW0603 - the time is one for all
    before, _behind = _behind, by
    try:
        yield
    finally:
        _behind = before
