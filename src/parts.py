"""Everything that does the work, put together: services, database, workers, and what they stand on."""

from collections.abc import Mapping
from dataclasses import dataclass

from .config import Settings
from .db.database import Database
from .db.ids import new_id
from .file_parts import FileParts, build_files
from .notification_parts import NotificationParts, build_notifications
from .oauth.client import OAuthClient
from .oauth.host_tokens import HostTokens, host_origins
from .oauth.outbound import Outbound
from .oauth.providers import Provider, providers_from
from .realtime.bus import Bus
from .realtime.connections import Connections
from .services.accounts import Accounts
from .services.blocks import Blocks
from .services.cursors import Cursors
from .services.deletion import Deletion
from .services.edits import Edits
from .services.entry import Entry
from .services.exchange import Exchange
from .services.friends import Friends
from .services.grants import Grants
from .services.groups import Groups
from .services.heads import Heads
from .services.identities import Identities
from .services.leaving import LEAVE_GROUPS, Leaving
from .services.mailer import Mailer, mailer_for
from .services.mails import MAIL, Mails
from .services.messages import Messages
from .services.notices import Notices, Rungs
from .services.outbox import OutboxWorker
from .services.passwords import Passwords
from .services.people import People
from .services.presence import Presence
from .services.provider_pictures import FETCH_PICTURE, ProviderPictures
from .services.reactions import Reactions
from .services.recovery import Recovery
from .services.removals import REMOVE_OBJECTS, Removals
from .services.revocations import REVOKE, Revocations
from .services.rooms import Rooms
from .services.search import Search
from .services.sending import Sending
from .services.sessions import Sessions
from .services.social import SocialSignIn
from .services.sync import Sync
from .services.throttle import Throttle
from .services.tokens import Tokens
from .services.typing import TypingState
from .services.unlinks import Unlinks
from .services.unread import UnreadCounts
from .sign_in_settings import HOST
from .storage.storages import store_for


@dataclass(frozen=True)
class Parts:
    """Everything that does the work; what stands around it is the edge."""

    settings: Settings
    bus: Bus
    connections: Connections
    database: Database
    throttle: Throttle
    tokens: Tokens
    files: FileParts
    sessions: Sessions
    passwords: Passwords
    accounts: Accounts
    recovery: Recovery
    providers: Mapping[str, Provider]
    oauth: OAuthClient
    social: SocialSignIn
    identities: Identities
    exchange: Exchange
    unlinks: Unlinks
    revocations: Revocations
    deletion: Deletion
    outbox: OutboxWorker
    mailer: Mailer
    people: People
    friends: Friends
    blocks: Blocks
    presence: Presence
    rooms: Rooms
    groups: Groups
    leaving: Leaving
    sending: Sending
    messages: Messages
    edits: Edits
    reactions: Reactions
    search: Search
    cursors: Cursors
    unread: UnreadCounts
    notifying: NotificationParts
    heads: Heads
    typing: TypingState
    sync: Sync


def build(settings: Settings) -> Parts:
    """The parts, put together and not yet running."""
    bus = Bus()
    connections = Connections()
    database = Database(settings.database_url, bus.publish)
    throttle = Throttle(settings.rate_limits == "on", settings.redis_url)
    tokens = Tokens(settings.signing_key, settings.public_url, settings.access_token_seconds)
    sessions = Sessions(database, tokens, bus.publish, settings.session_days)
    passwords = Passwords(settings.bcrypt_rounds)
    mailer = mailer_for(settings.smtp_url, settings.data_dir / "mail")
    mails = Mails(database, mailer, settings.public_url, settings.mail_from)
    leaving = Leaving(database)
    rungs = Rungs(settings.notifications.push_after, settings.notifications.email_after)
    notices = Notices(rungs)
    providers, outbound, grants = providers_from(settings), Outbound(), Grants(settings.signing_key)
    oauth = OAuthClient(providers, settings.public_url, outbound)
    host_tokens = HostTokens(settings.exchange, outbound) if settings.exchange else None
    revocations = Revocations(database, oauth, providers, grants)
    store = store_for(settings.storage_url)
    work = {
        MAIL: mails.deliver,
        LEAVE_GROUPS: leaving.finish,
        REVOKE: revocations.carry_out,
        REMOVE_OBJECTS: Removals(store).carry_out,
    }
    # Given up, objects that people have deleted would stay for good.
    outbox = OutboxWorker(database, work, never_given_up=[REMOVE_OBJECTS])
    files = build_files(settings, database, store, outbox.wake)
    origins = {name: provider.origins for name, provider in providers.items()} | {HOST: host_origins(settings.exchange)}
    provider_pictures = ProviderPictures(
        database, files.staging, files.pictures, origins, settings.files.image_max_bytes
    )
    outbox.also(FETCH_PICTURE, provider_pictures.carry_out)
    notifying = build_notifications(
        settings,
        bus=bus,
        database=database,
        outbox=outbox,
        mailer=mailer,
        signatures=files.signatures,
        rungs=rungs,
    )
    methods = _methods(settings, providers)
    entry = Entry(database, sessions, grants, outbox.wake)
    identities = Identities(database, sessions, grants, revocations, methods, outbox.wake)
    return Parts(
        settings=settings,
        bus=bus,
        connections=connections,
        database=database,
        throttle=throttle,
        tokens=tokens,
        files=files,
        sessions=sessions,
        passwords=passwords,
        accounts=Accounts(database, passwords, sessions, throttle, outbox.wake),
        recovery=Recovery(database, passwords, sessions, revocations, throttle, outbox.wake),
        providers=providers,
        oauth=oauth,
        social=SocialSignIn(database, oauth, providers, sessions, entry, identities, throttle),
        identities=identities,
        exchange=Exchange(database, host_tokens, sessions, entry, identities),
        unlinks=Unlinks(database, sessions, providers.get("kakao"), methods),
        revocations=revocations,
        deletion=Deletion(database, passwords, sessions, throttle, revocations.forget_all, outbox.wake),
        outbox=outbox,
        mailer=mailer,
        people=People(database),
        friends=Friends(database, notices),
        blocks=Blocks(database),
        presence=Presence(database, new_id(), grace_seconds=settings.presence_grace_seconds),
        rooms=Rooms(database),
        groups=Groups(database, notices, settings.group_members),
        leaving=leaving,
        sending=Sending(database, settings.notifications.push_after),
        messages=Messages(database),
        edits=Edits(database, settings.edit_window_hours, outbox.wake),
        reactions=Reactions(database, notices),
        search=Search(database),
        cursors=Cursors(database),
        unread=UnreadCounts(database, bus.publish),
        notifying=notifying,
        heads=Heads(database, bus.publish, connections.people),
        typing=TypingState(database, bus.publish),
        sync=Sync(database),
    )


def _methods(settings: Settings, providers: Mapping[str, Provider]) -> dict[str, str]:
    """What people can sign in with besides a password, and what it is called in a mail."""
    host = {HOST: settings.exchange.issuer} if settings.exchange else {}
    return {name: provider.display_name for name, provider in providers.items()} | host
