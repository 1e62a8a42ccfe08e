"""Fixtures of the tests of signing in through others; conftest.py has them for all."""

from collections.abc import Iterator

import pytest

from .oidc import Oidc, oidc_provider


@pytest.fixture(scope="session")
def oidc() -> Iterator[Oidc]:
    """One certified OpenID provider for all; people are told apart by their subjects."""
    with oidc_provider() as provider:
        yield provider
