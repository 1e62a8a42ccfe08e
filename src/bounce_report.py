"""`chatty bounced`, for the bounce script of a mail server: addresses that take no mail."""

import asyncio
from collections.abc import Collection

import typer

from .config import Settings
from .db.database import Database
from .services.bounces import Bounces


def mark(settings: Settings, addresses: Collection[str]) -> None:
    """Mark these addresses, and print how many of them are known."""
    known = asyncio.run(_mark(settings, addresses))
    typer.echo(f"{known} of {len(set(addresses))} known and marked: no digests go there until they are verified anew.")


async def _mark(settings: Settings, addresses: Collection[str]) -> int:
    database = Database(settings.database_url, lambda events: None)
    try:
        return await Bounces(database).mark(addresses)
    finally:
        await database.close()
