"""Signing in at a provider: a browser is sent there with a secret, and what it brings back is taken once (RFC 9700)."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from ..clock import now
from ..db.database import Database
from ..errors import NotFound, SignInExpired
from ..oauth.client import OAuthClient
from ..oauth.identity import Attempt, Callback
from ..viewer import ClientInfo
from .entry import Entry
from .identities import Identities
from .sessions import Sessions, Started
from .throttle import Throttle

LASTS = timedelta(minutes=10)


class Underway(NamedTuple):
    """A sign-in that a browser has come back with; used up, perhaps, or begun in another (then not `is_own`).

    `session_id`: who wants to link.
    """

    provider: str
    redirect_to: str
    is_own: bool
    session_id: UUID | None
    attempt: Attempt


class SocialSignIn:
    """`configured`: the names of the providers that may be asked."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        database: Database,
        client: OAuthClient,
        configured: Collection[str],
        sessions: Sessions,
        entry: Entry,
        identities: Identities,
        throttle: Throttle,
    ) -> None:
        self._database = database
        self._client = client
        self._configured = configured
        self._sessions = sessions
        self._entry = entry
        self._identities = identities
        self._throttle = throttle

    def refuse_unknown(self, provider: str) -> None:
        """Raise NotFound unless this provider is configured."""
        if provider not in self._configured:
            raise NotFound("There is no such provider here.")

    async def begin(
        self, provider: str, redirect_to: str, browser: str, client: ClientInfo, session_id: UUID | None
    ) -> str:
        """Where to send this browser; `session_id` is given to link instead of signing in.

        Raises RateLimited, ProviderUnavailable, and for linking Unauthorized and ReauthenticationRequired.
        """
        await self._throttle.hit("sign_in_attempts", client.network)
        attempt = Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
        if session_id:
            async with self._database.single_read() as reads:
                await self._sessions.require_recent(reads, session_id)
        url = await self._client.authorization_url(provider, attempt)
        async with self._database.transaction() as tx:
            await tx.sign_in_attempts.add(
                _hash(attempt.state),
                _hash(browser),
                provider,
                nonce=attempt.nonce,
                verifier=attempt.verifier,
                redirect_to=redirect_to,
                session_id=session_id,
                expires_at=now() + LASTS,
            )
        return url

    async def find(self, provider: str, state: str, browser: str) -> Underway:
        """The sign-in of this state, which began at this provider. Raises SignInExpired if there is none.

        Also of another browser, or of one without cookies: its person, too, is to end on a page that knows what to say.
        """
        async with self._database.snapshot() as reads:
            row = await reads.sign_in_attempts.find(_hash(state), provider)
        if row is None:
            raise SignInExpired
        is_own = hmac.compare_digest(row.browser_hash, _hash(browser))
        return Underway(provider, row.redirect_to, is_own, row.session_id, Attempt(state, row.nonce, row.verifier))

    async def finish(self, underway: Underway, callback: Callback, client: ClientInfo) -> Started | None:
        """A session of whoever has come back; None if they have linked, and keep the session they have.

        Raises SignInExpired for another browser, for the second time and after LASTS; what `OAuthClient.identify`,
        `Entry.sign_in` and `Identities.link` raise.
        """
        if not underway.is_own:
            raise SignInExpired
        async with self._database.transaction() as tx:
            if not await tx.sign_in_attempts.use(_hash(underway.attempt.state), now()):
                raise SignInExpired
        identity = await self._client.identify(underway.provider, callback, underway.attempt)
        if underway.session_id is None:
            return await self._entry.sign_in(identity, client)
        await self._identities.link(underway.session_id, identity)
        return None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
