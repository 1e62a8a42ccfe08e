from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .corner_shop import CornerShop, running


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[CornerShop]:
    """A small service over the REST layer, without a database."""
    async with running(tmp_path) as corner_shop:
        yield corner_shop
