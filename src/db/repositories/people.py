"""People as others find them: search by name, profiles, and the locks under which two of them change how they stand."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    false,
    insert,
    or_,
    select,
    tuple_,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from .. import names
from ..cursors import Key
from ..models import Block, Friendship, Member, NameGram, User
from ..name_matches import matches
from ..rows import Row

_SHOWN = (User.id, User.nickname, User.intro, User.avatar)
_FORGET_NAME = delete(NameGram).where(NameGram.user_id == bindparam("person_id"))
_VIEWER = bindparam("viewer_id", type_=Uuid())
_PEOPLE = (
    select(*_SHOWN, User.nickname_key, Friendship.requested_by, Friendship.accepted_at, Block.blocked_id)
    .select_from(User)
    .outerjoin(
        Friendship,
        and_(
            Friendship.low_id == case((User.id < _VIEWER, User.id), else_=_VIEWER),
            Friendship.high_id == case((User.id < _VIEWER, _VIEWER), else_=User.id),
        ),
    )
    .outerjoin(Block, and_(Block.blocker_id == _VIEWER, Block.blocked_id == User.id))
    .where(User.deleted_at.is_(None))
)
_PROFILE = _PEOPLE.where(User.id == bindparam("person_id"))
_OTHERS = _PEOPLE.where(User.id != _VIEWER).order_by(User.nickname_key, User.id)


class People:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def index_name(self, user_id: UUID, nickname: str) -> None:
        """Have people find `user_id` by this nickname, and no longer by an earlier one."""
        await self._connection.execute(_FORGET_NAME, {"person_id": user_id})
        rows = [{"gram": gram, "user_id": user_id} for gram in sorted(names.grams(names.keys(nickname)))]
        await self._connection.execute(insert(NameGram), rows)

    async def shown(self, user_ids: Collection[UUID]) -> dict[UUID, Row]:
        """These people as `user_view` takes them, by id, also who has deleted the account."""
        if not user_ids:
            return {}
        rows = await self._connection.execute(select(*_SHOWN).where(User.id.in_(user_ids)))
        return {row.id: row for row in rows}

    async def lock(self, user_ids: Iterable[UUID]) -> dict[UUID, Row]:
        """Those of these people who exist, as others see them, by id; nobody else changes how they stand till COMMIT.

        Locked in the order of their ids, so that two transactions never wait for each other. On SQLite the writer's
        lock does it all.
        """
        people = select(*_SHOWN).where(User.id.in_(sorted(user_ids)), User.deleted_at.is_(None)).order_by(User.id)
        rows = await self._connection.execute(people.with_for_update(key_share=True))
        return {row.id: row for row in rows}

    async def hold(self, user_ids: Iterable[UUID]) -> None:
        """Have nobody `lock` these people till COMMIT. In the order of their ids, too."""
        people = select(User.id).where(User.id.in_(sorted(user_ids))).order_by(User.id)
        await self._connection.execute(people.with_for_update(read=True))

    async def lock_pair(self, one_id: UUID, other_id: UUID) -> dict[UUID, Row]:
        """Both of them, locked as by `lock`; nobody unless both exist."""
        found = await self.lock((one_id, other_id))
        return found if len(found) == 2 else {}

    async def profile(self, viewer_id: UUID, user_id: UUID) -> Row | None:
        """Somebody who has not deleted the account, with how the viewer stands to them (`relationships.standing`)."""
        of = {"person_id": user_id, "viewer_id": viewer_id}
        return (await self._connection.execute(_PROFILE, of)).one_or_none()

    async def change(self, user_id: UUID, values: Mapping[str, Any]) -> None:
        """Write these columns of somebody's row."""
        await self._connection.execute(update(User).where(User.id == user_id).values(**values))

    async def found(self, viewer_id: UUID, text: str | None, after: Key | None, limit: int) -> Sequence[Row]:
        """Others by nickname, one more than `limit`, as `profile` has them: those that `text` finds, or everybody."""
        return (await self._connection.execute(_found(text, after, limit), {"viewer_id": viewer_id})).all()

    async def who_see_changes_of(self, user_id: UUID) -> frozenset[UUID]:
        """Who is told when this person's profile changes.

        Friends, those with a request pending either way and those who have a room with them in their list; nobody
        across a block.
        """
        known = union(*_standing_with(user_id), _in_rooms_of(user_id)).subquery()
        blocked = select(Block).where(
            or_(
                and_(Block.blocker_id == user_id, Block.blocked_id == known.c.id),
                and_(Block.blocked_id == user_id, Block.blocker_id == known.c.id),
            )
        )
        hearing = select(known.c.id).where(known.c.id != user_id, ~blocked.exists())
        return frozenset((await self._connection.scalars(hearing)).all())


def _found(text: str | None, after: Key | None, limit: int) -> Select[*tuple[Any, ...]]:
    people = _OTHERS.limit(limit + 1)
    if text:
        readings = names.queries(text)
        people = people.where(or_(false(), *map(_matches, readings)))
        if len(readings) > 1:  # by the OR alone PostgreSQL would not find its way to the index
            people = people.where(_has_any_of([each.grams[0] for each in readings]))
    return people.where(tuple_(User.nickname_key, User.id) > after) if after else people


def _matches(query: names.NameQuery) -> ColumnElement[bool]:
    """The grams narrow it down by index; what remains settles it."""
    has_grams = [_has_any_of([gram]) for gram in query.grams]
    return and_(*has_grams, matches(query, User.nickname_key, User.nickname_initials))


def _has_any_of(grams: Sequence[str]) -> ColumnElement[bool]:
    return User.id.in_(select(NameGram.user_id).where(NameGram.gram.in_(grams)))


def _standing_with(user_id: UUID) -> tuple[Select[UUID], Select[UUID]]:
    return (
        select(Friendship.high_id.label("id")).where(Friendship.low_id == user_id),
        select(Friendship.low_id).where(Friendship.high_id == user_id),
    )


def _in_rooms_of(user_id: UUID) -> Select[UUID]:
    mine = select(Member.room_id).where(Member.user_id == user_id)
    return select(Member.user_id).where(Member.room_id.in_(mine), Member.listed_at.is_not(None))
