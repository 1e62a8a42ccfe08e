"""Signing in elsewhere: at a provider, and with the host application's token (contract §2, §3)."""

import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from aiohttp import web

from ..config import Settings
from ..errors import (
    EmailOwnedByOtherMethod,
    Forbidden,
    IdentityTaken,
    LastSignInMethod,
    NotFound,
    ReauthenticationRequired,
    SignInExpired,
    TokenExpired,
    Unauthorized,
    Unexpected,
)
from ..oauth.identity import Callback
from ..schemas.auth import Exchanged, HostIdentity, Provider, Session, SignInCallback, SignInStart
from ..schemas.common import Items
from ..schemas.people import Me
from ..services.exchange import Exchange
from ..services.identities import Identities
from ..services.sessions import Sessions
from ..services.social import LASTS, SocialSignIn
from ..services.unlinks import Unlinks
from ..sign_in_settings import HOST
from ..viewer import ClientInfo, Viewer
from .api import PUBLIC, Answer, Cookie, delete, get, post, put
from .edge import explain
from .handover import COOKIE, Handover
from .parsing import bearer_token, read_bounded
from .redirects import checked, with_error

log = structlog.get_logger("chatty.oauth")

_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")


class OAuthController:
    """Where a browser goes to a provider and comes back. However that ends, the person ends on a page of theirs."""

    tag = "auth"

    def __init__(
        self,
        social: SocialSignIn,
        sessions: Sessions,
        handover: Handover,
        providers: Mapping[str, str],
        settings: Settings,
    ) -> None:
        self._social = social
        self._sessions = sessions
        self._handover = handover
        self._providers = providers
        self._origins = settings.origins
        self._secure = settings.secure_cookies
        # A browser takes no `__Host-` cookie from another host or path, nor over http (RFC 6265bis §4.1.3.2).
        self._cookie_name = "__Host-chatty_oauth" if settings.secure_cookies else "chatty_oauth"

    @get("/auth/providers", access=PUBLIC)
    async def list_providers(self) -> Items[Provider]:
        """Other ways to sign in, those that are configured."""
        items = [Provider(name=name, display_name=display_name) for name, display_name in self._providers.items()]
        return Items[Provider](items=items)

    @get(
        "/auth/oauth/{provider}",
        status=302,
        also={302: "To the provider; or, if that cannot be, to `redirect_to` with `error=<code>` in its query."},
        access=PUBLIC,
        errors=(NotFound,),
    )
    async def begin(self, request: web.Request, client: ClientInfo, provider: str, query: SignInStart) -> Answer[None]:
        """Sign in at a provider: open this in the browser.

        It ends on `redirect_to`, a path of this service or an address of an allowed origin (`/` without one): signed
        in, with the refresh cookie set, or with `error=<code>` in its query. `link=1` links the provider to who is
        signed in here, known by the refresh cookie or a Bearer token, who must have signed in within five minutes.
        """
        self._social.refuse_unknown(provider)
        target, browser = checked(query.redirect_to, self._origins), self._browser(request)
        try:
            session_id = await self._who_links(request) if query.link else None
            url = await self._social.begin(provider, target, browser, client, session_id)
        except Exception as error:  # whoever opens this is a person, not a program
            return _sent_back(target, error)
        return Answer(None, headers={"Location": url}, cookies=[self._cookie(browser)])

    @get(
        "/auth/oauth/{provider}/callback",
        status=302,
        also={302: "To the `redirect_to` of this sign-in, with the refresh cookie set; or with `error=<code>`."},
        access=PUBLIC,
        errors=(NotFound,),
        any_query=True,
    )
    async def callback(
        self, request: web.Request, client: ClientInfo, provider: str, query: SignInCallback
    ) -> Answer[None]:
        """Come back from a provider: it sends the browser here.

        The error is `sign_in_expired` for a sign-in that is over, took more than ten minutes or began in another
        browser, `access_denied` for who cancelled, `sign_in_failed` for what does not verify, `provider_unavailable`,
        `email_owned_by_other_method`, `identity_taken`.
        """
        self._social.refuse_unknown(provider)
        target = "/"
        try:
            if query.state is None:
                raise SignInExpired
            underway = await self._social.find(provider, query.state, self._browser(request))
            target = underway.redirect_to
            started = await self._social.finish(underway, Callback(query.code, query.error, query.iss), client)
        except Exception as error:  # never a stack trace, never a blank page
            return _sent_back(target, error)
        cookies = [self._handover.cookie(started.refresh_token)] if started else []
        return Answer(None, headers={"Location": target}, cookies=cookies)

    def _browser(self, request: web.Request) -> str:
        """The secret that only this browser has: one for all its tabs."""
        known = request.cookies.get(self._cookie_name, "")
        return known if _BROWSER.fullmatch(known) else secrets.token_urlsafe(32)

    def _cookie(self, browser: str) -> Cookie:
        seconds = int(LASTS.total_seconds())
        # Lax: it must come along when the provider sends the browser back.
        return Cookie(self._cookie_name, browser, path="/", max_age=seconds, secure=self._secure, same_site="Lax")

    async def _who_links(self, request: web.Request) -> UUID:
        """Their session. Raises Forbidden where a browser says that no page of this site asked.

        The refresh cookie is SameSite=Strict, but comes along from a link in a mail, which nobody of this site wrote.
        """
        if request.headers.get("Sec-Fetch-Site", "same-site") not in ("same-origin", "same-site"):
            raise Forbidden("Link from the settings of this service.")
        if "Authorization" in request.headers:
            return (await self._sessions.authenticate(bearer_token(request))).session_id
        token = request.cookies.get(COOKIE)
        if not token:
            raise Unauthorized
        return await self._sessions.session_of(token)


