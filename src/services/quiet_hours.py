"""When quiet hours end: pure, by the clock on the person's wall."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..db.rows import Row

_DAY = timedelta(days=1)


def end_of_quiet(preferences: Row | None, moment: datetime) -> datetime | None:
    """The moment (UTC) at which the quiet hours end that cover `moment`; None outside of them.

    `preferences` is a row of `notification_preferences`: `quiet_from`, `quiet_to`, `time_zone`. Where the clock is set
    back over an end, they end when it is shown the second time; where it is set forward over one, with the leap.
    """
    if preferences is None or not preferences.quiet_from:
        return None
    try:
        zone = ZoneInfo(preferences.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):  # it was there when it was chosen
        return None
    begins, ends = time.fromisoformat(preferences.quiet_from), time.fromisoformat(preferences.quiet_to)
    end = moment
    while later := _end(end, zone, begins, ends):  # one may begin before the last one's end, where clocks are set back
        end = later
    return end if end > moment else None


def _end(moment: datetime, zone: ZoneInfo, begins: time, ends: time) -> datetime | None:
    """The end of the quiet hours of yesterday or today that cover `moment`."""
    today = moment.astimezone(zone).date()
    for day in (today - _DAY, today):
        last_day = day if begins < ends else day + _DAY
        end = _moment(last_day, ends, zone, second=True)
        if _moment(day, begins, zone, second=False) <= moment < end:
            return end
    return None


def _moment(day: date, at: time, zone: ZoneInfo, *, second: bool) -> datetime:
    """When the clock shows this: of two such moments the `second` or the first; where it leaps over it, the leap."""
    first, last = (datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    if first <= last:
        return last if second else first
    offset = last.astimezone(zone).utcoffset()  # before the leap: of a time that does not exist `last` is too early
    while first - last > timedelta(seconds=1):
        middle = last + (first - last) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            last = middle
        else:
            first = middle
    return first.replace(microsecond=0)
