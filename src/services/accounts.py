"""Accounts: signing up, signing in, changing the password (contract §2). What goes by e-mail is in recovery.py."""

from collections.abc import Awaitable, Callable

from ..clock import now
from ..db.database import Database
from ..db.ids import new_id
from ..db.rows import Row
from ..errors import Conflict, EmailTaken, Unauthorized, WrongCredentials
from ..schemas.auth import Login, PasswordChange, Register
from ..viewer import ClientInfo, Viewer
from .mails import MAIL, email_key, mail_to
from .passwords import Passwords
from .sessions import Sessions, Started
from .throttle import Throttle, fingerprint


class Accounts:
    """`wake`: called after a COMMIT that left a mail in the outbox."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        sessions: Sessions,
        throttle: Throttle,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._wake = wake

    async def register(self, draft: Register, client: ClientInfo) -> Started:
        """A new account, signed in, and a mail to its address. Raises EmailTaken, and Invalid for a common password."""
        key = email_key(draft.email)
        await self._passwords.refuse_common(draft.password, [draft.email, draft.nickname], "password")
        async with self._database.single_read() as reads:
            if await reads.users.email_is_taken(key):
                raise EmailTaken  # said before the dear hash; whoever comes at the same time meets the unique key
        password_hash = await self._passwords.hash(draft.password)
        user_id, moment = new_id(), now()
        async with self._database.transaction() as tx:
            await tx.users.add(
                user_id,
                email=draft.email,
                email_key=key,
                password_hash=password_hash,
                nickname=draft.nickname,
                language=client.language,
                moment=moment,
            )
            await tx.outbox.add(MAIL, mail_to(user_id, "verify_email"), moment)
            started = await self._sessions.begin(tx, await _present(tx.users.me_row(user_id)), client)
        self._wake()
        return started

    async def login(self, draft: Login, client: ClientInfo) -> Started:
        """A new session. Raises WrongCredentials, after the same work, for a wrong address and a wrong password."""
        key = email_key(draft.email)
        await self._count_attempt(key, client)
        async with self._database.single_read() as reads:
            row = await reads.users.credentials(key)
        verdict = await self._passwords.verify(draft.password, row.password_hash if row else None)
        if row is None or not verdict.matches:
            await self._throttle.hit("login_failures_per_address", client.network)
            raise WrongCredentials
        async with self._database.transaction() as tx:
            user = await tx.users.lock(row.id)
            if user is None or user.password_hash != row.password_hash:
                raise WrongCredentials  # changed while it was compared: what ended the other sessions ends this one
            if verdict.better_hash:
                await tx.users.set_password(user.id, verdict.better_hash)
            started = await self._sessions.begin(tx, user, client)
        await self._throttle.forget("login_per_account_and_address", fingerprint(key), client.network)
        return started

    async def change_password(self, viewer: Viewer, draft: PasswordChange) -> None:
        """Set my password; my other sessions end, and a mail tells me.

        Raises WrongCredentials without the current one, where one is set; Invalid for a common one. A first password
        needs an address to sign in with (Conflict) and a recent sign-in (ReauthenticationRequired).
        """
        async with self._database.single_read() as reads:
            row = await _present(reads.users.me_row(viewer.user_id))
        if row.password_hash:
            await self._throttle.hit("password_change", str(viewer.user_id))
            if not (await self._passwords.verify(draft.current_password or "", row.password_hash)).matches:
                raise WrongCredentials("The current password is wrong.")
            await self._throttle.forget("password_change", str(viewer.user_id))
        else:
            await self._may_set_first(viewer, row)
        await self._passwords.refuse_common(draft.new_password, [row.email, row.nickname], "new_password")
        password_hash = await self._passwords.hash(draft.new_password)
        async with self._database.transaction() as tx:
            user = await _present(tx.users.lock(viewer.user_id))
            if user.password_hash != row.password_hash:
                raise WrongCredentials("The password has just been changed elsewhere.")
            if row.password_hash is None:
                await self._sessions.require_recent(tx, viewer.session_id)  # it may have ended while we hashed
            await tx.users.set_password(user.id, password_hash)
            await tx.email_tokens.forget(user.id, "reset")
            await tx.outbox.add(MAIL, mail_to(user.id, "password_changed"), now())
            await self._sessions.end(tx, user.id, but=viewer.session_id)
        self._wake()

    async def _may_set_first(self, viewer: Viewer, row: Row) -> None:
        if row.email is None:
            raise Conflict("Without an e-mail address a password opens nothing.")
        async with self._database.single_read() as reads:
            await self._sessions.require_recent(reads, viewer.session_id)

    async def _count_attempt(self, key: str, client: ClientInfo) -> None:
        """Raise RateLimited when this address, or everybody, has tried this account, or this address others, too often.

        Where the account has signed in before, strangers' attempts elsewhere do not count: nobody locks its owner out.
        """
        if not self._throttle.on:
            return
        account, network = fingerprint(key), client.network
        await self._throttle.check("login_failures_per_address", network)
        await self._throttle.hit("login_per_account_and_address", account, network)
        async with self._database.single_read() as reads:
            known = await reads.sessions.knows_network(key, network[:45])
        if not known:
            await self._throttle.hit("login_per_account", account)


async def _present(found: Awaitable[Row | None]) -> Row:
    row = await found
    if row is None:
        raise Unauthorized("This account is gone.")
    return row
