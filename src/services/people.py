"""People: myself, others, and finding them (contract §3)."""

from typing import Any
from uuid import UUID

from ..db import cursors, names
from ..db.database import Database, Transaction
from ..db.relationships import standing
from ..db.rows import Row
from ..db.views import me_view, user_view
from ..errors import NotFound, Unauthorized
from ..events import UserChanged
from ..schemas.common import Page
from ..schemas.people import Me, MePatch, PeopleQuery, Profile


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def me(self, viewer_id: UUID) -> Me:
        """Myself. Raises Unauthorized if the account is gone."""
        async with self._database.single_read() as reads:
            row = await reads.users.me_row(viewer_id)
        if row is None:
            raise Unauthorized
        return me_view(row)

    async def change_me(self, viewer_id: UUID, patch: MePatch) -> Me:
        """Change what `patch` gives, and tell those who see it. Raises Unauthorized if the account is gone."""
        async with self._database.transaction() as tx:
            row = await tx.users.lock(viewer_id)
            if row is None:
                raise Unauthorized
            row = await change(tx, row, patch)
            return me_view(row)

    async def profile(self, viewer_id: UUID, user_id: UUID) -> Profile:
        """Somebody, with how I stand to them. Raises NotFound for nobody and for who deleted the account."""
        async with self._database.single_read() as reads:
            row = await reads.people.profile(viewer_id, user_id)
        if row is None:
            raise NotFound
        return _profile(viewer_id, row)

    async def find(self, viewer_id: UUID, query: PeopleQuery) -> Page[Profile]:
        """Others by nickname: those whom `query.q` finds, or everybody. Raises Invalid for a faulty cursor."""
        after = cursors.decode(query.cursor, str, UUID)
        async with self._database.snapshot() as reads:
            rows = await reads.people.found(viewer_id, query.q, after, query.limit)
        rows, following = cursors.cut(rows, query.limit, lambda row: (row.nickname_key, row.id))
        return Page(items=[_profile(viewer_id, row) for row in rows], next_cursor=following)


async def change(tx: Transaction, row: Row, patch: MePatch) -> Row:
    """Change what `patch` gives of the person in this row, who is locked, and tell those who see it. The row after."""
    changes = _changes(row, patch)
    if changes:
        await tx.people.change(row.id, changes)
        row = await tx.users.me_row(row.id) or row
    if "nickname" in changes:
        await tx.people.index_name(row.id, changes["nickname"])
    if changes.keys() & {"nickname", "intro"}:
        await tell_of(tx, row)
    return row


async def tell_of(tx: Transaction, row: Row) -> None:
    """Tell a person, and those who see their profile, what is now in this row."""
    hearers = await tx.people.who_see_changes_of(row.id)
    tx.announce(UserChanged(hearers | {row.id}, user_view(row)))


def _profile(viewer_id: UUID, row: Row) -> Profile:
    return Profile(**dict(user_view(row)), relationship=standing(viewer_id, row))


def _changes(row: Row, patch: MePatch) -> dict[str, Any]:
    """The columns that `patch` gives another value than they have."""
    given: dict[str, Any] = {"nickname": patch.nickname, "intro": patch.intro}
    if patch.settings:
        given |= {"language": patch.settings.language, "theme": patch.settings.theme}
    if patch.nickname is not None:
        key, initials = names.keys(patch.nickname)
        given |= {"nickname_key": key, "nickname_initials": initials}
    return {name: value for name, value in given.items() if value is not None and value != getattr(row, name)}
