from pathlib import Path

import pytest

from src.images.workshop import Workshop

from .bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Workshop(40))
