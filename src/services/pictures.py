"""Profile pictures: a square in three sizes, under a key that nobody can guess and that changes with the picture."""

from .incoming import AVATAR_SIZES


def key_of_avatar(avatar: str, size: int) -> str:
    """Where the picture of that size is kept. `avatar`: the column of that name."""
    return f"user-profiles/{avatar[:2]}/{avatar}-{size}.webp"


def keys_of_avatar(avatar: str | None) -> list[str]:
    """Where all sizes are kept; nowhere for who has none."""
    return [key_of_avatar(avatar, size) for size in AVATAR_SIZES] if avatar else []
