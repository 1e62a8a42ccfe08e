"""Rows as the contract shows them: made inside the transaction that read them, sent as they are."""

from collections.abc import Mapping
from datetime import UTC, datetime

from ..schemas.links import Link
from ..schemas.people import Identity, Me, PersonSettings, User
from .rows import Profile, Row


def user_view(row: Row | Profile) -> User:
    """A person as anybody may see them. `row` has `id`, `nickname` (null when deleted), `intro` and `avatar`."""
    return User(id=row.id, nickname=row.nickname, intro=row.intro, avatar_url=_avatar(row))


def me_view(row: Row) -> Me:
    """A person as they see themselves. `row` is a `me_row`."""
    return Me.model_construct(
        id=row.id,
        nickname=row.nickname,
        intro=row.intro,
        avatar_url=_avatar(row),
        email=row.email,
        email_verified=row.email_verified_at is not None,
        has_password=row.password_hash is not None,
        identities=sorted((_identity(each) for each in row.identities), key=lambda identity: identity.linked_at),
        created_at=row.created_at,
        settings=PersonSettings.model_construct(language=row.language, theme=row.theme),
    )


def _avatar(row: Row | Profile) -> Link | None:
    return Link(f"/avatars/{row.avatar}") if row.avatar else None


def _identity(gathered: Mapping[str, str]) -> Identity:
    linked_at = datetime.fromisoformat(gathered["linked_at"])
    if linked_at.tzinfo is None:  # SQLite forgets the zone
        linked_at = linked_at.replace(tzinfo=UTC)
    return Identity.model_construct(provider=gathered["provider"], email=gathered["email"], linked_at=linked_at)
