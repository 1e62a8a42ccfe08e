"""Getting no more mails by a link in one of them (RFC 8058): whoever has the mail may, signed in or not."""

from urllib.parse import quote

from aiohttp import web

from ..errors import Malformed, TooLarge, Unauthorized
from ..schemas.notifications import Unsubscribed, UnsubscribeQuery
from ..services.unsubscribing import PAGE, Unsubscribing
from .api import PUBLIC, Answer, get, post
from .parsing import read_bounded


class UnsubscribingController:
    tag = "notifications"

    def __init__(self, unsubscribing: Unsubscribing, public_url: str) -> None:
        self._unsubscribing = unsubscribing
        self._public_url = public_url

    @post(
        "/notifications/unsubscribe",
        access=PUBLIC,
        limit="unsubscribe",
        errors=(Unauthorized, Malformed, TooLarge),
        any_query=True,
    )
    async def stop_mails(self, request: web.Request, query: UnsubscribeQuery) -> Unsubscribed:
        """Send me no more mails of notifications: by the token of such a mail.

        This is the `List-Unsubscribe` of RFC 8058; mail programs send `List-Unsubscribe=One-Click` as a form. The body
        may be any, or none: the token says everything. Doing it again is the same.
        """
        await read_bounded(request)
        await self._unsubscribing.unsubscribe(query.token or "")
        return Unsubscribed()

    @get(
        "/notifications/unsubscribe",
        status=302,
        also={302: "To a page that asks."},
        access=PUBLIC,
        limit="unsubscribe",
        any_query=True,
    )
    async def ask_to_stop_mails(self, query: UnsubscribeQuery) -> Answer[None]:
        """Go to the page with the button. Opening this changes nothing: those who scan mails open all links.

        For mail programs that do not know RFC 8058 and open the address of `List-Unsubscribe` in a browser.
        """
        return Answer(None, headers={"Location": f"{self._public_url}{PAGE}?token={quote(query.token or '', safe='')}"})
