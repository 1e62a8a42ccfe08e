"""Deleting one's account (contract §3, §9): the person's row stays, nameless, for what they have written.

The person is locked before the rooms, and all rooms in the order of their ids, as everywhere: see
docs/decisions/0011-deleting-an-account.md.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import Unauthorized, WrongCredentials
from ..events import FriendChanged, UserChanged
from ..schemas.auth import AccountDeletion
from ..schemas.people import FriendChange, User
from ..viewer import Viewer
from .leaving import GROUPS_AT_ONCE, LEAVE_GROUPS, leave_each
from .mails import MAIL, mail_to_former
from .notices import settle
from .passwords import Passwords
from .pictures import keys_of_avatar
from .presence import vanish
from .removals import remove_objects
from .sessions import Sessions
from .throttle import Throttle

ForgetIdentities = Callable[[Transaction, UUID], Awaitable[None]]


class Deletion:
    """`forget_identities`: takes all from a person, whose row is locked. `wake`: called after the COMMIT."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it stands on
        self,
        database: Database,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        forget_identities: ForgetIdentities,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._forget_identities = forget_identities
        self._wake = wake

    async def delete(self, viewer: Viewer, draft: AccountDeletion | None) -> None:
        """Delete my account. What I have written stays, without a name; a mail tells the address that it had.

        Raises WrongCredentials without the password, where one is set; where none is, ReauthenticationRequired unless
        I have just signed in. Unauthorized if the account is gone.
        """
        password_hash = await self._checked(viewer, draft)
        async with self._database.transaction() as tx:
            user = await tx.users.lock(viewer.user_id)
            if user is None:
                raise Unauthorized("This account is gone.")
            if user.password_hash != password_hash:
                raise WrongCredentials("The password has just been changed elsewhere.")
            if password_hash is None:
                await self._sessions.require_recent(tx, viewer.session_id)
            await self._delete(tx, user)
        self._wake()

    async def _checked(self, viewer: Viewer, draft: AccountDeletion | None) -> str | None:
        """The hash that the given password was found to be of; None where no password is set."""
        async with self._database.single_read() as reads:
            row = await reads.users.me_row(viewer.user_id)
        if row is None:
            raise Unauthorized("This account is gone.")
        password_hash: str | None = row.password_hash
        if password_hash:
            given = draft.password if draft and draft.password else ""
            await self._throttle.hit("password_change", str(viewer.user_id))
            if not (await self._passwords.verify(given, password_hash)).matches:
                raise WrongCredentials("The password is wrong.")
            await self._throttle.forget("password_change", str(viewer.user_id))
        return password_hash

    async def _delete(self, tx: Transaction, user: Row) -> None:
        """Everything that must be so at once. More groups than a transaction should hold are left after it."""
        at = now()
        groups = await tx.departures.groups_of(user.id, GROUPS_AT_ONCE + 1)
        await tx.departures.lock_rooms(user.id, groups[:GROUPS_AT_ONCE])
        await self._sessions.end(tx, user.id)  # first: no device of theirs hears the rest
        await vanish(tx, user.id)
        await tx.departures.make_nameless(user.id, at)
        await _sever(tx, user.id)
        await self._forget_identities(tx, user.id)
        await tx.departures.forget(user.id)
        parts = await tx.uploads.forget_of(user.id)
        await remove_objects(tx, [*parts, *await tx.files.forget_unsent_of(user.id), *keys_of_avatar(user.avatar)], at)
        await tx.departures.leave_direct_rooms(user.id, at)
        await leave_each(tx, user.id, groups[:GROUPS_AT_ONCE])
        settle(tx, await tx.notifications.forget(user.id))  # after the memberships, as who reads a room locks
        if len(groups) > GROUPS_AT_ONCE:
            await tx.outbox.add(LEAVE_GROUPS, {"user_id": str(user.id)}, at)
        if user.email and user.email_verified_at:
            await tx.outbox.add(MAIL, mail_to_former(user.email, user.language), at)
        await tx.departures.free_address(user.id)


async def _sever(tx: Transaction, user_id: UUID) -> None:
    """End how anybody stands to this person, and tell all who know them, across blocks too, that they are nobody."""
    nobody = User(id=user_id, nickname=None, intro="", avatar_url=None)
    blockers = await tx.departures.end_blocks(user_id)
    knowing = await tx.people.who_see_changes_of(user_id)
    others = await tx.departures.end_friendships(user_id)
    tx.announce(FriendChanged(others | blockers, FriendChange(user=nobody, relationship="none")))
    tx.announce(UserChanged(knowing | blockers, nobody))
