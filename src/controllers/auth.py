"""Sign-up, sign-in, sessions (contract §2)."""

from uuid import UUID

from aiohttp import web

from ..errors import (
    Conflict,
    EmailTaken,
    Gone,
    NotFound,
    ReauthenticationRequired,
    Unauthorized,
    WrongCredentials,
)
from ..schemas.auth import (
    Device,
    EmailVerification,
    ForgottenPassword,
    Login,
    PasswordChange,
    PasswordReset,
    Refresh,
    Register,
    Session,
)
from ..schemas.common import Items
from ..services.accounts import Accounts
from ..services.recovery import Recovery
from ..services.sessions import Sessions
from ..viewer import ClientInfo, Viewer
from .api import PUBLIC, Answer, delete, get, post, put
from .handover import COOKIE, Handover


class AuthController:
    tag = "auth"

    def __init__(self, accounts: Accounts, recovery: Recovery, sessions: Sessions, handover: Handover) -> None:
        self._accounts = accounts
        self._recovery = recovery
        self._sessions = sessions
        self._handover = handover

    @post("/auth/register", status=201, access=PUBLIC, limit="register", errors=(EmailTaken,))
    async def register(self, client: ClientInfo, body: Register) -> Answer[Session]:
        """Make an account, and sign in with it. A mail asks to confirm the address."""
        return self._handover.answer(await self._accounts.register(body, client), body.session)

    @post("/auth/login", access=PUBLIC, limit="login", errors=(WrongCredentials,))
    async def login(self, client: ClientInfo, body: Login) -> Answer[Session]:
        """Sign in."""
        return self._handover.answer(await self._accounts.login(body, client), body.session)

    @post("/auth/refresh", access=PUBLIC, limit="refresh", errors=(Unauthorized,))
    async def refresh(self, request: web.Request, client: ClientInfo, body: Refresh | None) -> Answer[Session]:
        """Renew the session: the refresh token, from the cookie or the body, is used up and a new one comes with it.

        A used token ends the session, unless it comes again within ten seconds: then it is one client asking twice.
        """
        if body and body.refresh_token:
            return self._handover.answer(await self._sessions.refresh(body.refresh_token, client), "token")
        token = request.cookies.get(COOKIE)
        if not token:
            raise Unauthorized("There is no refresh token, neither as a cookie nor in the body.")
        return self._handover.answer(await self._sessions.refresh(token, client), "cookie")

    @post("/auth/logout")
    async def logout(self, viewer: Viewer) -> Answer[None]:
        """Sign out: this session ends, and its sockets close."""
        await self._sessions.end_this(viewer)
        return Answer(None, cookies=[self._handover.no_cookie()])

    @get("/auth/sessions")
    async def list_sessions(self, viewer: Viewer) -> Items[Device]:
        """Where I am signed in, the latest used first."""
        return await self._sessions.devices(viewer)

    @delete("/auth/sessions/{session_id}", errors=(NotFound,))
    async def end_session(self, viewer: Viewer, session_id: UUID) -> None:
        """Sign one of my devices out."""
        await self._sessions.end_one(viewer, session_id)

    @delete("/auth/sessions")
    async def end_other_sessions(self, viewer: Viewer) -> None:
        """Sign out everywhere but here."""
        await self._sessions.end_others(viewer)

    @put("/auth/password", errors=(WrongCredentials, ReauthenticationRequired, Conflict))
    async def change_password(self, viewer: Viewer, body: PasswordChange) -> None:
        """Set my password. My other sessions end, and a mail tells me.

        Who has none yet needs no current one, but a recent sign-in and an e-mail address.
        """
        await self._accounts.change_password(viewer, body)

    @post("/auth/password/forgot", status=202, access=PUBLIC)
    async def forgot_password(self, client: ClientInfo, body: ForgottenPassword) -> None:
        """Ask for a mail with a token to set a new password. Answers alike whether or not the address is known."""
        await self._recovery.forgot_password(body.email, client)

    @post("/auth/password/reset", access=PUBLIC, limit="redeem", errors=(Gone,))
    async def reset_password(self, body: PasswordReset) -> None:
        """Set a new password by the mailed token, which works once, within an hour. Every session ends."""
        await self._recovery.reset_password(body.token, body.new_password)

    @post("/auth/email/verify", access=PUBLIC, limit="redeem", errors=(Gone,))
    async def verify_email(self, body: EmailVerification) -> None:
        """Confirm an e-mail address by the mailed token, which works once, within a day."""
        await self._recovery.verify_email(body.token)

    @post("/auth/email/resend", status=202)
    async def resend_verification(self, viewer: Viewer, client: ClientInfo) -> None:
        """Ask for another mail to confirm my address; the link in the earlier one stops working."""
        await self._recovery.resend_verification(viewer, client)
