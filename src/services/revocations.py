"""Identities that are given up here are given up at their provider too: after COMMIT, through the outbox."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..oauth.client import OAuthClient
from .grants import Grants

REVOKE = "revoke"


class Revocations:
    """`configured`: the providers that can be asked, by name."""

    def __init__(self, database: Database, client: OAuthClient, configured: Mapping[str, Any], grants: Grants) -> None:
        self._database = database
        self._client = client
        self._configured = configured
        self._grants = grants

    async def forget_all(self, tx: Transaction, user_id: UUID) -> None:
        """Take all identities from somebody, whose row is locked. Wake the outbox after COMMIT."""
        for row in await tx.identities.remove(user_id):
            await self._ask_for(tx, row)

    async def forget(self, tx: Transaction, user_id: UUID, provider: str) -> bool:
        """The same for one identity. False if there is none."""
        removed = await tx.identities.remove(user_id, provider)
        for row in removed:
            await self._ask_for(tx, row)
        return bool(removed)

    async def carry_out(self, item: Row) -> None:
        """Do what an outbox row asks for; raises ProviderUnavailable if it is to be tried again.

        Nothing, if the provider is no longer configured, or if they have linked it again meanwhile.
        """
        asked: Mapping[str, Any] = item.payload
        if asked["provider"] not in self._configured:
            return
        async with self._database.single_read() as reads:
            again = await reads.identities.find(asked["provider"], asked["issuer"], asked["subject"])
        if again is None:
            await self._client.revoke(asked["provider"], asked["subject"], self._grants.open(asked["grant"]))

    async def _ask_for(self, tx: Transaction, row: Row) -> None:
        if row.provider in self._configured:
            asked = {"provider": row.provider, "issuer": row.issuer, "subject": row.subject, "grant": row.grant}
            await tx.outbox.add(REVOKE, asked, now())
