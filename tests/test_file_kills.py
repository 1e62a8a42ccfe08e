"""A service that is killed while files come in: a short run. Any length: `-m tests.file_kills`."""

import secrets

import pytest

from .delivery.command import kill_often
from .file_kills import campaign

KILLS = 6


@pytest.mark.slow
@pytest.mark.one_database
def test_nothing_is_lost_or_left_by_who_is_killed(database: str) -> None:
    seed = secrets.randbelow(2**31)
    print(f"{database}: seed {seed}")  # if it fails
    counts = kill_often(campaign, database, KILLS, seed)
    print(dict(counts))
    assert counts["kills"] == KILLS
    assert counts["cut"] and counts["files_acknowledged"] and counts["looks"]
