"""A host application's token becomes a session, or one more sign-in method (contract §2 `/auth/exchange`)."""

import hashlib
import json
from datetime import timedelta

from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import NotFound, Unauthorized
from ..oauth.host_tokens import HostTokens
from ..oauth.identity import HostToken
from ..schemas.people import Me, MePatch
from ..viewer import ClientInfo, Viewer
from .claims import usable_nickname
from .entry import Entry
from .identities import Identities
from .people import change
from .sessions import Sessions, Started

LEEWAY = timedelta(minutes=1)
"""A token may be taken a little after it has expired: so long it stays noted that it was."""


class Exchange:
    """`tokens`: what reads the host's tokens; None if none is configured."""

    def __init__(
        self, database: Database, tokens: HostTokens | None, sessions: Sessions, entry: Entry, identities: Identities
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._sessions = sessions
        self._entry = entry
        self._identities = identities

    async def sign_in(self, token: str, client: ClientInfo) -> Started:
        """A new session of the token's subject, whose nickname follows the token's.

        Raises NotFound where no host is configured, Unauthorized for a token that is not one of its, or was redeemed
        before, TokenExpired, EmailOwnedByOtherMethod for a newcomer whose address is an account's.
        """
        read = await self._read(token)

        async def redeem(tx: Transaction, user: Row) -> Row:
            await _redeem(tx, read)
            nickname = usable_nickname(read.identity.nickname)
            return await change(tx, user, MePatch(nickname=nickname)) if nickname else user

        return await self._entry.sign_in(read.identity, client, redeem)

    async def link(self, viewer: Viewer, token: str) -> Me:
        """Make the token's subject a sign-in method of mine.

        Raises ReauthenticationRequired, IdentityTaken, and what `sign_in` raises for the token itself.
        """
        if self._tokens is None:
            raise NotFound
        async with self._database.single_read() as reads:
            await self._sessions.require_recent(reads, viewer.session_id)
        read = await self._read(token)

        async def redeem(tx: Transaction, user: Row) -> Row:
            await _redeem(tx, read)
            return user

        return await self._identities.link(viewer.session_id, read.identity, redeem)

    async def _read(self, token: str) -> HostToken:
        if self._tokens is None:
            raise NotFound
        return await self._tokens.read(token)


async def _redeem(tx: Transaction, token: HostToken) -> None:
    """Raise Unauthorized if a token that names itself came before. With the transaction: refused, it stays usable.

    After the person and the identity, everywhere: who redeems waits for whoever redeems the same.
    """
    if token.token_id is None:
        return
    name = hashlib.sha256(json.dumps([token.identity.issuer, token.token_id]).encode()).hexdigest()
    if not await tx.sign_in_attempts.redeem(name, token.expires_at + LEEWAY):
        raise Unauthorized("This token has been used.")
