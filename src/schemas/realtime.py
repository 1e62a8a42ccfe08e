"""What only travels over a socket (contract §7)."""

from .auth import AccessToken
from .common import Request, Timestamp, View
from .people import Me


class Ready(View):
    """The first event on each connection. `epoch` changes when the database was restored to an earlier state."""

    user: Me
    epoch: str
    unread_total: int
    server_time: Timestamp


class SessionExpiring(View):
    """The access token of this connection ends in so many milliseconds: answer with `refresh_session`."""

    in_ms: int


class RefreshSession(Request):
    token: AccessToken


class SessionRefreshed(View):
    """Until when the connection now lives, in milliseconds."""

    expires_in_ms: int
