"""The tables' questions and changes, by noun.

A repository is found on a `snapshot()` or a `transaction()`, never made.
"""

from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncConnection

from .abandoned import Abandoned
from .blocks import Blocks
from .cursors import Cursors
from .deliveries import Deliveries
from .departures import Departures
from .email_tokens import EmailTokens
from .file_keys import FileKeys
from .files import Files
from .friendships import Friendships
from .identities import Identities
from .ladder import Ladder
from .members import Members
from .messages import Messages
from .notification_preferences import NotificationPreferences
from .notifications import Notifications
from .outbox import Outbox
from .people import People
from .presence import Presence
from .push_matters import PushMatters
from .push_subscriptions import PushSubscriptions
from .pushes import Pushes
from .reactions import Reactions
from .recipients import Recipients
from .room_notifications import RoomNotifications
from .rooms import Rooms
from .search import Search
from .sessions import Sessions
from .sign_in_attempts import SignInAttempts
from .uploads import Uploads
from .users import Users


class Repositories:
    """All repositories on one connection, each made when first asked for."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @cached_property
    def abandoned(self) -> Abandoned:
        return Abandoned(self._connection)

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self._connection)

    @cached_property
    def cursors(self) -> Cursors:
        return Cursors(self._connection)

    @cached_property
    def deliveries(self) -> Deliveries:
        return Deliveries(self._connection)

    @cached_property
    def departures(self) -> Departures:
        return Departures(self._connection)

    @cached_property
    def email_tokens(self) -> EmailTokens:
        return EmailTokens(self._connection)

    @cached_property
    def file_keys(self) -> FileKeys:
        return FileKeys(self._connection)

    @cached_property
    def files(self) -> Files:
        return Files(self._connection)

    @cached_property
    def friendships(self) -> Friendships:
        return Friendships(self._connection)

    @cached_property
    def identities(self) -> Identities:
        return Identities(self._connection)

    @cached_property
    def ladder(self) -> Ladder:
        return Ladder(self._connection)

    @cached_property
    def members(self) -> Members:
        return Members(self._connection)

    @cached_property
    def messages(self) -> Messages:
        return Messages(self._connection)

    @cached_property
    def notification_preferences(self) -> NotificationPreferences:
        return NotificationPreferences(self._connection)

    @cached_property
    def notifications(self) -> Notifications:
        return Notifications(self._connection)

    @cached_property
    def outbox(self) -> Outbox:
        return Outbox(self._connection)

    @cached_property
    def people(self) -> People:
        return People(self._connection)

    @cached_property
    def presence(self) -> Presence:
        return Presence(self._connection)

    @cached_property
    def push_matters(self) -> PushMatters:
        return PushMatters(self._connection)

    @cached_property
    def push_subscriptions(self) -> PushSubscriptions:
        return PushSubscriptions(self._connection)

    @cached_property
    def pushes(self) -> Pushes:
        return Pushes(self._connection)

    @cached_property
    def reactions(self) -> Reactions:
        return Reactions(self._connection)

    @cached_property
    def recipients(self) -> Recipients:
        return Recipients(self._connection)

    @cached_property
    def room_notifications(self) -> RoomNotifications:
        return RoomNotifications(self._connection)

    @cached_property
    def rooms(self) -> Rooms:
        return Rooms(self._connection)

    @cached_property
    def search(self) -> Search:
        return Search(self._connection)

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self._connection)

    @cached_property
    def sign_in_attempts(self) -> SignInAttempts:
        return SignInAttempts(self._connection)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self._connection)

    @cached_property
    def users(self) -> Users:
        return Users(self._connection)
