"""What an account does by e-mail: show whose the address is, and come back without the password (contract §2)."""

from collections.abc import Callable

from ..clock import now
from ..db.database import Database, Transaction
from ..db.rows import Row
from ..errors import Gone, RateLimited
from ..viewer import ClientInfo, Viewer
from .mails import MAIL, email_key, mail_to, mail_to_whoever_has, token_hash
from .passwords import Passwords
from .revocations import Revocations
from .sessions import Sessions
from .throttle import Throttle, fingerprint


class Recovery:
    """`wake`: called after a COMMIT that left a mail in the outbox."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        database: Database,
        passwords: Passwords,
        sessions: Sessions,
        revocations: Revocations,
        throttle: Throttle,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._sessions = sessions
        self._revocations = revocations
        self._throttle = throttle
        self._wake = wake

    async def verify_email(self, token: str) -> None:
        """The mailed token shows that the address is theirs. Raises Gone for a wrong, used or expired one alike."""
        digest, moment = token_hash(token), now()
        async with self._database.transaction() as tx:
            user_id = await tx.email_tokens.find(digest, "verify", moment)
            user = await tx.users.lock(user_id) if user_id else None  # before the token's row, as everywhere
            used = await tx.email_tokens.use(digest, "verify", moment) if user else None
            if used is None:
                raise Gone("This link has been used, has expired, or never was.")
            await tx.users.verify_email(used.user_id, used.email_key, moment)

    async def resend_verification(self, viewer: Viewer, client: ClientInfo) -> None:
        """Another mail with a new token, in place of the earlier one; none if the address is known to be theirs.

        It is not any more once a mail to it has come back.
        """
        async with self._database.single_read() as reads:
            row = await reads.users.me_row(viewer.user_id)
        if row is None or row.email_key is None or (row.email_verified_at and not row.email_bounced_at):
            return
        await self._throttle.hit("mail_per_address", client.network)
        await self._throttle.hit("mail_per_account", "verify", fingerprint(row.email_key))
        async with self._database.transaction() as tx:
            await tx.outbox.add(MAIL, mail_to(row.id, "verify_email"), now())
        self._wake()

    async def forgot_password(self, email: str, client: ClientInfo) -> None:
        """Mail a token to whoever has that address. What happens here is the same whether somebody has it or not.

        An address that was asked for too often gets no more mail for a while, and the asker is not told (contract §2).
        """
        key = email_key(email)
        await self._throttle.hit("mail_per_address", client.network)
        try:
            await self._throttle.hit("mail_per_account", "reset", fingerprint(key))
        except RateLimited:
            return
        async with self._database.transaction() as tx:
            await tx.outbox.add(MAIL, mail_to_whoever_has(key, "reset_password"), now())
        self._wake()

    async def reset_password(self, token: str, new_password: str) -> None:
        """Set a password by a mailed token; every session ends, and a mail says so.

        Whoever signed up with somebody else's address may have linked their own identities to it: those that were
        linked before anybody had confirmed the address go, too.

        Raises Gone for a wrong, used or expired token alike; Invalid for a common password, the token being kept.
        """
        digest, moment = token_hash(token), now()
        async with self._database.snapshot() as reads:
            user_id = await reads.email_tokens.find(digest, "reset", moment)
            row = await reads.users.me_row(user_id) if user_id else None
        if row is None:
            raise Gone("This link has been used, has expired, or never was.")
        await self._passwords.refuse_common(new_password, [row.email, row.nickname], "new_password")
        password_hash = await self._passwords.hash(new_password)
        async with self._database.transaction() as tx:
            user = await tx.users.lock(row.id)
            used = await tx.email_tokens.use(digest, "reset", moment)
            if used is None or user is None:
                raise Gone("This link has been used, has expired, or never was.")
            await tx.users.set_password(user.id, password_hash)
            await self._forget_strangers(tx, user)
            await tx.users.verify_email(user.id, used.email_key, moment)
            await tx.outbox.add(MAIL, mail_to(user.id, "password_changed"), moment)
            await self._sessions.end(tx, user.id)
        self._wake()

    async def _forget_strangers(self, tx: Transaction, user: Row) -> None:
        for identity in await tx.identities.of(user.id):
            if user.email_verified_at is None or identity.linked_at < user.email_verified_at:
                await self._revocations.forget(tx, user.id, identity.provider)
