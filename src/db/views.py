"""Rows as the contract shows them: made inside the transaction that read them, sent as they are."""

from ..schemas.people import Me, PersonSettings, User
from .rows import Profile, Row


def user_view(row: Row | Profile) -> User:
    """A person as anybody may see them. `row` has `id`, `nickname` (null when deleted) and `intro`."""
    return User(id=row.id, nickname=row.nickname, intro=row.intro, avatar_url=None)


def me_view(row: Row) -> Me:
    """A person as they see themselves. `row` has the columns of `users`."""
    return Me.model_construct(
        id=row.id,
        nickname=row.nickname,
        intro=row.intro,
        avatar_url=None,
        email=row.email,
        email_verified=row.email_verified_at is not None,
        has_password=row.password_hash is not None,
        identities=[],
        created_at=row.created_at,
        settings=PersonSettings.model_construct(language=row.language, theme=row.theme),
    )
