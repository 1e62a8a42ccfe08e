"""In by somebody else's word: a verified identity becomes a session of the person whose it is, or of a new one."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.ids import new_id
from ..db.rows import Row
from ..errors import Conflict, EmailOwnedByOtherMethod, EmailTaken
from ..oauth.identity import VerifiedIdentity
from ..viewer import ClientInfo
from .claims import made_up_nickname, usable_email, usable_nickname
from .grants import Grants
from .mails import email_key
from .provider_pictures import ask_for_picture
from .sessions import Sessions, Started

TRIES = 4

Step = Callable[[Transaction, Row], Awaitable[Row]]
"""More to do in the same transaction, with the person's row, which is locked; the row after it."""


class Entry:
    """`wake`: called after a COMMIT that left the outbox a picture to fetch."""

    def __init__(self, database: Database, sessions: Sessions, grants: Grants, wake: Callable[[], None]) -> None:
        self._database = database
        self._sessions = sessions
        self._grants = grants
        self._wake = wake

    async def sign_in(self, identity: VerifiedIdentity, client: ClientInfo, step: Step | None = None) -> Started:
        """A new session of the person whose identity that is; of a new person, if it is nobody's.

        Raises EmailOwnedByOtherMethod if it is nobody's and its address is an account's: an address proves nothing.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._once(identity, client, step)
            except Conflict:  # the same identity, and its address, became somebody's, or nobody's, a moment ago
                continue
        return await self._once(identity, client, step)

    async def _once(self, identity: VerifiedIdentity, client: ClientInfo, step: Step | None) -> Started:
        async with self._database.transaction() as tx:
            known = await self._known(tx, identity)
            user = known or await self._newcomer(tx, identity, client)
            if step:
                user = await step(tx, user)
            started = await self._sessions.begin(tx, user, client)
        if known is None:
            self._wake()
        return started

    async def _known(self, tx: Transaction, identity: VerifiedIdentity) -> Row | None:
        """The person, locked, whose identity that is. Raises Conflict if it was unlinked while we waited."""
        found = await tx.identities.find(identity.provider, identity.issuer, identity.subject)
        if found is None:
            return None
        user = await tx.users.lock(found.user_id)
        still = await tx.identities.find(identity.provider, identity.issuer, identity.subject)
        if user is None or still is None or still.user_id != user.id:
            raise Conflict
        await tx.identities.see(still.id, usable_email(identity.email), self._grants.seal(identity.grant, still.grant))
        return await tx.users.me_row(user.id)

    async def _newcomer(self, tx: Transaction, identity: VerifiedIdentity, client: ClientInfo) -> Row:
        """A new person; with an address of their own only if the provider knows it to be theirs.

        Their picture there follows when it has been fetched.
        """
        email = usable_email(identity.email)
        if email and await tx.users.email_is_taken(email_key(email)):
            raise EmailOwnedByOtherMethod
        user_id = new_id()
        await self._add(tx, user_id, identity, email if identity.email_verified else None, client.language)
        await tx.identities.add(
            user_id,
            provider=identity.provider,
            issuer=identity.issuer,
            subject=identity.subject,
            email=email,
            grant=self._grants.seal(identity.grant),
            moment=now(),
        )
        await ask_for_picture(tx, user_id, identity)
        user = await tx.users.me_row(user_id)
        assert user is not None  # noqa: S101 - added above
        return user

    async def _add(
        self, tx: Transaction, user_id: UUID, identity: VerifiedIdentity, email: str | None, language: str
    ) -> None:
        key, moment = email_key(email) if email else None, now()
        try:
            await tx.users.add(
                user_id,
                email=email,
                email_key=key,
                password_hash=None,
                nickname=usable_nickname(identity.nickname) or made_up_nickname(language),
                language=language,
                moment=moment,
            )
        except EmailTaken as error:  # by who came at the same time
            raise EmailOwnedByOtherMethod from error
        if key:
            await tx.users.verify_email(user_id, key, moment)
