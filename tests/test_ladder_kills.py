"""A service that is killed while the ladder is at work: a short run. Any length: `-m tests.ladder_kills`."""

import secrets

import pytest

from .delivery.command import kill_often
from .ladder_kills import campaign

KILLS = 4


@pytest.mark.slow
def test_nobody_is_forgotten_by_who_is_killed(database: str) -> None:
    seed = secrets.randbelow(2**31)
    print(f"{database}: seed {seed}")  # if it fails
    counts = kill_often(campaign, database, KILLS, seed)
    print(dict(counts))
    assert counts["kills"] == KILLS
    assert counts["sent"] and counts["told"] and counts["pending_push"] and counts["pending_email"]
