"""A service that is killed while digests go out: a short run. Any length: `-m tests.digest_kills`."""

import secrets

import pytest

from .delivery.command import kill_often
from .digest_kills import campaign

KILLS = 4


@pytest.mark.slow
def test_everybody_is_mailed_by_who_is_killed_and_few_once_more(database: str) -> None:
    seed = secrets.randbelow(2**31)
    print(f"{database}: seed {seed}")  # if it fails
    counts = kill_often(campaign, database, KILLS, seed)
    print(dict(counts))
    assert counts["kills"] == KILLS and counts["left_in_work"]
