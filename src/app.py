"""The composition root: the only file that knows every part."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

import structlog
from aiohttp import web

from .config import Settings
from .controllers import http
from .controllers.account_pages import mount_account_pages
from .controllers.asyncapi import asyncapi_document
from .controllers.auth import AuthController
from .controllers.broadcast import GREETINGS, OUTGOING, Broadcast
from .controllers.chat_namespace import ChatNamespace
from .controllers.cursors import CursorsController
from .controllers.deliveries import DeliveriesController
from .controllers.docs import mount_docs
from .controllers.files import FilesController
from .controllers.friends import BlocksController, FriendsController
from .controllers.handover import Handover
from .controllers.health import mount_health
from .controllers.links import Links
from .controllers.messages import MessagesController
from .controllers.notification_namespace import NotificationNamespace
from .controllers.notifications import NotificationsController
from .controllers.oauth import IdentitiesController, OAuthController
from .controllers.openapi import openapi_document
from .controllers.people import PeopleController
from .controllers.pictures import PicturesController
from .controllers.push import PushController
from .controllers.resumable import ResumableController
from .controllers.rooms import RoomsController
from .controllers.search import SearchController
from .controllers.serving import mount
from .controllers.socket_edge import SocketEdge
from .controllers.unsubscribing import UnsubscribingController
from .db import migrate
from .errors import Unavailable
from .parts import Parts, build
from .realtime.limits import UNCAPPED, Limits
from .realtime.server import RealtimeServer
from .services.housekeeping import Housekeeping

log = structlog.get_logger("chatty")

CONTROLLERS = (
    AuthController,
    OAuthController,
    IdentitiesController,
    PeopleController,
    PicturesController,
    FriendsController,
    BlocksController,
    RoomsController,
    MessagesController,
    FilesController,
    ResumableController,
    SearchController,
    CursorsController,
    NotificationsController,
    DeliveriesController,
    PushController,
    UnsubscribingController,
)
NAMESPACES = (ChatNamespace, NotificationNamespace)


PARTS = web.AppKey("parts", Parts)


def create_app(settings: Settings) -> web.Application:
    """The service, ready to be served. Its workers run between start-up and clean-up."""
    app = web.Application()
    app[PARTS] = parts = build(settings)
    http.install(app, settings)
    links = Links(settings.public_url, parts.files.signatures)
    _mount_rest(app, parts, links)
    _mount_sockets(app, parts, links)
    app.cleanup_ctx.append(_running)
    return app


def openapi() -> dict[str, Any]:
    """The REST contract."""
    return openapi_document(CONTROLLERS)


def asyncapi() -> dict[str, Any]:
    """The Socket.IO contract."""
    return asyncapi_document(NAMESPACES, (*OUTGOING.values(), *GREETINGS))


def _mount_rest(app: web.Application, parts: Parts, links: Links) -> None:
    handover = Handover(parts.settings)
    providers = {name: provider.display_name for name, provider in parts.providers.items()}
    controllers = (
        AuthController(parts.accounts, parts.recovery, parts.sessions, handover),
        OAuthController(parts.social, parts.sessions, handover, providers, parts.settings),
        IdentitiesController(parts.identities, parts.exchange, parts.unlinks, handover),
        PeopleController(parts.people, parts.deletion, handover),
        PicturesController(parts.files.pictures, parts.files.turns, parts.files.store),
        FriendsController(parts.friends),
        BlocksController(parts.blocks),
        RoomsController(parts.rooms, parts.groups, parts.leaving, parts.throttle),
        MessagesController(parts.messages, parts.sending, parts.edits, parts.reactions),
        _files_controller(parts),
        ResumableController(
            parts.files.resumable, parts.files.turns, parts.settings.public_url, parts.settings.files.max_bytes
        ),
        SearchController(parts.search),
        CursorsController(parts.cursors),
        NotificationsController(parts.notifying.notifications, parts.notifying.preferences),
        DeliveriesController(parts.notifying.deliveries),
        PushController(parts.notifying.push_subscriptions),
        UnsubscribingController(parts.notifying.unsubscribing, parts.settings.public_url),
    )
    mount(
        app,
        controllers,
        authenticate=parts.sessions.authenticate,
        throttle=parts.throttle,
        settings=parts.settings,
        links=links,
        staging=parts.files.staging,
        busy=lambda: parts.sending.is_busy,
    )
    mount_account_pages(app)
    mount_docs(app, openapi(), asyncapi())
    mount_health(app, _checks(parts))


def _files_controller(parts: Parts) -> FilesController:
    return FilesController(
        files=parts.files.files,
        turns=parts.files.turns,
        store=parts.files.store,
        signatures=parts.files.signatures,
        sessions=parts.sessions,
        throttle=parts.throttle,
        redirect=parts.settings.files.downloads == "redirect",
    )


def _mount_sockets(app: web.Application, parts: Parts, links: Links) -> None:
    namespaces = (
        ChatNamespace(
            sending=parts.sending,
            edits=parts.edits,
            reactions=parts.reactions,
            cursors=parts.cursors,
            typing=parts.typing,
            sync=parts.sync,
            sessions=parts.sessions,
            presence=parts.presence,
        ),
        NotificationNamespace(
            [parts.unread.listeners, parts.notifying.live.listeners, parts.presence], parts.notifying.notifications
        ),
    )
    door = SocketEdge(namespaces, parts.sessions.authenticate, parts.throttle, links)
    limits = Limits() if parts.settings.rate_limits == "on" else UNCAPPED
    server = RealtimeServer(
        door, parts.connections, origins=parts.settings.origins, networks=parts.settings.proxy_networks, limits=limits
    )
    server.attach(app)
    parts.bus.subscribe(parts.sessions.hear)
    parts.bus.subscribe(Broadcast(parts.connections, links))
    parts.bus.subscribe(parts.unread.hear)
    parts.bus.subscribe(parts.notifying.live.hear)
    parts.bus.subscribe(parts.typing.hear)
    parts.bus.subscribe(parts.notifying.push_closer.hear)


def _checks(parts: Parts) -> Mapping[str, Callable[[], Awaitable[None]]]:
    async def migrations() -> None:
        if await parts.database.revision() != migrate.newest():
            raise Unavailable("The database is not at the newest migration: run `chatty migrate`.")

    return {"database": parts.database.ping, "migrations": migrations}


async def _running(app: web.Application) -> AsyncIterator[None]:
    """Run the workers while the service runs; then let go of the database."""
    parts = app[PARTS]
    await _refuse_old_schema(parts)
    housekeeping = Housekeeping(parts.database, parts.settings.notifications.kept)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(parts.database.close)
        stack.push_async_callback(parts.throttle.close)
        stack.push_async_callback(parts.sending.close)
        stack.push_async_callback(parts.oauth.close)
        stack.push_async_callback(parts.mailer.close)
        stack.push_async_callback(parts.notifying.push_sender.close)
        stack.push_async_callback(parts.files.store.close)
        stack.callback(parts.passwords.close)
        watch = parts.sessions.watch(parts.connections.sessions)
        workers = (
            parts.presence.run(),
            parts.unread.listeners.run(),
            parts.notifying.live.listeners.run(),
            parts.heads.run(),
            parts.outbox.run(),
            parts.notifying.ladder.run(),
            parts.notifying.push_closer.run(),
            housekeeping.run(),
            parts.files.sweeps.run(),
        )
        for work in (watch, *workers):
            stack.push_async_callback(_cancel, asyncio.create_task(_supervised(work)))
        yield


async def _refuse_old_schema(parts: Parts) -> None:
    if await parts.database.revision() != migrate.newest():
        raise SystemExit("chatty: the database is not at the newest migration. Run `chatty migrate` first.")


async def _supervised(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("A worker has died.")
        raise


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
