"""The time, as Chatty keeps it: UTC, in milliseconds."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC, cut to milliseconds (contract §1): what is stored is what is shown."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