class IdentitiesController:
    """Sign-in methods besides the password."""

    tag = "auth"

    def __init__(self, identities: Identities, exchange: Exchange, unlinks: Unlinks, handover: Handover) -> None:
        self._identities = identities
        self._exchange = exchange
        self._unlinks = unlinks
        self._handover = handover

    @post(
        "/auth/exchange",
        access=PUBLIC,
        limit="exchange",
        errors=(Unauthorized, TokenExpired, NotFound, EmailOwnedByOtherMethod),
    )
    async def exchange(self, client: ClientInfo, body: Exchanged) -> Answer[Session]:
        """Sign in with the host application's token.

        Its `sub` is one account, made at the first exchange; the nickname follows `name`. A token with a `jti` works
        once. 404 where no host application is configured.
        """
        return self._handover.answer(await self._exchange.sign_in(body.token, client), body.session)

    @put("/users/me/identities/{provider}", errors=(NotFound, ReauthenticationRequired, IdentityTaken))
    async def link(self, viewer: Viewer, provider: str, body: HostIdentity) -> Me:
        """Link a sign-in method by a token, which only `host` has: the host application's account.

        Needs a sign-in within the last five minutes. Others are linked by `GET /auth/oauth/{provider}?link=1`.
        """
        if provider != HOST:
            raise NotFound
        return await self._exchange.link(viewer, body.token)

    @delete("/users/me/identities/{provider}", errors=(NotFound, ReauthenticationRequired, LastSignInMethod))
    async def unlink(self, viewer: Viewer, provider: str) -> None:
        """Unlink a sign-in method; needs a sign-in within the last five minutes, and another way to sign in."""
        await self._identities.unlink(viewer, provider)

    @get(
        "/auth/oauth/kakao/unlinked",
        status=200,
        access=PUBLIC,
        limit="unlinked",
        errors=(Unauthorized, NotFound),
        any_query=True,
    )
    async def hear_unlinked(self, request: web.Request) -> None:
        """Hear from Kakao, by its admin key, that somebody unlinked us there.

        The same as by POST, with `user_id` in the query. Known or not, the answer is 200.
        """
        await self._hear(request, request.query.get("user_id", ""))

    @post(
        "/auth/oauth/kakao/unlinked",
        status=200,
        access=PUBLIC,
        limit="unlinked",
        errors=(Unauthorized, NotFound),
        any_query=True,
    )
    async def hear_unlinked_by_form(self, request: web.Request) -> None:
        """Hear from Kakao, by its admin key, that somebody unlinked us there.

        A form with `app_id`, `user_id`, `referrer_type`. The identity goes; if it was the only way to sign in, it
        stays for their return, and their sessions end. Known or not, the answer is 200.
        """
        self._unlinks.refuse_stranger(request.headers.get("Authorization", ""))
        form = dict(parse_qsl((await read_bounded(request)).decode(errors="replace")))
        await self._hear(request, form.get("user_id") or request.query.get("user_id", ""))

    async def _hear(self, request: web.Request, user_id: str) -> None:
        self._unlinks.refuse_stranger(request.headers.get("Authorization", ""))
        await self._unlinks.note(user_id)


def _sent_back(target: str, error: Exception) -> Answer[None]:
    explained = explain(error)
    if isinstance(explained, Unexpected):
        log.error("A sign-in failed in a way that nobody foresaw.", exc_info=error)
    return Answer(None, headers={"Location": with_error(target, explained.code)})
