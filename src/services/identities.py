"""My sign-in methods at others: linked and unlinked from the settings, never by an address (contract §3)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..db.views import me_view
from ..errors import LastSignInMethod, NotFound, Unauthorized
from ..oauth.identity import VerifiedIdentity
from ..schemas.people import Me
from ..viewer import Viewer
from .claims import usable_email
from .entry import Step
from .grants import Grants
from .mails import MAIL, About, mail_about_method
from .revocations import Revocations
from .sessions import Sessions


class Identities:
    """`methods`: what can be signed in with, and what people call it. `wake`: called after a COMMIT that left work."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        database: Database,
        sessions: Sessions,
        grants: Grants,
        revocations: Revocations,
        methods: Mapping[str, str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._grants = grants
        self._revocations = revocations
        self._methods = methods
        self._wake = wake

    async def link(self, session_id: UUID, identity: VerifiedIdentity, step: Step | None = None) -> Me:
        """Link an identity to the person of a session; nothing changes if it is linked to them already.

        Raises Unauthorized if the session has ended; IdentityTaken if it is another's, or if they have one of its kind.
        """
        async with self._database.transaction() as tx:
            user = await self._locked_owner(tx, session_id)
            if not await self._is_linked(tx, user, identity):
                await self._add(tx, user, identity)
            if step:
                await step(tx, user)
            me = me_view(await tx.users.me_row(user.id) or user)
        self._wake()
        return me

    async def unlink(self, viewer: Viewer, provider: str) -> None:
        """Take an identity away from me, and have its provider forget us.

        My other sessions end: whoever unlinks what is not theirs wants its owner out. Raises NotFound if I have none
        there, ReauthenticationRequired, and LastSignInMethod.
        """
        async with self._database.transaction() as tx:
            user = await tx.users.lock(viewer.user_id)
            if user is None:
                raise Unauthorized
            mine = await tx.identities.of(user.id)
            if provider not in [each.provider for each in mine]:
                raise NotFound
            await self._sessions.require_recent(tx, viewer.session_id)
            if not has_way_in(user, mine, self._methods, without=provider):
                raise LastSignInMethod
            await self._revocations.forget(tx, user.id, provider)
            await self._sessions.end(tx, user.id, but=viewer.session_id)
            await self._tell(tx, user, "sign_in_method_removed", provider)
        self._wake()

    async def _locked_owner(self, tx: Transaction, session_id: UUID) -> Row:
        """The person of a session that is still alive once both are locked: who ends it waits, or has done so."""
        session = await tx.sessions.find(session_id, now())
        user = await tx.users.lock(session.user_id) if session else None
        if user is None or await tx.sessions.lock(session_id, now()) is None:
            raise Unauthorized("The session that wanted to link has ended; sign in again.")
        return user

    async def _is_linked(self, tx: Transaction, user: Row, identity: VerifiedIdentity) -> bool:
        """Is it theirs already? Then what is kept of it is renewed."""
        found = await tx.identities.find(identity.provider, identity.issuer, identity.subject)
        if found is None or found.user_id != user.id:
            return False
        await tx.identities.see(found.id, usable_email(identity.email), self._grants.seal(identity.grant, found.grant))
        return True

    async def _add(self, tx: Transaction, user: Row, identity: VerifiedIdentity) -> None:
        await tx.identities.add(
            user.id,
            provider=identity.provider,
            issuer=identity.issuer,
            subject=identity.subject,
            email=usable_email(identity.email),
            grant=self._grants.seal(identity.grant),
            moment=now(),
        )
        await self._tell(tx, user, "sign_in_method_added", identity.provider)

    async def _tell(self, tx: Transaction, user: Row, about: About, provider: str) -> None:
        """A mail, if we know whose the address is."""
        if user.email_verified_at:
            method = self._methods.get(provider, provider)
            await tx.outbox.add(MAIL, mail_about_method(user.id, about, method), now())


def has_way_in(user: Row, identities: Sequence[Row], methods: Collection[str], *, without: str) -> bool:
    """Could this person still sign in, once the identity at the provider `without` is gone?

    An identity counts while it is among `methods`: one whose provider is no longer configured opens nothing.
    """
    others = [each for each in identities if each.provider != without and each.provider in methods]
    return bool(others or (user.password_hash and user.email))
