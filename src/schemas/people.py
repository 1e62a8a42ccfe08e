"""People, friends and blocks (contract §3)."""

from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from .common import Id, Intro, Nickname, PageQuery, Query, Request, Timestamp, View
from .links import Link

T = TypeVar("T")

PICTURE_SIZES = (64, 192, 512)
"""The sides of a profile picture, in pixels."""


def _given(value: T | None) -> T:
    if value is None:
        raise PydanticCustomError("null", "must not be null; leave it out to keep what is there")
    return value


def _absent_not_null(schema: dict[str, Any]) -> None:
    """Describe what `_given` enforces: the one alternative to null, and no default."""
    schema.pop("default", None)
    schema |= next(each for each in schema.pop("anyOf", [{}]) if each.get("type") != "null")


def _of_a_size(value: int) -> int:
    if value not in PICTURE_SIZES:
        raise PydanticCustomError("picture_size", "must be 64, 192 or 512")
    return value


# What may be left out, and then stays as it is; None in a model says that it was. Null is refused.
Kept = Annotated[T | None, AfterValidator(_given), Field(json_schema_extra=_absent_not_null)]

Relationship = Literal["none", "friend", "request_sent", "request_received", "blocked"]
Language = Literal["ko", "en"]
Theme = Literal["system", "light", "dark"]
PictureSize = Annotated[int, AfterValidator(_of_a_size), Field(json_schema_extra={"enum": [*PICTURE_SIZES]})]


class User(View):
    """A person, as anybody may see them. `nickname` is null when the account was deleted."""

    id: UUID
    nickname: str | None
    intro: str
    avatar_url: Link | None = None


class Identity(View):
    """A linked sign-in method."""

    provider: str
    email: str | None
    linked_at: Timestamp


class PersonSettings(View):
    """Choices that follow a person to every device."""

    language: Language
    theme: Theme


class Me(User):
    """A person, as they see themselves."""

    email: str | None
    email_verified: bool
    has_password: bool
    identities: list[Identity]
    created_at: Timestamp
    settings: PersonSettings


class Profile(User):
    """A person, as one other person sees them."""

    relationship: Relationship


class SettingsPatch(Request):
    language: Kept[Language] = None
    theme: Kept[Theme] = None


class MePatch(Request):
    """What of oneself may be changed; what is absent stays."""

    nickname: Kept[Nickname] = None
    intro: Kept[Intro] = None
    settings: Kept[SettingsPatch] = None


class PeopleQuery(PageQuery):
    """`q`: a part of the nickname, or its Korean initial consonants (ㅎㄱㄷ finds 홍길동); without it, everybody."""

    q: Query | None = None


class PictureQuery(BaseModel):
    """`size`: the side of the square, in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: PictureSize = 192


class Friend(User):
    """A friend. `last_seen_at` is null while online, and for who was never here."""

    since: Timestamp
    alias: str | None
    online: bool
    last_seen_at: Timestamp | None


class FriendRequest(View):
    user: User
    created_at: Timestamp


class FriendRequestDraft(Request):
    user_id: Id


class FriendRequestOutcome(View):
    """`pending` until they answer; `friends` when they had asked first."""

    status: Literal["pending", "friends"]


class FriendRequestsQuery(PageQuery):
    direction: Literal["incoming", "outgoing"] = "incoming"


class AliasPatch(Request):
    """`alias`: my own name for a friend; null takes it away."""

    alias: Nickname | None


class Block(View):
    user: User
    created_at: Timestamp


class FriendChange(View):
    """What `friend_changed` says: how the hearer now stands to `user`."""

    user: User
    relationship: Relationship


class PresenceChange(View):
    user_id: Id
    online: bool
    last_seen_at: Timestamp | None
