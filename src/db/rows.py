"""The name by which services call what a repository gives them."""

from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Row as _Row

Row: TypeAlias = _Row[*tuple[Any, ...]]


class Profile(NamedTuple):
    """A person, as `user_view` takes them."""

    id: UUID
    nickname: str | None
    intro: str
    avatar: str | None
