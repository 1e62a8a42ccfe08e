"""Signing in elsewhere while something else happens to the same person."""

import asyncio

import pytest

from src.db.database import Transaction
from src.db.rows import Row

from .cast import Cast, Service
from .conftest import StartService
from .elsewhere import PROVIDERS, identity
from .test_account_deletion_races import until_somebody_waits


@pytest.fixture
async def service(start_service: StartService) -> Service:
    return await start_service(providers=PROVIDERS)


async def test_nothing_is_linked_any_more_once_signing_out_has_answered(
    cast: Cast, service: Service, database: str
) -> None:
    if database == "sqlite":
        pytest.skip("one transaction at a time")
    anna = await cast.join("Anna")
    sessions = service.parts.sessions
    viewer = await sessions.authenticate(anna.token or "")
    signing_out: list[asyncio.Task[None]] = []

    async def sign_out_meanwhile(_: Transaction, user: Row) -> Row:
        signing_out.append(asyncio.create_task(sessions.end_this(viewer)))
        waiting = asyncio.create_task(until_somebody_waits(service))
        await asyncio.wait({*signing_out, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert not signing_out[0].done()
        return user

    await service.parts.identities.link(viewer.session_id, identity(), sign_out_meanwhile)
    await signing_out[0]
