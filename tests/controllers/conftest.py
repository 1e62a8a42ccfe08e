from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from . import post_office
from .corner_shop import CornerShop, running
from .post_office import PostOffice


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[CornerShop]:
    """A small service over the REST layer, without a database."""
    async with running(tmp_path) as corner_shop:
        yield corner_shop


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    """A small service that takes and gives files."""
    async with post_office.running(tmp_path) as running_office:
        yield running_office
