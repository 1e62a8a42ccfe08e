"""The parts that tell people what they have not read, put together."""

from dataclasses import dataclass

from .config import Settings
from .controllers.links import Links
from .db.database import Database
from .push.sender import PushSender
from .push.vapid import subject_of, vapid_key
from .realtime.bus import Bus
from .services.bounces import Bounces
from .services.deliveries import Deliveries
from .services.digest_mails import DigestMails
from .services.digest_plans import Pace
from .services.digests import AT_ONCE, Digests
from .services.file_signatures import FileSignatures
from .services.ladder import Ladder
from .services.live_notifications import LiveNotifications
from .services.mailer import Mailer
from .services.notices import DIGEST, PUSH, Rungs
from .services.notifications import Notifications
from .services.outbox import OutboxWorker
from .services.preferences import Preferences, turn_off_email
from .services.push_closer import PushCloser
from .services.push_subscriptions import PushSubscriptions
from .services.pushes import Pushes
from .services.unsubscribing import UnsubscribeTokens, Unsubscribing

POLL_SECONDS = 1
PUSHES_AT_ONCE = 50


@dataclass(frozen=True)
class NotificationParts:
    notifications: Notifications
    live: LiveNotifications
    preferences: Preferences
    ladder: Ladder
    deliveries: Deliveries
    push_sender: PushSender
    push_subscriptions: PushSubscriptions
    pushes: Pushes
    push_closer: PushCloser
    digests: Digests
    bounces: Bounces
    unsubscribing: Unsubscribing


def build_notifications(  # noqa: PLR0913 - what the rest of the house lends them
    settings: Settings,
    *,
    bus: Bus,
    database: Database,
    outbox: OutboxWorker,
    mailer: Mailer,
    signatures: FileSignatures,
    rungs: Rungs,
) -> NotificationParts:
    """The parts, not yet running; the outbox does their work."""
    key = vapid_key(settings.notifications.vapid_private_key, settings.signing_key)
    allowed = settings.notifications.origins
    sender = PushSender(key, subject_of(settings.mail_from, settings.public_url), allowed)
    pushes = Pushes(database, sender, Links(settings.public_url, signatures).to(None), rungs.email)
    outbox.in_batches(PUSH, pushes.carry_out_some, at_once=PUSHES_AT_ONCE, poll_seconds=POLL_SECONDS)
    links = UnsubscribeTokens(settings.signing_key, settings.public_url)
    mails = DigestMails(settings.public_url, settings.mail_from, links)
    pace = Pace(rungs.email, settings.notifications.email_every)
    digests = Digests(database, mailer, mails, settings.public_url, pace)
    outbox.in_batches(DIGEST, digests.carry_out, at_once=AT_ONCE, poll_seconds=POLL_SECONDS)
    return NotificationParts(
        notifications=Notifications(database),
        live=LiveNotifications(database, bus.publish),
        preferences=Preferences(database),
        ladder=Ladder(database, rungs),
        deliveries=Deliveries(database, rungs.push),
        push_sender=sender,
        push_subscriptions=PushSubscriptions(database, key.public_key, allowed),
        pushes=pushes,
        push_closer=PushCloser(database, outbox.wake),
        digests=digests,
        bounces=Bounces(database),
        unsubscribing=Unsubscribing(database, links, turn_off_email),
    )
