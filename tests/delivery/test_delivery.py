"""People chat while the service and its database die: a short run on each database. Any length: `-m tests.delivery`."""

import secrets

import pytest

from .run import deliver

SECONDS = {"sqlite": 15, "postgres": 22}


@pytest.mark.slow
def test_no_promise_is_broken_while_everything_dies(database: str) -> None:
    seed = secrets.randbelow(2**31)
    report = deliver(database, SECONDS[database], seed, pause=(1, 3))
    print(f"{database}: {report}")  # the seed, if it fails
    assert report.faults["kill"] and (database == "sqlite" or report.faults["restart_database"])
    assert report.counts["acked_attempts"] > 100
    assert not report.violations, report
