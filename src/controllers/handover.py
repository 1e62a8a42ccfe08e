"""How a session reaches its client: the refresh token in a cookie that no script can read, or in the body."""

from ..config import Settings
from ..schemas.auth import Session, SessionKind
from ..services.sessions import Started
from .api import PREFIX, Answer, Cookie

COOKIE = "chatty_refresh"


class Handover:
    def __init__(self, settings: Settings) -> None:
        self._cookie_seconds = settings.session_days * 24 * 3600
        self._secure = settings.secure_cookies

    def answer(self, started: Started, kind: SessionKind) -> Answer[Session]:
        """The session, with its refresh token where the client asked for it."""
        if kind == "token":
            return Answer(started.session.model_copy(update={"refresh_token": started.refresh_token}))
        return Answer(started.session, cookies=[self.cookie(started.refresh_token)])

    def cookie(self, refresh_token: str) -> Cookie:
        """The refresh token as a cookie that goes to the sign-in routes alone."""
        return self._cookie(refresh_token, self._cookie_seconds)

    def no_cookie(self) -> Cookie:
        """What takes it away."""
        return self._cookie("", 0)

    def _cookie(self, value: str, max_age: int) -> Cookie:
        return Cookie(COOKIE, value, path=f"{PREFIX}/auth", max_age=max_age, secure=self._secure)
