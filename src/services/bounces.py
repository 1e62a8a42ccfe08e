"""Addresses that take no mail: nothing that tells of notifications goes there until they are verified anew."""

from collections.abc import Collection

from ..clock import now
from ..db.database import Database
from .mails import email_key


class Bounces:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark(self, addresses: Collection[str]) -> int:
        """Write that mail to these addresses came back; how many of them are somebody's."""
        async with self._database.transaction() as tx:
            return await tx.users.mark_bounced({email_key(address.strip()) for address in addresses}, now())
