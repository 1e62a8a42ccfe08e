"""Forgetting what nobody can use any more."""

import asyncio
from datetime import timedelta

import structlog

from ..clock import now
from ..db.database import Database

log = structlog.get_logger("chatty.housekeeping")

EVERY_SECONDS = 3600
KEPT = timedelta(days=30)


class Housekeeping:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Run until cancelled: sweep every hour, first an hour from now."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.sweep()
            except Exception as error:
                log.warning("Sweeping failed; it waits an hour.", error=type(error).__name__)

    async def sweep(self) -> None:
        """Forget expired tokens, and what was over or failed a month ago."""
        moment = now()
        async with self._database.transaction() as tx:
            await tx.email_tokens.sweep(moment)
            await tx.sessions.sweep(moment - KEPT)
            await tx.outbox.sweep(moment - KEPT)
