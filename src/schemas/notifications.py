"""What a person is told of, and how they want to be told (contract §7, §8, §9)."""

import zoneinfo
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from .common import Id, PageQuery, Request, Timestamp, View
from .people import Kept, User

Kind = Literal["message", "mention", "reaction", "friend_request", "friend_accepted", "room_invite", "system"]
Channel = Literal["in_app", "push", "email"]
KINDS: tuple[Kind, ...] = (
    "message", "mention", "reaction", "friend_request", "friend_accepted", "room_invite", "system",
)  # fmt: skip
CHANNELS: tuple[Channel, ...] = ("in_app", "push", "email")
MAX_IDS = 100
MAX_ENDPOINT = 2048


class Notification(View):
    """Something that I am told. Messages make one for each room: its `id` is the room's, `count` how many are unread.

    `preview` is null where there is nothing to show, as for a message that was deleted.
    """

    id: UUID
    kind: Kind
    actor: User | None
    room_id: UUID | None
    message_id: UUID | None
    preview: str | None
    count: int
    created_at: Timestamp
    read_at: Timestamp | None


class NotificationsQuery(PageQuery):
    """`unread=1`: only those that I have not read."""

    unread: Annotated[Literal["0", "1"], BeforeValidator(str)] = "0"


def _no_number(value: Any) -> Any:
    """Python takes 1 for True."""
    if not isinstance(value, bool):
        raise PydanticCustomError("bool_type", "must be true")
    return value


class MarkNotificationsRead(Request):
    """These, or all. What is not mine, or read already, is passed over."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["all"]}]})

    ids: Kept[Annotated[list[Id], Field(max_length=MAX_IDS)]] = None
    all: Kept[Annotated[Literal[True], BeforeValidator(_no_number)]] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "MarkNotificationsRead":
        if (self.ids is None) == (self.all is None):
            raise PydanticCustomError("ids_or_all", "must have either ids or all")
        return self


class NotificationsUnread(View):
    """How many of my notifications are unread."""

    unread: int


class NotificationsRead(NotificationsUnread):
    """These are read, or gone; null: all. `unread`: how many are left."""

    ids: list[UUID] | None


class ChannelChoice(Request):
    """By which ways I want to be told of one kind; what is left out stays as it is."""

    in_app: Kept[bool] = None
    push: Kept[bool] = None
    email: Kept[bool] = None


class Channels(View):
    in_app: bool
    push: bool
    email: bool


def _time_zone(value: str) -> str:
    if value not in _zones():
        raise PydanticCustomError("time_zone", "must be a time zone like Asia/Seoul")
    return value


@cache
def _zones() -> frozenset[str]:
    """Those of IANA: `localtime` is whatever this machine's is."""
    return frozenset(zoneinfo.available_timezones() - {"localtime", "posixrules", "Factory"})


TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_time_zone)]


class QuietHours(Request):
    """When nothing may ring: from one time of the day to another, over midnight too. In-app is not affected."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[TimeOfDay, Field(alias="from", serialization_alias="from")]
    to: TimeOfDay
    time_zone: TimeZone

    @model_validator(mode="after")
    def _some_time(self) -> "QuietHours":
        if self.from_ == self.to:
            raise PydanticCustomError("no_time", "must end at another time than it begins")
        return self


class PreferencesDraft(Request):
    """What is left out stays as it is; null ends the quiet hours."""

    kinds: Kept[dict[Kind, ChannelChoice]] = None
    quiet_hours: QuietHours | None = None
    hide_content: Kept[bool] = None


class Preferences(View):
    """How I want to be told. `hide_content`: pushes and mails say that there is something, and not what."""

    kinds: Mapping[Kind, Channels]
    quiet_hours: QuietHours | None
    hide_content: bool


class PushKeys(Request):
    """As a browser gives them: base64url."""

    p256dh: Annotated[str, StringConstraints(max_length=100)]
    auth: Annotated[str, StringConstraints(max_length=30)]


class PushSubscriptionDraft(Request):
    """What `PushSubscription.toJSON()` of a browser gives. `expirationTime` is taken and not used."""

    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENDPOINT)]
    keys: PushKeys
    expirationTime: float | int | None = None  # noqa: N815 - the browsers' name


class PushSubscriptionEnd(Request):
    """Which one: its endpoint. The rest of the subscription may come along."""

    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ENDPOINT)]
    keys: PushKeys | None = None
    expirationTime: float | int | None = None  # noqa: N815 - the browsers' name


class PushKey(View):
    """The `applicationServerKey` with which a browser subscribes: a P-256 point, base64url (RFC 8292)."""

    key: str


DeliveryStatus = Literal["sent", "pending", "skipped", "failed"]
DeliveryReason = Literal[
    "read_before", "muted", "preference", "offline", "bounced", "blocked", "active", "quiet_hours", "no_subscription",
    "no_address", "unverified", "deleted", "left", "gone", "refused",
]  # fmt: skip


class ChannelDelivery(View):
    """What became of a message on one channel for one person, why if it was not sent, and when."""

    status: DeliveryStatus
    reason: DeliveryReason | None
    at: Timestamp | None


class DeliveryChannels(View):
    in_app: ChannelDelivery
    push: ChannelDelivery
    email: ChannelDelivery


class Delivery(View):
    """What became of a message for one member of its room but its sender."""

    user: User
    read_at: Timestamp | None
    channels: DeliveryChannels


class UnsubscribeQuery(BaseModel):
    """`token`: as it is in the mail."""

    token: str | None = None


class Unsubscribed(View):
    """No more mails of notifications go out to whom the token names."""

    email: Literal[False] = False


def default_channels(kind: Kind) -> Channels:
    """How somebody is told who has chosen nothing: a reaction, or a request accepted, is not worth a mail."""
    return Channels(in_app=True, push=True, email=kind not in ("reaction", "friend_accepted"))


def channels_of(chosen: Mapping[str, Any], kind: Kind) -> Channels:
    """How somebody is told of a kind: `chosen` is the column `kinds` of their preferences."""
    return default_channels(kind).model_copy(update=dict(chosen.get(kind, {})))
