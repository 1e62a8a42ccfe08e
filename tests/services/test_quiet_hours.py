"""Quiet hours, by the clock on the person's wall: over midnight, and where it is set back or forward."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.services.quiet_hours import end_of_quiet

ZONES = ("Asia/Seoul", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago")


def preferences(quiet_from: str | None, quiet_to: str | None, time_zone: str | None) -> Any:
    return SimpleNamespace(quiet_from=quiet_from, quiet_to=quiet_to, time_zone=time_zone)


def there(zone: str, clock: str, fold: int = 0) -> datetime:
    """The moment at which a clock there shows this."""
    return datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def ends(zone: str, hours: str, clock: str, fold: int = 0) -> str | None:
    """What the clock there shows at the end of the hours that cover a moment, with the offset then."""
    begin, _, end = hours.partition("-")
    found = end_of_quiet(preferences(begin, end, zone), there(zone, clock, fold))
    return found.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes") if found else None


def test_who_has_none_has_none() -> None:
    assert end_of_quiet(None, datetime.now(UTC)) is None
    assert end_of_quiet(preferences(None, None, None), datetime.now(UTC)) is None


def test_a_zone_that_is_no_more_is_no_reason_to_fail() -> None:
    assert end_of_quiet(preferences("00:00", "23:59", "Mars/Olympus"), datetime.now(UTC)) is None


@pytest.mark.parametrize(
    ("zone", "hours", "clock", "end"),
    [
        ("Asia/Seoul", "13:00-14:00", "2026-11-30 12:59", None),
        ("Asia/Seoul", "13:00-14:00", "2026-11-30 13:00", "2026-11-30 14:00+09:00"),
        ("Asia/Seoul", "13:00-14:00", "2026-11-30 14:00", None),
        ("Asia/Seoul", "22:00-07:30", "2026-11-30 21:59", None),
        ("Asia/Seoul", "22:00-07:30", "2026-11-30 22:00", "2026-12-01 07:30+09:00"),
        ("Asia/Seoul", "22:00-07:30", "2026-12-01 07:29", "2026-12-01 07:30+09:00"),
        ("Asia/Seoul", "22:00-07:30", "2026-12-31 23:00", "2027-01-01 07:30+09:00"),
        ("Asia/Seoul", "07:30-07:29", "2026-12-01 07:30", "2026-12-02 07:29+09:00"),
        ("Europe/Berlin", "22:00-07:00", "2026-10-24 23:00", "2026-10-25 07:00+01:00"),
        ("America/New_York", "22:00-07:00", "2026-03-07 23:00", "2026-03-08 07:00-04:00"),
    ],
)
def test_they_end_when_the_clock_says_so(zone: str, hours: str, clock: str, end: str | None) -> None:
    assert ends(zone, hours, clock) == end


def test_where_the_clock_leaps_over_their_end_they_end_with_the_leap() -> None:
    assert ends("Europe/Berlin", "22:00-02:30", "2026-03-29 01:59") == "2026-03-29 03:00+02:00"
    assert ends("America/New_York", "22:00-02:30", "2026-03-08 01:59") == "2026-03-08 03:00-04:00"


def test_where_the_clock_leaps_over_their_begin_they_begin_with_the_leap() -> None:
    assert ends("Europe/Berlin", "02:30-05:00", "2026-03-29 01:59") is None
    assert ends("Europe/Berlin", "02:30-05:00", "2026-03-29 03:00") == "2026-03-29 05:00+02:00"
    assert ends("Europe/Berlin", "02:10-02:50", "2026-03-29 03:00") is None


def test_where_the_clock_shows_their_end_twice_they_end_the_second_time() -> None:
    assert ends("Europe/Berlin", "22:00-02:30", "2026-10-25 01:00") == "2026-10-25 02:30+01:00"
    assert ends("Europe/Berlin", "22:00-02:30", "2026-10-25 02:45", fold=0) == "2026-10-25 02:30+01:00"
    assert ends("Europe/Berlin", "22:00-02:30", "2026-10-25 02:30", fold=1) is None
    assert ends("America/New_York", "22:00-01:30", "2026-11-01 01:40", fold=0) == "2026-11-01 01:30-05:00"


TIMES = st.times().map(lambda time: time.isoformat("minutes"))


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)), TIMES, TIMES, st.sampled_from(ZONES))
@example(datetime(2026, 10, 25, 0, 20), "02:30", "02:10", "Europe/Berlin")
@example(datetime(2026, 10, 25, 0, 50), "02:50", "02:20", "Europe/Berlin")
def test_after_them_it_is_not_quiet(naive: datetime, begin: str, end: str, zone: str) -> None:
    if begin == end:
        return
    moment, chosen = naive.replace(tzinfo=UTC), preferences(begin, end, zone)
    found = end_of_quiet(chosen, moment)
    if found is None:
        return
    assert moment < found <= moment + timedelta(hours=50)
    assert end_of_quiet(chosen, found) is None
    assert end_of_quiet(chosen, found - timedelta(seconds=2)) == found


@given(st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)), TIMES, TIMES)
def test_where_clocks_are_never_set_it_is_quiet_exactly_between_the_two(naive: datetime, begin: str, end: str) -> None:
    if begin == end:
        return
    clock = naive.time().isoformat("seconds")
    between = begin <= clock[:5] < end if begin < end else (clock[:5] >= begin or clock[:5] < end)
    moment = there("Asia/Seoul", naive.isoformat())
    assert (end_of_quiet(preferences(begin, end, "Asia/Seoul"), moment) is not None) == between
