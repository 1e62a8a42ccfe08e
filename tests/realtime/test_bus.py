"""Events leave a transaction; a listener that fails costs the others nothing."""

import logging

import pytest

from src.realtime.bus import Bus


def test_everyone_hears_the_events_in_order_and_a_failure_stays_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    bus, heard = Bus(), []

    def broken(events: object) -> None:
        raise RuntimeError("broken")

    bus.subscribe(heard.extend)
    bus.subscribe(broken)
    bus.subscribe(heard.extend)
    with caplog.at_level(logging.ERROR):
        bus.publish(["one", "two"])
        bus.publish(["three"])
    assert heard == ["one", "two", "one", "two", "three", "three"]
    assert len(caplog.records) == 2
